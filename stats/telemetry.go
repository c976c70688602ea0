package stats

// Telemetry is the answer of /api/telemetry?since=MINUTE: what a relay counted, in a form
// that a collector can add up. Fields are only ever added.
type Telemetry struct {
	PeerID string `json:"peer_id"`
	// Now is the relay's clock, UNIX seconds: a collector learns from it by how much that
	// clock is wrong.
	Now       int64 `json:"now"`
	StartedAt int64 `json:"started_at"` // of this process, UNIX seconds, by the relay's clock
	// Epoch names one life of the counters, 32 hex digits. They survive a restart and begin
	// again under another epoch: a new machine, a damaged file. Within an epoch no counter
	// ever falls.
	Epoch    string   `json:"epoch"`
	Registry string   `json:"registry"` // names one life of the census likewise; see [Delta]
	Cursor   string   `json:"cursor"`   // of the census now: equal to the one held means that nothing is new
	Counters Counters `json:"counters"`
	Gauges   Gauges   `json:"gauges"`
	// Minutes is how many users were connected at the end of each whole minute from the
	// asked one on: UNIX seconds of the minute's begin, users. Oldest first, at most 1,440;
	// a minute in which no relay ran is missing.
	Minutes [][2]int64 `json:"minutes"`
	// Damaged says what is wrong with the files that the relay counts in; empty if nothing.
	Damaged []string `json:"damaged"`
	// Lifetime is what the state directory counted since its first start, before this epoch
	// too. Nil: the relay does not say.
	Lifetime *Lifetime `json:"lifetime"`
}

// Lifetime are the counts of a relay over all restarts, as its report has them. A
// collector adds up Counters: these begin again with a lost file, and nothing says so.
type Lifetime struct {
	Joined   uint64 `json:"joined"`
	Left     uint64 `json:"left"`
	Granted  uint64 `json:"reservations_granted"`
	Circuits uint64 `json:"circuits_opened"`
	Peak     int    `json:"peak_users"` // at once
}

// Counters only grow within an epoch. All were counted at the relay, without the fleet's
// own relays and probes, but OwnBytes.
type Counters struct {
	Joined         uint64            `json:"joined"` // users that connected
	Left           uint64            `json:"left"`
	Granted        uint64            `json:"reservations_granted"` // renewals are counted apart
	Renewed        uint64            `json:"reservations_renewed"`
	RefusedReserve map[string]uint64 `json:"reservations_refused"` // by the status sent: "RESERVATION_REFUSED", …
	Circuits       uint64            `json:"circuits_opened"`
	RefusedCircuit map[string]uint64 `json:"circuits_refused"`
	BytesRelayed   uint64            `json:"bytes_relayed"`  // over circuits that users opened, both directions
	Sessions       uint64            `json:"sessions_ended"` // from a user's first connection to the end of its last
	SessionSecs    uint64            `json:"session_seconds"`
	SessionLengths []uint64          `json:"session_lengths"` // how many were at most so long; see [SessionBounds]
	ByTransport    map[string]uint64 `json:"joined_by_transport"`
	ByFamily       map[string]uint64 `json:"joined_by_family"`
	ByAgent        map[string]uint64 `json:"joined_by_agent"` // the name in the agent string; at most 64, the rest is "other"
	ByVersion      map[string]uint64 `json:"joined_by_version"`
	ByTier         map[string]uint64 `json:"joined_by_tier"`
	// Hole punches as clients reported them; nil: none does, and a relay cannot see them.
	PunchesSucceeded *uint64 `json:"hole_punches_succeeded"`
	PunchesFailed    *uint64 `json:"hole_punches_failed"`
	// OwnBytes are as BytesRelayed over circuits of peers that say that they are probes or
	// relays of the fleet, which anybody can; nil: an earlier daemon, which does not tell.
	OwnBytes *uint64 `json:"own_bytes_relayed"`
}

// Gauges are of the moment.
type Gauges struct {
	Users            int    `json:"users"`
	FleetRelays      int    `json:"fleet_relays"`
	Probes           int    `json:"probes"`
	Peak             int    `json:"peak_users"` // at once, in this epoch
	Reservations     int    `json:"reservations"`
	ReservationLimit int    `json:"reservation_limit"`
	Circuits         int    `json:"circuits"` // that users opened
	NATStatus        string `json:"nat_status"`
	DiskFree         uint64 `json:"disk_free_bytes"` // of the state directory's file system; 0 and 0 is unknown
	DiskTotal        uint64 `json:"disk_total_bytes"`
	Memory           uint64 `json:"memory_bytes"`       // resident, of the process
	MemoryLimit      uint64 `json:"memory_limit_bytes"` // of its control group or the machine; 0 is unknown
}

// SessionBounds are the upper bounds of Counters.SessionLengths in seconds; one more
// element counts what is longer. Each element counts its own range alone.
func SessionBounds() []uint64 { return []uint64{10, 60, 300, 900, 3600, 6 * 3600, 24 * 3600} }

// Delta is the first line of /api/census/delta?after=CURSOR. Lines of [CensusEntry]
// follow, one JSON object each, oldest change first, and at last a [DeltaEnd]: a transfer
// without that was cut off.
type Delta struct {
	Registry string `json:"registry"` // one life of the census, 32 hex digits
	// Full says that what follows is the whole census from its beginning: no cursor was
	// given, or one that this census did not make.
	Full bool `json:"full"`
}

// DeltaEnd is the last line. Cursor is what to ask for next, made of the registry and a
// number that grows with each change; it means the same after a restart and after a
// compaction. With More, the next page is asked for at once.
type DeltaEnd struct {
	Cursor  string `json:"cursor"`
	Entries int    `json:"entries"` // lines before this one, without the first
	More    bool   `json:"more"`
}

// DeltaPage is how many entries one answer has at most.
const DeltaPage = 10_000
