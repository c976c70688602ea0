package relay

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/stats"
)

// kind says what a peer is to the counts. Only users are counted.
type kind int

const (
	unidentified kind = iota // connected, identify has not finished
	user
	fleetRelay
	prober
)

// session is one connected peer.
type session struct {
	kind        kind
	since       time.Time
	key         string // public key in base64
	agent, tier string
	addr        ma.Multiaddr
	addrType    string
	silent      bool            // identify failed
	early       *stats.Counters // what the peer used before it counted; nil is nothing
	flow        *flow
}

// ledger counts who uses the relay: peers, not connections. It is safe for
// concurrent use and is told the time.
type ledger struct {
	name, tier string // of this relay: another of the fleet calls itself the same

	mu          sync.Mutex
	started     time.Time
	firstPeer   time.Duration // after the start; 0 = none yet
	fleet       map[peer.ID]bool
	sessions    map[peer.ID]*session
	users       int
	reservation map[peer.ID]time.Time // until when
	registry    *registry
	counters    counters
	began       stats.Counters // of this process: what the epoch had counted before it

	// Counted without mu, by flows.
	bytes    atomic.Uint64 // relayed for users, in this epoch
	ownBytes atomic.Uint64 // the same for those that say that they are probes or relays of the fleet
}

func newLedger(cfg Config, started time.Time) *ledger {
	return &ledger{
		name: cfg.Name, tier: cfg.Tier, started: started,
		fleet:       make(map[peer.ID]bool),
		sessions:    make(map[peer.ID]*session),
		reservation: make(map[peer.ID]time.Time),
		registry:    newRegistry(maxCensusEntries),
		counters:    counters{Version: 1, Epoch: newEpoch()},
	}
}

// connected opens a session. The peer counts once identify has told what it is.
func (l *ledger) connected(p peer.ID, key crypto.PubKey, addr ma.Multiaddr, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions[p] != nil {
		return
	}
	s := &session{since: now, tier: unknownWord, addr: addr, addrType: addressKind(addr), flow: new(flow)}
	s.key, _ = publicKey(p, key) // without a key a peer is counted, and not in the census
	l.sessions[p] = s
	if l.fleet[p] {
		l.is(s, fleetRelay)
	}
}

// identified tells what a peer says of itself. It may come again for the same peer
// (identify push).
func (l *ledger) identified(p peer.ID, agent string, protocols []protocol.ID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[p]
	if s == nil {
		return
	}
	s.agent, s.tier = bounded(agent), tierOf(agent)
	if s.kind != unidentified {
		return
	}
	l.is(s, l.classify(p, agent, protocols))
	if s.kind == user {
		l.join(p, s, now)
	}
}

// unidentifiable tells that a peer did not say what it is. AutoNAT's dial-backs, which
// come from relays too, are like that: such a peer counts only if it uses the relay.
func (l *ledger) unidentifiable(p peer.ID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sessions[p]; s != nil && s.kind == unidentified {
		s.silent = true
		l.joinIfUsing(p, s, now)
	}
}

func (l *ledger) joinIfUsing(p peer.ID, s *session, now time.Time) {
	if s.silent && s.early != nil && s.early.Granted+s.early.Circuits > 0 {
		l.is(s, user)
		l.join(p, s, now)
	}
}

// classify tells users from probes and from relays of the same fleet. Anybody may
// claim to be either: the claim only keeps the peer out of the counts of users, and what
// is relayed for it is counted all the same.
func (l *ledger) classify(p peer.ID, agent string, protocols []protocol.ID) kind {
	if l.fleet[p] {
		return fleetRelay
	}
	if stats.IsProbe(agent, tierOf(agent)) {
		return prober
	}
	if strings.HasPrefix(agent, l.name+"/") && tierOf(agent) == l.tier {
		for _, id := range protocols {
			if id == proto.ProtoIDv2Hop || id == fleetHopProtocol {
				return fleetRelay
			}
		}
	}
	return user
}

func (l *ledger) join(p peer.ID, s *session, now time.Time) {
	l.users++
	l.counters.Joined++
	l.counters.Joins.add(now, 1)
	l.counters.Peak = max(l.counters.Peak, l.users)
	l.counters.Epoch.join(s, l.users)
	if s.early != nil {
		l.counters.Reservations += s.early.Granted
		l.counters.Circuits += s.early.Circuits
		l.counters.Epoch.Counters = l.counters.Epoch.Plus(*s.early)
		s.early = nil
	}
	if l.firstPeer == 0 {
		l.firstPeer = max(time.Millisecond, now.Sub(l.started))
	}
	if s.key != "" {
		l.counters.Forgotten += l.registry.seen(stats.CensusEntry{
			PeerPubkey: s.key, LastPeerID: p.String(), Tier: s.tier, AddressType: s.addrType,
			Transport: transportKind(s.addr), Agent: agentWord(s.agent),
		}, now)
	}
}

// disconnected closes a session: the peer's last connection is gone.
func (l *ledger) disconnected(p peer.ID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[p]
	if s == nil {
		return
	}
	delete(l.sessions, p)
	switch s.kind {
	case user:
		l.users--
		l.counters.Left++
		l.counters.Leaves.add(now, 1)
		l.counters.Epoch.leave(now.Sub(s.since))
		l.registry.touch(s.key, now, true)
	case unidentified: // it will not say any more whose its bytes are: nobody relays unseen
		s.flow.count(&l.bytes)
	case fleetRelay, prober:
	}
}

// close ends every session: the relay stops.
func (l *ledger) close(now time.Time) {
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.sessions))
	l.mu.Unlock()
	for _, p := range open {
		l.disconnected(p, now)
	}
}

// setFleet tells which peers are relays of the fleet. One that was taken for a user
// until now is taken out of the counts again.
func (l *ledger) setFleet(ids []peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.fleet)
	for _, p := range ids {
		l.fleet[p] = true
		if key, err := publicKey(p, nil); err == nil {
			delete(l.registry.entries, key)
		}
		s := l.sessions[p]
		if s == nil {
			continue
		}
		if s.kind == user {
			l.users--
			l.counters.Joined--
			l.counters.Joins.add(s.since, -1)
			l.counters.Epoch.takeBack(s)
			delete(l.registry.entries, s.key)
		}
		l.is(s, fleetRelay)
	}
}

// bounded cuts what a peer says of itself to a length that a list can bear.
func bounded(text string) string {
	const most = 128
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
