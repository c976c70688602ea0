package stats

import "time"

// Past is what a history knows of a fleet, for [MergeOnto]: everybody who was ever in a
// census, also in one that a relay has lost since. Not safe for concurrent use.
type Past struct {
	// Missing are the nodes that left the fleet and whose census was not read to its end before,
	// sorted: nobody will ever know whom they alone met since their last whole reading.
	Missing []string

	since  time.Time
	peers  *Peers // of no census; who turned out to be a relay or a probe since is among them
	own    [][32]byte
	probes map[[32]byte]bool
}

// NewPast is a history that begins at a time, and knows nobody yet.
func NewPast(since time.Time) *Past {
	return &Past{Missing: []string{}, since: since, peers: NewPeers(nil), probes: make(map[[32]byte]bool)}
}

// Peer adds a peer by its raw public key, with the UNIX seconds of its first and its last
// sight.
func (p *Past) Peer(key []byte, first, last int64) { p.peers.note(keyOfRaw(key), first, last) }

// Relay adds the raw public key of a relay of the fleet, also one that it has no longer.
func (p *Past) Relay(key []byte) { p.own = append(p.own, keyOfRaw(key)) }

// Probe adds the raw public key of a probe of fleetctl.
func (p *Past) Probe(key []byte) { p.probes[keyOfRaw(key)] = true }

// with is the set to count in, which leaves the fleet's own out: those of now, and those that
// the past knows.
func (p *Past) with(own [][32]byte) *Peers {
	if p == nil {
		return NewPeers(own)
	}
	for _, key := range append(own, p.own...) {
		p.peers.own[key] = false
	}
	return p.peers
}

// noteProbe takes in that a registry tells that a key is that of a probe, which the past may
// have taken for a peer.
func (p *Past) noteProbe(key [32]byte) {
	if p != nil {
		p.probes[key] = true
	}
}

// isProbe reports whether the past knows a key as that of a probe.
func (p *Past) isProbe(key [32]byte) bool { return p != nil && p.probes[key] }
