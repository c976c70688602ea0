package stats

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Merge adds the readings of a fleet up. Equal readings, in whatever order, give an
// equal snapshot. Registries that relays lost are not in it: see [MergeOnto].
//
// A relay whose report carries another peer ID than the one it should have, or that of
// a relay already counted, is unreachable: somebody else answered. The keys in the
// readings' peer IDs are the fleet's own, and what [IsProbe] tells are its probes: they
// count nowhere as peers.
func Merge(at time.Time, readings []Reading) Snapshot {
	return MergeOnto(nil, at, readings)
}

// MergeOnto is [Merge] where there is a history: who is in it and in no registry any more is
// counted, too, and keys that it knows to be the fleet's own are not. It uses the past up;
// nil is none.
func MergeOnto(past *Past, at time.Time, readings []Reading) Snapshot {
	readings = slices.Clone(readings)
	slices.SortStableFunc(readings, compareReadings)
	s := Snapshot{
		GeneratedAt:    at.UTC().Truncate(time.Second),
		Relays:         make([]RelayRow, 0, len(readings)),
		Unreachable:    []string{},
		HistoryMissing: []string{},
		Overlap:        []uint64{},
	}
	all := past.with(fleetKeys(readings))
	known, probes := false, uint64(0)               // a registry was read
	owner := make(map[string]string, len(readings)) // peer ID -> node
	for _, r := range readings {
		row := r.row(owner)
		if census := r.census(); census != nil {
			known = true
			peers, notPeers := all.addCensus(census, past)
			row.LifetimeUniquePeers, probes = ptr(peers), probes+notPeers
		}
		s.add(row)
	}
	if known {
		s.OwnKnown, s.ProbesKnown = ptr(uint64(all.Own())), ptr(probes)
	}
	if past != nil {
		s.HistorySince, s.HistoryMissing = Time{past.since.UTC()}, past.Missing
	}
	if known || past != nil {
		s.count(all, past, at)
	}
	return s
}

// addCensus adds a whole census, and returns how many different peers it has, and how many
// of its entries are probes.
func (p *Peers) addCensus(entries []CensusEntry, past *Past) (peers, probes uint64) {
	p.Begin()
	for i := range entries {
		e := &entries[i]
		key := keyOf(e.PeerPubkey)
		if e.IsProbe() || past.isProbe(key) {
			probes++
			past.noteProbe(key)
			continue
		}
		p.Add(key, e.FirstSeenAt, e.LastSeenAt)
	}
	return p.counts[p.census-1], probes
}

// count is what all registries and the past know together.
func (s *Snapshot) count(all *Peers, past *Past, at time.Time) {
	t := NewTally(at)
	for peer := range all.All() {
		if _, ours := all.own[peer.Key]; !ours && !past.isProbe(peer.Key) {
			t.Add(peer)
		}
	}
	s.LifetimeUniquePeers, s.Overlap = ptr(t.Peers), t.Overlap
	s.Active24h, s.Active7d, s.Active30d = ptr(t.Active24h), ptr(t.Active7d), ptr(t.Active30d)
}

// census is all that the relay knows, nil if that was not read: changes alone are not.
func (r Reading) census() []CensusEntry {
	if r.Registry == nil && r.DeltaFull {
		return r.Delta
	}
	return r.Registry
}

// compareReadings orders by region, then nyc1-2 before nyc1-10.
func compareReadings(a, b Reading) int {
	return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(len(a.Node), len(b.Node)),
		cmp.Compare(a.Node, b.Node), cmp.Compare(a.PeerID, b.PeerID))
}

// add takes one row into the sums.
func (s *Snapshot) add(row RelayRow) {
	s.Relays = append(s.Relays, row)
	if row.Status == StatusUnreachable {
		s.Unreachable = append(s.Unreachable, row.Node)
	}
	s.Partial = s.Partial || !row.Status.Whole()
	s.Connected = sum(s.Connected, row.Connected)
	s.Reservations = sum(s.Reservations, row.Reservations)
	s.Circuits = sum(s.Circuits, row.Circuits)
	s.HolePunches.Succeeded = sum(s.HolePunches.Succeeded, row.HolePunches.Succeeded)
	s.HolePunches.Failed = sum(s.HolePunches.Failed, row.HolePunches.Failed)
	s.FleetRelays = sum(s.FleetRelays, row.FleetRelays)
	s.Probes = sum(s.Probes, row.Probes)
	if row.Peak != nil {
		s.Peak = ptr(max(*row.Peak, value(s.Peak)))
	}
}

// row is what one relay told. It notes in owner who answers under which peer ID.
func (r Reading) row(owner map[string]string) RelayRow {
	row := RelayRow{
		Region: clean(r.Region, 200), Node: clean(r.Node, 200), PeerID: r.PeerID,
		Status: StatusOK, Warnings: make([]string, 0, len(r.Warnings)),
	}
	for _, w := range r.Warnings {
		row.Warnings = append(row.Warnings, clean(w, 500))
	}
	err := r.Err
	if bad := r.stranger(owner); bad != nil {
		err = errors.Join(bad, err)
		r.Report, r.Telemetry = nil, nil
	}
	if r.Report != nil || r.Telemetry != nil {
		owner[r.answerer()] = r.Node
		row.tell(r)
	}
	switch {
	case r.Report == nil && r.Telemetry == nil:
		row.Status = StatusUnreachable
		err = cmp.Or(err, errors.New("it sent no report"))
	case err != nil, len(r.Warnings) > 0:
		row.Status = StatusPartial
	case r.census() == nil:
		row.Status, err = StatusPartial, errors.New("its registry was not read")
	case r.Old:
		row.Status = StatusOld
	}
	if err != nil {
		row.Error = clean(err.Error(), 500)
	}
	if !isPeerID(row.PeerID) {
		row.PeerID = ""
	}
	return row
}

// answerer is the peer ID of who answered.
func (r Reading) answerer() string {
	if r.Report != nil {
		return r.Report.PeerID
	}
	if r.Telemetry != nil {
		return r.Telemetry.PeerID
	}
	return ""
}

// stranger says why the report cannot be that of this relay.
func (r Reading) stranger(owner map[string]string) error {
	if r.Report == nil && r.Telemetry == nil {
		return nil
	}
	id := r.answerer()
	if r.PeerID != "" && id != r.PeerID {
		return fmt.Errorf("another relay answered: %s, not %s", id, r.PeerID)
	}
	if node, ok := owner[id]; ok && id != "" {
		return fmt.Errorf("another relay answered: %s, which is %s", id, node)
	}
	return nil
}

// tell copies what a report or telemetry says into the row.
func (row *RelayRow) tell(r Reading) {
	row.PeerID, row.Old = r.answerer(), ptr(r.Old)
	if r.Report != nil {
		row.tellReport(r.Report)
	}
	if r.Telemetry != nil {
		row.tellTelemetry(r.Telemetry)
		row.clock(r)
	}
	if r.Telemetry == nil {
		row.untell()
	}
}

// untell takes out what a daemon of old reports as 0 whatever there was: it counts it where
// a client does, which a relay is not, and cannot see hole punches.
func (row *RelayRow) untell() {
	if value(row.Reservations) == 0 {
		row.Reservations = nil
	}
	if value(row.Circuits) == 0 {
		row.Circuits = nil
	}
	if value(row.HolePunches.Succeeded) == 0 && value(row.HolePunches.Failed) == 0 {
		row.HolePunches = HolePunch{}
	}
}

func (row *RelayRow) tellReport(r *Report) {
	row.Connected, row.Peak = count(r.ConnectedPeers), count(r.PeakConcurrentPeers)
	row.Reservations, row.Circuits = ptr(r.RelayReservations), ptr(r.RelayCircuits)
	row.UptimeSecs, row.NATStatus = ptr(r.UptimeSecs), natStatus(r.NATStatus)
	row.HolePunches = HolePunch{Succeeded: r.HolePunchesSucceeded, Failed: r.HolePunchesFailed}
}

func (row *RelayRow) tellTelemetry(t *Telemetry) {
	row.Connected, row.Peak = count(t.Gauges.Users), count(t.Gauges.Peak)
	row.FleetRelays, row.Probes = count(t.Gauges.FleetRelays), count(t.Gauges.Probes)
	row.Reservations, row.Circuits = ptr(t.Counters.Granted), ptr(t.Counters.Circuits)
	if l := t.Lifetime; l != nil {
		row.Peak, row.Reservations, row.Circuits = count(l.Peak), ptr(l.Granted), ptr(l.Circuits)
	}
	row.UptimeSecs, row.NATStatus = ptr(uint64(max(0, t.Now-t.StartedAt))), natStatus(t.Gauges.NATStatus)
	row.HolePunches = HolePunch{Succeeded: t.Counters.PunchesSucceeded, Failed: t.Counters.PunchesFailed}
}

// natStatus is nil for a word that says nothing.
func natStatus(text string) *string {
	switch text {
	case "public", "private", "unknown":
		return &text
	}
	return nil
}

// clock notes by how much the relay's clock is wrong, as far as the time that the answer
// took lets that be known, and tells of more than [AheadTold].
func (row *RelayRow) clock(r Reading) {
	if r.At.IsZero() || r.Telemetry.Now <= 0 {
		return
	}
	first, last := r.At.Unix()-1, r.At.Add(r.Took).Unix()+1
	if !r.Answered.IsZero() {
		last = r.Answered.Unix() + 1
	}
	ahead := max(0, r.Telemetry.Now-last) + min(0, r.Telemetry.Now-first)
	row.ClockAheadSecs = &ahead
	wrong := time.Duration(min(max(ahead, -maxSkew), maxSkew)) * time.Second
	if wrong > AheadTold {
		row.Warnings = append(row.Warnings, fmt.Sprintf("its clock is %s ahead of ours", wrong))
	} else if wrong < -AheadTold {
		row.Warnings = append(row.Warnings, fmt.Sprintf("its clock is %s behind ours", -wrong))
	}
}

// maxSkew is how far in seconds a clock is told to be wrong: a hundred years.
const maxSkew = 100 * 365 * 24 * 3600

// count is nil for a number that counts nothing.
func count(n int) *uint64 {
	if n < 0 {
		return nil
	}
	return ptr(uint64(n))
}

func ptr[T any](v T) *T { return &v }

// value is 0 where the count is unknown.
func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// sum of what is known; nil if nothing is. It stays at the largest number rather than
// beginning again at 0.
func sum(a, b *uint64) *uint64 {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	if *a > math.MaxUint64-*b {
		return ptr[uint64](math.MaxUint64)
	}
	return ptr(*a + *b)
}
