package stats

import (
	"slices"
	"strings"
)

// BrokenError means that what arrived is no census, or none from some place on: the relay
// keeps, or sends, something else. That a transfer ended early is none, and says nothing of
// the census.
type BrokenError struct{ Err error }

func (e *BrokenError) Error() string { return e.Err.Error() }

// Unwrap is what is wrong with the text.
func (e *BrokenError) Unwrap() error { return e.Err }

// DamagesCensus reports whether what a relay says in [Telemetry.Damaged] is, or may be, about
// what it knows of peers. What it says of the files of its counters and its cursors is not:
// where these were lost, its census is still whole.
func DamagesCensus(text string) bool {
	return !damagesCounters(text) && !strings.HasPrefix(text, "relay-cursors.json ")
}

// damagesCounters reports whether it is about what the relay counted.
func damagesCounters(text string) bool { return strings.HasPrefix(text, "relay-counters.json ") }

// CensusWhole reports whether all that the relay knows of peers was read, whatever else of it
// is missing.
func (r *RelayRow) CensusWhole() bool {
	return r.Status.Whole() || r.Status == StatusPartial && r.Error == "" && !slices.ContainsFunc(r.Warnings, DamagesCensus)
}

// CountersDamaged reports whether the relay lost what it had counted: what it tells of
// reservations and circuits is at least so much.
func (r *RelayRow) CountersDamaged() bool { return slices.ContainsFunc(r.Warnings, damagesCounters) }
