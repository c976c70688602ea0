package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

// usageView is what `fleetctl usage` says. A nil pointer is unknown.
type usageView struct {
	Fleet       string     `json:"fleet"`
	GeneratedAt time.Time  `json:"generated_at"`
	CollectedAt time.Time  `json:"collected_at,omitzero"` // from when bytes of the month are, and what the history says of peers
	Month       string     `json:"month"`                 // "2026-11", in UTC
	Relays      []usageRow `json:"relays"`
	Total       usageTotal `json:"total"`
	ActivePeers usagePeers `json:"active_peers_30d"`
	Cost        usageCost  `json:"cost"`
	Missing     []string   `json:"missing"` // nodes that did not answer
	Notes       []string   `json:"notes"`
	free        bool       // the machines cost nothing
}

// usageRow is one relay.
type usageRow struct {
	Node             string   `json:"node"`
	Region           string   `json:"region"`
	Status           string   `json:"status"` // "ok", "partial", "old" for a daemon that does not say all of it, "unreachable"
	Error            string   `json:"error,omitempty"`
	Users            *uint64  `json:"users"`
	Reservations     *uint64  `json:"reservations"`
	ReservationLimit *uint64  `json:"reservation_limit"`
	Memory           *uint64  `json:"memory_bytes"`
	MemoryLimit      *uint64  `json:"memory_limit_bytes"`
	BytesRelayed     *uint64  `json:"bytes_relayed"`       // since its counters began
	OwnBytes         *uint64  `json:"own_bytes_relayed"`   // of whoever says that it is of the fleet
	BytesMonth       *uint64  `json:"bytes_month"`         // of both, since the month began
	BytesAtLeast     bool     `json:"bytes_month_partial"` // the history knows a part of the month
	Transfer         *uint64  `json:"transfer_bytes"`      // that the machine's plan includes in a month
	Monthly          *float64 `json:"monthly"`

	machine string // "" where it has none
	repeats bool   // another machine of the node, beside which the bytes of the month stand
}

// usageTotal are sums over what is known; Partial says that somebody's part is missing.
type usageTotal struct {
	Reservations        *uint64 `json:"reservations"`
	ReservationLimit    *uint64 `json:"reservation_limit"`
	ReservationsPartial bool    `json:"reservations_partial"`
	BytesMonth          *uint64 `json:"bytes_month"`
	BytesPartial        bool    `json:"bytes_month_partial"`
	Transfer            *uint64 `json:"transfer_bytes"`
}

// usagePeers is how many peers were active.
type usagePeers struct {
	Value   *uint64   `json:"value"`
	AtLeast bool      `json:"at_least"`
	Error   float64   `json:"error"` // relative standard error; 0 is exact
	Missing []string  `json:"missing"`
	AsOf    time.Time `json:"as_of,omitzero"`
}

// usageCost is what the fleet costs in a month, and each active peer of it.
type usageCost struct {
	Currency string   `json:"currency"` // "" where machines cost nothing, or nobody knows
	Monthly  *float64 `json:"monthly"`
	PerPeer  *float64 `json:"per_active_peer"`
	AtMost   bool     `json:"per_active_peer_at_most"` // there may be more peers
}

// usageFresh is how long ago a relay may have been read into the history for the bytes of
// its month to be all of them.
const usageFresh = time.Hour

// newUsageView reckons. It decides everything and asks nobody.
func newUsageView(fleetName string, u usage) usageView {
	v := usageView{
		Fleet: fleetName, GeneratedAt: u.at, CollectedAt: u.collected, Month: u.since.Format("2006-01"),
		Relays: []usageRow{}, Missing: []string{}, Notes: []string{},
	}
	counted := make(map[string]bool) // nodes of which the month stands in a row
	for _, r := range u.readings {
		row := rowOf(r)
		row.repeats = counted[r.Node]
		counted[r.Node] = true
		if !row.repeats {
			row.BytesMonth, row.BytesAtLeast = u.relayed(r.Node)
		}
		switch row.Status {
		case usageUnreachable:
			v.Missing = append(v.Missing, row.Node)
		case usageOld:
			v.Notes = append(v.Notes, row.Node+": an old relay, which does not say what it holds and what it relayed")
		}
		if row.repeats {
			v.Notes = append(v.Notes, row.Node+": it has several machines; what they relayed this month stands beside the first")
		}
		v.Relays = append(v.Relays, row)
	}
	slices.SortStableFunc(v.Relays, func(a, b usageRow) int {
		return compareNodes(a.Region, a.Node, b.Region, b.Node)
	})
	v.price(u.quote)
	v.sum()
	v.peers(u.active)
	if !u.collected.IsZero() && u.at.Sub(u.collected) > usageFresh {
		v.Notes = append(v.Notes, "nothing was collected since "+utc(u.collected)+": what was relayed since is not in the month; see 'fleetctl stats collect --help'")
	}
	if u.month == nil {
		v.Notes = append(v.Notes, "what was relayed this month is not known: no history is kept; see 'fleetctl stats collect --help'")
	}
	return v
}

// relayed is what went through a node this month, for whomever; nil: what did for users is
// unknown. What is since nobody knows when is of no month.
func (u usage) relayed(node string) (bytes *uint64, atLeast bool) {
	known := func(f stats.Figure) bool { return f.Value != nil && !f.Since.IsZero() }
	partial := func(f stats.Figure) bool { return f.AtLeast || f.Since.After(u.since) }
	users, own := u.month[node], u.own[node]
	if !known(users) {
		return nil, false
	}
	atLeast = partial(users) || u.at.Sub(u.told[node]) > usageFresh
	if !known(own) {
		return new(uint64(*users.Value)), true
	}
	return new(uint64(*users.Value + *own.Value)), atLeast || partial(own)
}

// The statuses of a row.
const (
	usageOK          = "ok"
	usagePartial     = "partial"
	usageOld         = "old"
	usageUnreachable = "unreachable"
)

func rowOf(r stats.Reading) usageRow {
	row := usageRow{Node: r.Node, Region: r.Region, Status: usageOK, machine: r.Machine}
	why := r.Err
	if why == nil && r.Telemetry != nil && len(r.Telemetry.Damaged) > 0 { // what it counted may be a part
		why = reasonOf(r)
	}
	if why != nil {
		row.Status, row.Error = usagePartial, oneLine(why.Error())
	}
	switch t := r.Telemetry; {
	case t != nil:
		row.Users, row.Reservations = new(uint64(t.Gauges.Users)), new(uint64(t.Gauges.Reservations))
		row.ReservationLimit = positive(uint64(max(0, t.Gauges.ReservationLimit)))
		row.Memory, row.MemoryLimit = positive(t.Gauges.Memory), positive(t.Gauges.MemoryLimit)
		row.BytesRelayed, row.OwnBytes = new(t.Counters.BytesRelayed), t.Counters.OwnBytes
	case r.Report != nil:
		if r.Err == nil {
			row.Status = usageOld
		}
		row.Users = new(uint64(max(0, r.Report.ConnectedPeers)))
	default:
		row.Status = usageUnreachable
	}
	return row
}

// price adds what the provider says of each machine.
func (v *usageView) price(quote fleet.Observed[fleet.Quote]) {
	if quote.Err != nil {
		v.Notes = append(v.Notes, "prices and transfer are not known: "+oneLine(quote.Err.Error()))
		return
	}
	q := quote.Value
	v.Cost.Currency = q.Currency
	if q.Currency == "" {
		v.free = true
		v.Notes = append(v.Notes, "the machines cost nothing, and no transfer is counted")
		return
	}
	for _, line := range q.Now {
		for i := range v.Relays {
			row := &v.Relays[i]
			if row.Node != line.Node || row.machine != line.ID { // of a node there are two machines while one replaces the other
				continue
			}
			if q.Priced(line) {
				row.Monthly = new(line.Monthly)
			}
			if line.Transfer > 0 {
				row.Transfer = new(uint64(line.Transfer))
			}
		}
	}
	if v.Cost.Monthly = q.Monthly().Known(); v.Cost.Monthly == nil {
		v.Notes = append(v.Notes, "the provider names no price for some machines, so the sum is not known")
	}
}

// sum adds up what is known.
func (v *usageView) sum() {
	t := &v.Total
	transfer := true
	for _, r := range v.Relays {
		if r.Reservations == nil || r.ReservationLimit == nil {
			t.ReservationsPartial = true
		} else {
			t.Reservations = new(*r.Reservations + valueOr(t.Reservations, 0))
			t.ReservationLimit = new(*r.ReservationLimit + valueOr(t.ReservationLimit, 0))
		}
		switch {
		case r.repeats:
		case r.BytesMonth == nil:
			t.BytesPartial = true
		default:
			t.BytesMonth = new(*r.BytesMonth + valueOr(t.BytesMonth, 0))
			t.BytesPartial = t.BytesPartial || r.BytesAtLeast
		}
		if r.Transfer == nil {
			transfer = false
		} else {
			t.Transfer = new(*r.Transfer + valueOr(t.Transfer, 0))
		}
	}
	if !transfer {
		t.Transfer = nil // a part of it would look like all of it
	}
}

// peers adds who was active, and what each of them costs.
func (v *usageView) peers(active stats.Figure) {
	v.ActivePeers = usagePeers{AtLeast: active.AtLeast, Error: active.Error, Missing: active.Missing, AsOf: active.Since.Time}
	if v.ActivePeers.Missing == nil {
		v.ActivePeers.Missing = []string{}
	}
	if active.Value == nil {
		return
	}
	v.ActivePeers.Value = new(uint64(*active.Value))
	if v.Cost.Monthly != nil && *active.Value > 0 {
		v.Cost.PerPeer, v.Cost.AtMost = new(*v.Cost.Monthly / *active.Value), active.AtLeast
	}
}

// problem names who did not answer, or not in full: exit 3.
func (v usageView) problem() error {
	var errs []error
	for _, r := range v.Relays {
		if r.Error != "" || r.Status == usageUnreachable {
			err := fmt.Errorf("%s: %s: %s", r.Node, r.Status, r.Error)
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, hintOf(r.Node, r.Status == usageUnreachable, err))))
		}
	}
	return errors.Join(errs...)
}

// compareNodes orders by region, then nyc1-2 before nyc1-10.
func compareNodes(regionA, nodeA, regionB, nodeB string) int {
	if c := strings.Compare(regionA, regionB); c != 0 {
		return c
	}
	if c := len(nodeA) - len(nodeB); c != 0 {
		return c
	}
	return strings.Compare(nodeA, nodeB)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// positive is unknown for 0, where a relay says 0 of what it does not know.
func positive(v uint64) *uint64 {
	if v == 0 {
		return nil
	}
	return &v
}

func valueOr[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}
