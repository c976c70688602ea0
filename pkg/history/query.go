package history

import (
	"context"
	"fmt"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Step is the length of a point in a series: a minute, an hour, or a day, a week or a
// month of the calendar in a time zone.
type Step string

// The steps, as they are written.
const (
	StepMinute Step = "1m"
	StepHour   Step = "1h"
	StepDay    Step = "1d"
	StepWeek   Step = "1w" // from Monday
	StepMonth  Step = "1M"
)

// Steps are the accepted steps, shortest first.
func Steps() []Step { return []Step{StepMinute, StepHour, StepDay, StepWeek, StepMonth} }

// ParseStep reads a step; "minute", "hour", "day", "week" and "month" are accepted too.
func ParseStep(text string) (Step, error) {
	names := []string{"minute", "hour", "day", "week", "month"}
	for i, s := range Steps() {
		if text == string(s) || text == names[i] {
			return s, nil
		}
	}
	return "", fmt.Errorf("step %q: accepted are 1m, 1h, 1d, 1w and 1M", clean(text, 20))
}

// Query says which part of the history is wanted, and how finely.
type Query struct {
	Since    time.Time // zero: from the first collection on
	Until    time.Time // zero: until the last collection
	Step     Step      // "": the finest that gives no more than some hundred points
	Location *time.Location
	By       bool // split by the metric's dimension; without one, by relay
}

// Series is a metric over time: one series for the whole fleet or, with q.By, one for each
// part, sorted by label. Points stand at the beginning of every step from q.Since to
// q.Until, also where nothing is known: their value is nil. An unknown metric or a step
// that the metric is not kept by is an error.
func (s *Store) Series(ctx context.Context, metric string, q Query) ([]stats.Series, error) {
	return nil, ctx.Err()
}

// Figures is every metric at one time.
type Figures struct {
	At     time.Time                          `json:"at"`     // UTC; when the collection was that they are of
	Values map[string]stats.Figure            `json:"values"` // by metric; split ones too, as their sum where that has a meaning
	Parts  map[string]map[string]stats.Figure `json:"parts"`  // of split metrics: by metric, then by label
}

// Figures gives every metric as of a time: that of the last collection at or before it.
// Periods (new peers, joins, bytes) are those of the 24 hours until then. In an empty
// store every value is nil.
func (s *Store) Figures(ctx context.Context, at time.Time) (Figures, error) {
	return Figures{}, ctx.Err()
}

// Cohort is the peers that were first seen in one week.
type Cohort struct {
	Week  time.Time `json:"week"`  // its Monday, 00:00 UTC
	Peers uint64    `json:"peers"` // how many
	// Active is how many of them were seen again so many weeks later: [0] is the week
	// itself, all of them. The last one is the week of now, which is not over.
	Active []stats.Figure `json:"active"`
}

// Cohorts is the retention by weekly cohort: of the newest weeks, at most most, oldest
// first. Weeks are those of UTC.
func (s *Store) Cohorts(ctx context.Context, at time.Time, most int) ([]Cohort, error) {
	return nil, ctx.Err()
}

// Change is one figure at two times.
type Change struct {
	Metric string       `json:"metric"`
	Label  string       `json:"label"` // "" for the whole fleet
	Unit   string       `json:"unit"`
	Before stats.Figure `json:"before"`
	After  stats.Figure `json:"after"`
	// Delta is After less Before; nil if one of them is unknown. For periods (new peers,
	// joins, bytes) both are of the time between: Before is nil, After and Delta are what
	// was counted in it.
	Delta *float64 `json:"delta"`
}

// Diff is what changed in a fleet between two times.
type Diff struct {
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Changes []Change  `json:"changes"`
	Events  []Event   `json:"events"` // of the time between, oldest first
}

// Diff compares two times.
func (s *Store) Diff(ctx context.Context, since, until time.Time) (Diff, error) {
	return Diff{}, ctx.Err()
}

// Overlap is how many peers are known to exactly so many relays.
type Overlap struct {
	Relays int    `json:"relays"`
	Peers  uint64 `json:"peers"`
}

// Overlap counts peers by how many relays know them, fewest relays first.
func (s *Store) Overlap(ctx context.Context) ([]Overlap, error) { return nil, ctx.Err() }

// EventKind names what happened.
type EventKind string

// The kinds of events.
const (
	EventUnreachable EventKind = "unreachable" // the relay did not answer
	EventReturned    EventKind = "returned"    // it answers again
	EventReimaged    EventKind = "reimaged"    // its counters or its census began anew
	EventRotated     EventKind = "rotated"     // it has another peer ID than before
	EventDamaged     EventKind = "damaged"     // its registry or its counters are damaged
	EventRepaired    EventKind = "repaired"    // they are not any more
	EventClockSkew   EventKind = "clock_skew"  // its clock differs from ours by more than a minute
	EventCounterFell EventKind = "counter_fell"
	EventJoined      EventKind = "joined"  // it was read for the first time
	EventRetired     EventKind = "retired" // it is in the fleet no longer
	EventClockBack   EventKind = "clock_back"
	EventForgot      EventKind = "forgot" // a peer was erased; it does not say which
)

// Event is something that happened to a relay, or to the collector.
type Event struct {
	At   time.Time `json:"at"`
	Node string    `json:"node"` // "" for the collector
	Kind EventKind `json:"kind"`
	Text string    `json:"text"` // one line, clean
}

// Events are those from since until until, oldest first, the newest most of them; 0 is
// all. A zero time is no bound.
func (s *Store) Events(ctx context.Context, since, until time.Time, most int) ([]Event, error) {
	return nil, ctx.Err()
}

// Relay is what is known of one relay.
type Relay struct {
	Node      string            `json:"node"`
	Region    string            `json:"region"`
	PeerID    string            `json:"peer_id"`    // "" if unknown
	FirstRead time.Time         `json:"first_read"` // of the first collection that had it in the fleet
	LastRead  time.Time         `json:"last_read"`  // when it answered last; zero: never
	LastTried time.Time         `json:"last_tried"` // when it was asked last
	Retired   time.Time         `json:"retired"`    // since when it is in the fleet no longer; zero: it is in it
	Error     string            `json:"error"`      // why it did not answer when it was asked last; "" if it did
	Skew      time.Duration     `json:"skew"`       // how far its clock is ahead of ours
	Old       bool              `json:"old"`        // it has no telemetry: read through its files
	Damaged   []string          `json:"damaged"`    // what is wrong with its files
	Gauges    *stats.Gauges     `json:"gauges"`     // of its last answer; nil: none
	Peers     uint64            `json:"peers"`      // that it knows, the fleet's own left out
	Totals    map[string]uint64 `json:"totals"`     // its counters, added up over all their lives; "name" or "name/label"
}

// Relays are the relays of the fleet, the retired ones too, by region and node.
func (s *Store) Relays(ctx context.Context) ([]Relay, error) { return nil, ctx.Err() }
