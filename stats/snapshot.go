package stats

import "time"

// Snapshot is what a fleet counts at one time. A nil pointer is unknown: null in JSON,
// never 0. The lists are never nil.
type Snapshot struct {
	GeneratedAt         time.Time  `json:"generated_at"`                  // UTC, whole seconds
	LifetimeUniquePeers *uint64    `json:"lifetime_unique_peers"`         // distinct keys in all registries that were read, and in the history
	Connected           *uint64    `json:"sum_connected_across_relays"`   // a peer on two relays counts twice
	Peak                *uint64    `json:"peak_concurrent_per_relay_max"` // of the relay with the largest
	HolePunches         HolePunch  `json:"hole_punches"`
	Reservations        *uint64    `json:"relay_reservations_accepted"` // since each relay's first start; of the relays that tell
	Circuits            *uint64    `json:"relay_circuits_established"`  // likewise
	Relays              []RelayRow `json:"relays"`                      // one for each reading, by region and node
	Unreachable         []string   `json:"unreachable"`                 // nodes that sent no report, in the order of Relays
	Partial             bool       `json:"partial"`                     // something was not read, or is damaged: see the rows. Not what an old daemon does not count, nor HistoryMissing

	// HistorySince is from when the history is that is in LifetimeUniquePeers and in those
	// active lately; zero: these are of the registries alone, and fall when a relay loses its.
	HistorySince Time `json:"history_since"`
	// HistoryMissing are nodes that left the fleet and whose census was not read to its end
	// before, by that history: whom they alone met since their last whole reading is missing, and
	// LifetimeUniquePeers is at least so much.
	HistoryMissing []string `json:"history_missing"`

	// Of all these peers, how many were seen lately.
	Active24h *uint64 `json:"active_peers_24h"`
	Active7d  *uint64 `json:"active_peers_7d"`
	Active30d *uint64 `json:"active_peers_30d"`
	// Overlap is how many peers exactly 1, 2, 3, … registries know; empty if none was read.
	Overlap []uint64 `json:"relay_overlap"`
	// Who is no user: the fleet's own relays in the registries, the entries of probes there
	// (only daemons of old make some), and the connections of relays and probes that are
	// open now, summed over the relays that tell them apart.
	OwnKnown    *uint64 `json:"fleet_relays_in_registries"`
	ProbesKnown *uint64 `json:"probes_in_registries"`
	FleetRelays *uint64 `json:"fleet_relays_connected"`
	Probes      *uint64 `json:"probes_connected"`
}

// HolePunch counts hole punches. Relays cannot see how one ended: nil is "not observable".
type HolePunch struct {
	Succeeded *uint64 `json:"succeeded"`
	Failed    *uint64 `json:"failed"`
}

// Rate is the part of the hole punches that succeeded, 0 to 1; false if there is none
// to speak of.
func (h HolePunch) Rate() (float64, bool) {
	if h.Succeeded == nil || h.Failed == nil || *h.Succeeded+*h.Failed == 0 {
		return 0, false
	}
	return float64(*h.Succeeded) / (float64(*h.Succeeded) + float64(*h.Failed)), true
}

// Status says how much of a relay was read.
type Status string

// The statuses of a row.
const (
	StatusOK          Status = "ok"
	StatusOld         Status = "old"         // all was read that its old API and its files have, which is less
	StatusPartial     Status = "partial"     // it sent a report, but something is missing or damaged
	StatusUnreachable Status = "unreachable" // it sent no report
)

// Whole reports whether all was read that the relay has.
func (s Status) Whole() bool { return s == StatusOK || s == StatusOld }

// RelayRow is one relay in a snapshot.
type RelayRow struct {
	Region              string    `json:"region"`
	Node                string    `json:"node"`
	PeerID              string    `json:"peer_id"` // "" if unknown
	Status              Status    `json:"status"`
	Error               string    `json:"error,omitempty"` // why something is missing, on one line
	Connected           *uint64   `json:"connected"`
	Peak                *uint64   `json:"peak"`
	LifetimeUniquePeers *uint64   `json:"lifetime_unique_peers"` // in its registry, without the fleet's relays and probes
	NATStatus           *string   `json:"nat_status"`
	HolePunches         HolePunch `json:"hole_punches"`
	Reservations        *uint64   `json:"relay_reservations_accepted"`
	Circuits            *uint64   `json:"relay_circuits_established"`
	UptimeSecs          *uint64   `json:"uptime_secs"`
	Warnings            []string  `json:"warnings"`
	FleetRelays         *uint64   `json:"fleet_relays_connected"` // no users; an old daemon does not tell
	Probes              *uint64   `json:"probes_connected"`       // likewise
	ClockAheadSecs      *int64    `json:"clock_ahead_secs"`       // of its clock before ours, negative if it is behind
	Old                 *bool     `json:"old"`                    // it has neither telemetry nor deltas; nil: it did not answer
}
