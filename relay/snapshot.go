package relay

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/stats"
)

// figures is the ledger at one time, for the reports.
type figures struct {
	users        int
	fleet        int
	probes       int
	circuits     int // open, of users
	ownCircuits  int // open, of probes and of relays of the fleet
	firstPeer    time.Duration
	addressTypes map[string]int
	counters     counters
	lifetime     uint64
}

func (l *ledger) figures() figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := figures{
		users: l.users, firstPeer: l.firstPeer, addressTypes: make(map[string]int),
		lifetime: uint64(len(l.registry.entries)) + l.counters.Forgotten,
	}
	for _, kind := range stats.AddressTypes() {
		f.addressTypes[kind] = 0
	}
	for _, s := range l.sessions {
		switch s.kind {
		case user:
			f.addressTypes[s.addrType]++
			f.circuits += s.flow.open
		case fleetRelay:
			f.fleet++
			f.ownCircuits += s.flow.open
		case prober:
			f.probes++
			f.ownCircuits += s.flow.open
		case unidentified:
		}
	}
	f.counters = l.counters
	f.counters.Joins, f.counters.Leaves = slices.Clone(l.counters.Joins), slices.Clone(l.counters.Leaves)
	f.counters.Epoch = nil
	return f
}

// saved copies the counters as they are written down. Callers hold mu.
func (l *ledger) saved(now time.Time) counters {
	c := l.counters
	c.Joins, c.Leaves = slices.Clone(c.Joins), slices.Clone(c.Leaves)
	c.Epoch = c.Epoch.clone()
	c.Epoch.BytesRelayed, c.Epoch.OwnBytes = l.bytes.Load(), new(l.ownBytes.Load())
	c.Epoch.Open = newLengths()
	for _, s := range l.sessions {
		if s.kind == user {
			c.Epoch.Open.add(now.Sub(s.since))
		}
	}
	return c
}

// countersNow is what is written to disk of the counters.
func (l *ledger) countersNow(now time.Time) counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.saved(now)
}

// survey is what is written to disk: the census, in no order, and the counters of one
// moment. Users that are connected are seen now. Sorting a large census takes longer than
// others may wait.
func (l *ledger) survey(now time.Time) ([]tracked, counters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touchUsers(now)
	return l.registry.all(), l.saved(now)
}

// minute is the end of a whole minute.
func (l *ledger) minute(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touchUsers(now)
	l.counters.Epoch.minute(now, l.users)
}

func (l *ledger) touchUsers(now time.Time) {
	for _, s := range l.sessions {
		if s.kind == user {
			l.registry.touch(s.key, now, false)
		}
	}
}

// census is the answer of /api/bootstrap/census.
func (l *ledger) census(now time.Time) stats.Census {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touchUsers(now)
	c := l.registry.summary(now)
	c.LifetimeUniquePeers += l.counters.Forgotten
	return c
}

// merge takes the entries of another census in. The fleet's own relays stay out.
// Merging the same ones again changes nothing.
func (l *ledger) merge(entries []stats.CensusEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ours := make(map[string]bool)
	for p := range l.fleet {
		if key, err := publicKey(p, nil); err == nil {
			ours[key] = true
		}
	}
	entries = slices.DeleteFunc(entries, func(e stats.CensusEntry) bool { return ours[e.PeerPubkey] })
	l.counters.Forgotten += l.registry.merge(entries)
}

// reservations counts those that have not expired and lists the first of them, by peer ID.
func (l *ledger) reservations(now time.Time, most int) (int, []stats.Reservation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.reservation, func(_ peer.ID, until time.Time) bool { return !until.After(now) })
	list := make([]stats.Reservation, 0, len(l.reservation))
	for p, until := range l.reservation {
		list = append(list, stats.Reservation{Peer: p.String(), ExpiresAt: until.Unix()})
	}
	slices.SortFunc(list, func(a, b stats.Reservation) int { return cmp.Compare(a.Peer, b.Peer) })
	return len(list), list[:min(len(list), most)]
}

// peerDetail is one connected user in /api/peers.
type peerDetail struct {
	Addrs       []string `json:"addrs"`
	ConnectedAt int64    `json:"connected_at"` // UNIX seconds
	Agent       string   `json:"agent"`
	Tier        string   `json:"tier"`
	AddressType string   `json:"address_type"`
}

// peers lists at most so many of the users, by peer ID.
func (l *ledger) peers(most int) (int, map[string]peerDetail) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := slices.Sorted(maps.Keys(l.sessions))
	details := make(map[string]peerDetail)
	for _, p := range ids {
		s := l.sessions[p]
		if s.kind != user || len(details) == most {
			continue
		}
		d := peerDetail{Addrs: []string{}, ConnectedAt: s.since.Unix(), Agent: s.agent, Tier: s.tier, AddressType: s.addrType}
		if s.addr != nil {
			d.Addrs = append(d.Addrs, s.addr.String())
		}
		details[p.String()] = d
	}
	return l.users, details
}

// restore takes the counters of an earlier process. Whoever was connected when that
// one died has left.
func (l *ledger) restore(c counters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Left = c.Joined
	if c.Epoch == nil {
		c.Epoch = newEpoch()
	}
	c.Epoch.crashed()
	l.counters = c
	l.bytes.Store(c.Epoch.BytesRelayed)
	if own := c.Epoch.OwnBytes; own != nil {
		l.ownBytes.Store(*own)
	}
	l.began = c.Epoch.Plus(stats.Counters{})
}

// sinceStart is what the epoch counted in this process. After a crash, the epoch has
// forgotten what was not written: series that do not begin with the process would fall,
// and Prometheus would count everything again.
func (l *ledger) sinceStart() stats.Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.counters.Epoch.Plus(stats.Counters{})
	now.BytesRelayed, now.OwnBytes = l.bytes.Load(), new(l.ownBytes.Load())
	return now.Since(l.began)
}
