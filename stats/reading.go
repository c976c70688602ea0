package stats

import "time"

// Reading is what was learned of one relay. Every part may be missing: unknown is nil,
// and partial failure is data.
type Reading struct {
	Node     string // "nyc1-1"
	Region   string // "nyc1"
	Machine  string // the provider's ID of the machine, "" where there is none
	PeerID   string // who the relay should be, where known otherwise (from DNS, from the box); "" if not
	Report   *Report
	Census   *Census
	Registry []CensusEntry // nil: not read; empty: it has met nobody
	Err      error         // the first reason why a part is missing
	Warnings []string      // what the operator should know beside it: "registry: entry 7: …"
	// Broken is a [BrokenError] of its census, nil if there was none; it is in Err or in
	// Warnings, too. What was only not read, or not to its end, is none.
	Broken error

	// What a collector reads instead of a whole report; see pkg/host, Hosts.Collect.
	Telemetry *Telemetry
	// Delta is what changed in the census after the cursor that was given, oldest change
	// first. Nil: not read; empty: nothing changed. A relay that has no deltas leaves it
	// nil and fills Registry.
	Delta []CensusEntry
	// DeltaFull says that Delta is the whole census: the cursor was none of this census.
	DeltaFull bool
	// Cursor is what to give to the next Collect; it means nothing to others. "" is all
	// from the beginning. It covers no more than what was read here and before, also when
	// the transfer was cut off.
	Cursor string
	At     time.Time     // when the reading began, by our clock; zero is unknown
	Took   time.Duration // how long it took
	// Answered is when the telemetry, or the report of an old relay, had arrived, by our
	// clock; zero is unknown. A census may take much longer.
	Answered time.Time
	// LeftOut is how many entries of the census made no sense, and are not in Registry or Delta.
	LeftOut int
	// Old says that the relay has neither telemetry nor deltas: its files and its old API
	// were read. Unknown, and false, of one that did not answer.
	Old bool
}
