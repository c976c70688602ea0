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
// equal snapshot.
//
// A relay whose report carries another peer ID than the one it should have, or that of
// a relay already counted, is unreachable: somebody else answered. The keys in the
// readings' peer IDs are the fleet's own and count nowhere as peers.
func Merge(at time.Time, readings []Reading) Snapshot {
	readings = slices.Clone(readings)
	slices.SortStableFunc(readings, compareReadings)
	s := Snapshot{
		GeneratedAt: at.UTC().Truncate(time.Second),
		Relays:      make([]RelayRow, 0, len(readings)),
		Unreachable: []string{},
	}
	all := NewPeers(fleetKeys(readings))
	known := false                                  // a registry was read
	owner := make(map[string]string, len(readings)) // peer ID -> node
	for _, r := range readings {
		row := r.row(owner)
		if r.Registry != nil {
			known = true
			row.LifetimeUniquePeers = ptr(all.addCensus(r.Registry))
		}
		s.add(row)
	}
	if known {
		s.count(all, at)
	}
	return s
}

// addCensus adds a whole census, and returns how many different peers it has.
func (p *Peers) addCensus(entries []CensusEntry) uint64 {
	p.Begin()
	for i := range entries {
		e := &entries[i]
		p.Add(keyOf(e.PeerPubkey), e.FirstSeenAt, e.LastSeenAt)
	}
	return p.counts[p.census-1]
}

// count is what all registries know together.
func (s *Snapshot) count(all *Peers, at time.Time) {
	s.LifetimeUniquePeers = ptr(uint64(all.Len()))
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
	s.Partial = s.Partial || row.Status != StatusOK
	s.Connected = sum(s.Connected, row.Connected)
	s.Reservations = sum(s.Reservations, row.Reservations)
	s.Circuits = sum(s.Circuits, row.Circuits)
	s.HolePunches.Succeeded = sum(s.HolePunches.Succeeded, row.HolePunches.Succeeded)
	s.HolePunches.Failed = sum(s.HolePunches.Failed, row.HolePunches.Failed)
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
	report := r.Report
	if bad := r.stranger(owner); bad != nil {
		report, err = nil, errors.Join(bad, err)
	}
	if report != nil {
		owner[report.PeerID] = r.Node
		row.tell(report)
	}
	switch {
	case report == nil:
		row.Status = StatusUnreachable
		err = cmp.Or(err, errors.New("it sent no report"))
	case err != nil, len(r.Warnings) > 0:
		row.Status = StatusPartial
	case r.Registry == nil:
		row.Status, err = StatusPartial, errors.New("its registry was not read")
	}
	if err != nil {
		row.Error = clean(err.Error(), 500)
	}
	if !isPeerID(row.PeerID) {
		row.PeerID = ""
	}
	return row
}

// stranger says why the report cannot be that of this relay.
func (r Reading) stranger(owner map[string]string) error {
	if r.Report == nil {
		return nil
	}
	id := r.Report.PeerID
	if r.PeerID != "" && id != r.PeerID {
		return fmt.Errorf("another relay answered: %s, not %s", id, r.PeerID)
	}
	if node, ok := owner[id]; ok && id != "" {
		return fmt.Errorf("another relay answered: %s, which is %s", id, node)
	}
	return nil
}

// tell copies what a report says into the row.
func (row *RelayRow) tell(r *Report) {
	row.PeerID = r.PeerID
	row.Connected, row.Peak = count(r.ConnectedPeers), count(r.PeakConcurrentPeers)
	row.Reservations, row.Circuits = ptr(r.RelayReservations), ptr(r.RelayCircuits)
	row.UptimeSecs = ptr(r.UptimeSecs)
	switch r.NATStatus {
	case "public", "private", "unknown":
		row.NATStatus = ptr(r.NATStatus)
	}
	// Daemons of old report 0 and 0, always: they cannot see hole punches either.
	if value(r.HolePunchesSucceeded) > 0 || value(r.HolePunchesFailed) > 0 {
		row.HolePunches = HolePunch{Succeeded: r.HolePunchesSucceeded, Failed: r.HolePunchesFailed}
	}
}

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
