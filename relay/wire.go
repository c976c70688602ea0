package relay

// censusEntry is one peer in bootnode-peers.json.
type censusEntry struct {
	PeerPubkey      string `json:"peer_pubkey"` // raw public key in base64
	LastPeerID      string `json:"last_peer_id"`
	FirstSeenAt     int64  `json:"first_seen_at"` // UNIX seconds
	LastSeenAt      int64  `json:"last_seen_at"`
	Tier            string `json:"tier"`
	AddressType     string `json:"address_type"`
	ConnectionCount uint64 `json:"connection_count"`
}

// censusReport is the answer of /api/bootstrap/census.
type censusReport struct {
	Enabled             bool           `json:"enabled"`
	LifetimeUniquePeers uint64         `json:"lifetime_unique_peers"`
	ActiveLast24h       uint64         `json:"active_last_24h"`
	ActiveLast7d        uint64         `json:"active_last_7d"`
	ByTier              map[string]int `json:"by_tier"`
	ByAddressType       map[string]int `json:"by_address_type"`
	GeneratedAt         int64          `json:"generated_at"`
}

// statsReport is the answer of /api/stats.
type statsReport struct {
	PeerID                    string         `json:"peer_id"`
	ConnectedPeers            int            `json:"connected_peers"`
	UptimeSecs                uint64         `json:"uptime_secs"`
	MeshPeersCount            int            `json:"mesh_peers_count"`
	SubscribedTopics          []string       `json:"subscribed_topics"`
	ListenAddrs               []string       `json:"listen_addrs"`
	PeakConcurrentPeers       int            `json:"peak_concurrent_peers"`
	LifetimeUniquePeerIDs     uint64         `json:"lifetime_unique_peer_ids"`
	PeersJoinedTotal          uint64         `json:"peers_joined_total"`
	PeersLeftTotal            uint64         `json:"peers_left_total"`
	JoinsPerMinute            minutes        `json:"joins_per_minute"`
	LeavesPerMinute           minutes        `json:"leaves_per_minute"`
	MeshPeersPerTopic         map[string]int `json:"mesh_peers_per_topic"`
	RoutingTableSize          int            `json:"routing_table_size"`
	TimeToFirstPeerMs         *uint64        `json:"time_to_first_peer_ms"`
	AddressTypes              map[string]int `json:"address_types"`
	RelayReservationsAccepted uint64         `json:"relay_reservations_accepted"`
	RelayCircuitsEstablished  uint64         `json:"relay_circuits_established"`
	HolePunchesSucceeded      *uint64        `json:"hole_punches_succeeded"` // null: not observable at a relay
	HolePunchesFailed         *uint64        `json:"hole_punches_failed"`
	NATStatus                 string         `json:"nat_status"`
	BytesReceivedPerTopic     map[string]int `json:"bytes_received_per_topic"`
	BytesPublishedPerTopic    map[string]int `json:"bytes_published_per_topic"`
	SkillsPublished           uint64         `json:"skills_published"`
	SkillsReceived            uint64         `json:"skills_received"`
	SkillLatencyP50Ms         *uint64        `json:"skill_latency_p50_ms"`
	SkillLatencyP95Ms         *uint64        `json:"skill_latency_p95_ms"`
	SkillLatencySamples       int            `json:"skill_latency_samples"`
}
