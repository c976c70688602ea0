package stats

import "time"

// Report is the answer of /api/stats. Pointers are nil, null in JSON, where a relay
// cannot know. Fields are only ever added.
type Report struct {
	PeerID                string            `json:"peer_id"`
	ConnectedPeers        int               `json:"connected_peers"` // users now, without the fleet's own
	UptimeSecs            uint64            `json:"uptime_secs"`
	MeshPeersCount        int               `json:"mesh_peers_count"`
	SubscribedTopics      []string          `json:"subscribed_topics"`
	ListenAddrs           []string          `json:"listen_addrs"`
	PeakConcurrentPeers   int               `json:"peak_concurrent_peers"`
	LifetimeUniquePeerIDs uint64            `json:"lifetime_unique_peer_ids"`
	PeersJoinedTotal      uint64            `json:"peers_joined_total"`
	PeersLeftTotal        uint64            `json:"peers_left_total"`
	JoinsPerMinute        [][2]int64        `json:"joins_per_minute"`  // UNIX seconds of the minute's begin, count; the newest 60
	LeavesPerMinute       [][2]int64        `json:"leaves_per_minute"` // likewise
	MeshPeersPerTopic     map[string]int    `json:"mesh_peers_per_topic"`
	RoutingTableSize      int               `json:"routing_table_size"`
	TimeToFirstPeerMs     *uint64           `json:"time_to_first_peer_ms"` // nil: nobody came yet
	AddressTypes          map[string]int    `json:"address_types"`         // of the users now; see [AddressTypes]
	RelayReservations     uint64            `json:"relay_reservations_accepted"`
	RelayCircuits         uint64            `json:"relay_circuits_established"`
	HolePunchesSucceeded  *uint64           `json:"hole_punches_succeeded"` // nil: a relay cannot see them
	HolePunchesFailed     *uint64           `json:"hole_punches_failed"`    // likewise
	NATStatus             string            `json:"nat_status"`             // "unknown", "public" or "private"
	BytesReceivedTopic    map[string]uint64 `json:"bytes_received_per_topic"`
	BytesPublishedTopic   map[string]uint64 `json:"bytes_published_per_topic"`
	SkillsPublished       uint64            `json:"skills_published"`
	SkillsReceived        uint64            `json:"skills_received"`
	SkillLatencyP50Ms     *uint64           `json:"skill_latency_p50_ms"`
	SkillLatencyP95Ms     *uint64           `json:"skill_latency_p95_ms"`
	SkillLatencySamples   int               `json:"skill_latency_samples"`
}

// AddressTypes are the keys of Report.AddressTypes and Census.ByAddressType.
func AddressTypes() []string {
	return []string{"ipv4_public", "ipv4_private", "ipv6", "relay", "dns", "other"}
}

// Reservations is the answer of /api/reservations.
type Reservations struct {
	Active       int           `json:"active"` // held now
	Draining     bool          `json:"draining"`
	Circuits     int64         `json:"circuits"`     // open now
	Reservations []Reservation `json:"reservations"` // the first 1,000, by peer ID
}

// Reservation is one slot of a relay.
type Reservation struct {
	Peer      string `json:"peer"`
	ExpiresAt int64  `json:"expires_at,omitempty"` // UNIX seconds; 0 is unknown
}

// Version is the answer of /api/version.
type Version struct {
	Version   string     `json:"version"`
	Revision  string     `json:"revision"`
	Go        string     `json:"go"`
	SHA256    string     `json:"sha256"` // of the executable that runs, lower-case hex; empty if unreadable
	PeerID    string     `json:"peer_id,omitempty"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	Agent     string     `json:"agent,omitempty"` // "<name>/<version>/<tier>"
}

// Ready is the answer of /readyz.
type Ready struct {
	Ready     bool       `json:"ready"`
	Reason    string     `json:"reason"` // why not; empty when ready
	Draining  bool       `json:"draining"`
	Warnings  []string   `json:"warnings"` // what the operator should know: damaged files
	Listeners []Listener `json:"listeners"`
}

// Listener is one address that a relay was told to listen on.
type Listener struct {
	Address   string `json:"address"`   // as configured
	Transport string `json:"transport"` // "tcp", "quic-v1" or "ws"
	Up        bool   `json:"up"`
	Bound     string `json:"bound,omitempty"` // with the real port
	Error     string `json:"error,omitempty"`
}
