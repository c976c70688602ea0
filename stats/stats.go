// Package stats is what relays count, and how the counts of a fleet add up.
//
// A relay answers with a [Report] (/api/stats) and a [Census] (/api/bootstrap/census),
// and keeps a registry of everybody whom it ever met (bootnode-peers.json), a list of
// [CensusEntry]. Relays are not trusted to be well: [ParseReport], [ParseCensus] and
// [ParseRegistry] bound what they read and refuse negative counters, times in the
// future, invalid UTF-8 and wrong types, and the error names the field. A damaged
// entry of a registry is reported beside the entries that are sound ([DamagedError]).
//
// What was learned of one relay is a [Reading], in which every part may be missing:
// the report may have arrived and the registry be corrupt. [Merge] adds the readings of
// a fleet up to a [Snapshot]. Three rules hold there:
//
//   - Nobody vanishes. Every reading is a row of the snapshot, and those who did not
//     answer are named in Unreachable.
//   - Nothing is guessed. What no relay told is nil, null in JSON, an empty cell in
//     CSV; it is never 0. Hole punches happen between clients, where no relay can see
//     them, so that they are null for every relay that is honest.
//   - Nobody is counted twice. A peer is its public key, however many relays it met and
//     whatever it calls itself; the fleet's own relays and probes are not users.
//
// The package is told the time, opens no files and no connections, and imports only the
// standard library. Its functions are safe for concurrent use on different values.
package stats
