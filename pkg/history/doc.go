// Package history keeps what was read of a fleet's relays, so that figures can be given
// for any time and nothing is counted twice.
//
// A [Store] is one SQLite file, telemetry.db under the fleet's state directory, that
// sqlite3 and DuckDB read as it is; docs/privacy.md names its tables, what is kept in
// them and for how long. [Store.Ingest] takes the readings of one collection in as one
// transaction, the cursors of the censuses with them: a collector that is killed at any
// moment leaves either all of a collection or nothing of it, and taking the same readings
// in twice changes nothing. Everything else reads.
//
// Three rules hold in every answer. A relay that did not answer is named and the figure
// says "at least". What is not known is a nil value, never 0. Totals never fall and never
// count anything double, whatever happens to a relay's counters, census or key; only two
// things lower one, and both are said: an operator forgot a peer, or a key turned out to
// be the fleet's own.
//
// There are no addresses in the store: the family of one is all that is kept.
package history
