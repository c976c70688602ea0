package history

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Overlap is how many peers are known to exactly so many relays.
type Overlap struct {
	Relays int    `json:"relays"`
	Peers  uint64 `json:"peers"`
}

// Overlap counts peers by how many relays know them, fewest relays first.
func (s *Store) Overlap(ctx context.Context) ([]Overlap, error) {
	out := []Overlap{}
	err := s.read(ctx, func(q querier) error {
		return each(ctx, q, `SELECT relays, peers FROM overlap WHERE peers > 0 ORDER BY relays`, nil, func(scan func(...any) error) error {
			var o Overlap
			err := scan(&o.Relays, &o.Peers)
			out = append(out, o)
			return err
		})
	})
	return out, err
}

// EventKind names what happened.
type EventKind string

// The kinds of events.
const (
	EventJoined      EventKind = "joined"       // the relay is in the fleet from now on
	EventRetired     EventKind = "retired"      // it is in the fleet no longer
	EventUnreachable EventKind = "unreachable"  // it did not answer
	EventReturned    EventKind = "returned"     // it answers again
	EventReimaged    EventKind = "reimaged"     // its counters or its census began anew
	EventRotated     EventKind = "rotated"      // it has another peer ID than before
	EventDamaged     EventKind = "damaged"      // its registry or its counters are damaged
	EventRepaired    EventKind = "repaired"     // they are not any more
	EventClockSkew   EventKind = "clock_skew"   // its clock differs from ours by more than a minute
	EventCounterFell EventKind = "counter_fell" // a counter fell within its life
	EventClockBack   EventKind = "clock_back"   // our own clock was set back
	EventForgot      EventKind = "forgot"       // a peer was erased; it does not say which
)

// Event is something that happened to a relay, or to the collector.
type Event struct {
	At   time.Time `json:"at"`
	Node string    `json:"node"` // "" for the collector
	Kind EventKind `json:"kind"`
	Text string    `json:"text"` // one line, clean
}

// Events are those from since to before until, oldest first, the newest most of them; 0
// is all. A zero time is no bound.
func (s *Store) Events(ctx context.Context, since, until time.Time, most int) ([]Event, error) {
	var out []Event
	err := s.read(ctx, func(q querier) (err error) {
		out, err = events(ctx, q, since, until, most)
		return err
	})
	return out, err
}

func events(ctx context.Context, q querier, since, until time.Time, most int) ([]Event, error) {
	from, to := int64(0), forever
	if !since.IsZero() {
		from = since.Unix()
	}
	if !until.IsZero() {
		to = until.Unix()
	}
	if most <= 0 {
		most = -1
	}
	out := []Event{}
	err := each(ctx, q, `SELECT at, node, kind, text FROM events WHERE at >= ? AND at < ? ORDER BY id DESC LIMIT ?`, []any{from, to, most},
		func(scan func(...any) error) error {
			var e Event
			var at int64
			err := scan(&at, &e.Node, &e.Kind, &e.Text)
			e.At = stamp(at)
			out = append(out, e)
			return err
		})
	slices.Reverse(out)
	return out, err
}

// Relay is what is known of one relay.
type Relay struct {
	Node         string            `json:"node"`
	Region       string            `json:"region"`
	PeerID       string            `json:"peer_id"`       // "" if unknown
	Since        time.Time         `json:"since"`         // when it was first in the fleet, as far as is known
	LastAnswered time.Time         `json:"last_answered"` // zero: never
	LastCensus   time.Time         `json:"last_census"`   // when its census was last read whole; zero: never
	LastAsked    time.Time         `json:"last_asked"`
	Retired      time.Time         `json:"retired"`      // since when it is in the fleet no longer; zero: it is in it
	Error        string            `json:"error"`        // why it did not answer when it was asked last; "" if it did
	SkewSecs     int64             `json:"skew_seconds"` // how far its clock is ahead of ours
	Old          bool              `json:"old"`          // it has no telemetry: read through its files
	Damaged      []string          `json:"damaged"`      // what is wrong with its files; never nil
	Gauges       *stats.Gauges     `json:"gauges"`       // of its last answer; nil: none
	Peers        uint64            `json:"peers"`        // that it knows, the fleet's own left out
	Totals       map[string]uint64 `json:"totals"`       // its counters over all their lives: "joins", "circuits_refused/NO_RESERVATION"
}

// Relays are the relays of the fleet, the retired ones too, by region and node.
func (s *Store) Relays(ctx context.Context) ([]Relay, error) {
	out := []Relay{}
	err := s.read(ctx, func(q querier) error {
		ids := make(map[int64]int)
		err := each(ctx, q, `SELECT `+relayColumns+` FROM relays`, nil, func(scan func(...any) error) error {
			row, err := scanRelay(scan)
			if err != nil {
				return err
			}
			ids[row.id] = len(out)
			r, err := row.export()
			out = append(out, r)
			return err
		})
		if err != nil {
			return err
		}
		err = each(ctx, q, `SELECT relay, MIN(since) FROM members GROUP BY relay`, nil, func(scan func(...any) error) error {
			var id, since int64
			err := scan(&id, &since)
			out[ids[id]].Since = stamp(since)
			return err
		})
		if err != nil {
			return err
		}
		return each(ctx, q, `SELECT relay, name, label, value FROM totals`, nil, func(scan func(...any) error) error {
			var id int64
			var value uint64
			var name, label string
			err := scan(&id, &name, &label, &value)
			if label != "" {
				name += "/" + label
			}
			out[ids[id]].Totals[name] = value
			return err
		})
	})
	slices.SortFunc(out, func(a, b Relay) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(len(a.Node), len(b.Node)), cmp.Compare(a.Node, b.Node))
	})
	return out, err
}

func (r *relayRow) export() (Relay, error) {
	out := Relay{
		Node: r.node, Region: r.region, PeerID: r.peerID, LastAnswered: stamp(r.answered), LastCensus: stamp(r.census), LastAsked: stamp(r.tried),
		Error: r.err, SkewSecs: r.skew, Old: r.old, Damaged: r.damaged, Peers: uint64(max(0, r.peers)), Totals: make(map[string]uint64),
	}
	if r.retired != nil {
		out.Retired = stamp(*r.retired)
	}
	if r.gauges != nil {
		out.Gauges = new(stats.Gauges)
		if err := json.Unmarshal([]byte(*r.gauges), out.Gauges); err != nil {
			return out, err
		}
	}
	return out, nil
}
