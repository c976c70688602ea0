package relay

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/relayfleet/fleetctl/stats"
)

// report is the answer of /api/stats. What a relay cannot see, hole punches above
// all, is null. It takes part in no topics and serves no skills: those are empty.
func (r *Relay) report(now time.Time) stats.Report {
	f := r.ledger.figures()
	report := stats.Report{
		PeerID:                r.id.ID.String(),
		ConnectedPeers:        f.users,
		UptimeSecs:            uint64(max(0, now.Sub(r.started)) / time.Second),
		SubscribedTopics:      []string{},
		ListenAddrs:           r.listenAddrs(),
		PeakConcurrentPeers:   f.counters.Peak,
		LifetimeUniquePeerIDs: f.lifetime,
		PeersJoinedTotal:      f.counters.Joined,
		PeersLeftTotal:        f.counters.Left,
		JoinsPerMinute:        append([][2]int64{}, f.counters.Joins...),
		LeavesPerMinute:       append([][2]int64{}, f.counters.Leaves...),
		MeshPeersPerTopic:     map[string]int{},
		RoutingTableSize:      r.routingTableSize(),
		AddressTypes:          f.addressTypes,
		RelayReservations:     f.counters.Reservations,
		RelayCircuits:         f.counters.Circuits,
		NATStatus:             r.natStatus(),
		BytesReceivedTopic:    map[string]uint64{},
		BytesPublishedTopic:   map[string]uint64{},
	}
	if f.firstPeer > 0 {
		ms := uint64(f.firstPeer / time.Millisecond)
		report.TimeToFirstPeerMs = &ms
	}
	return report
}

// natStatus is what AutoNAT found out: "unknown", "public" or "private".
func (r *Relay) natStatus() string {
	switch network.Reachability(r.reachability.Load()) {
	case network.ReachabilityPublic:
		return "public"
	case network.ReachabilityPrivate:
		return "private"
	default:
		return "unknown"
	}
}

func (r *Relay) routingTableSize() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dht == nil {
		return 0
	}
	return r.dht.RoutingTable().Size()
}

// listenAddrs are the announced addresses; never null.
func (r *Relay) listenAddrs() []string {
	addrs := []string{}
	if h, _ := r.hosted(); h != nil {
		for _, addr := range h.Addrs() {
			addrs = append(addrs, addr.String())
		}
	}
	return addrs
}

// peersView is the answer of /api/peers: the users, without the fleet's own relays
// and probes.
type peersView struct {
	PeerID         string                `json:"peer_id"`
	ConnectedPeers int                   `json:"connected_peers"`
	PeerDetails    map[string]peerDetail `json:"peer_details"` // at most 1000
}

func (r *Relay) peers() peersView {
	users, details := r.ledger.peers(mostListed)
	return peersView{PeerID: r.id.ID.String(), ConnectedPeers: users, PeerDetails: details}
}

func (r *Relay) reservations(now time.Time) stats.Reservations {
	active, list := r.ledger.reservations(now, mostListed)
	v := stats.Reservations{Active: active, Circuits: r.tracer.open.Load(), Reservations: list}
	if _, hop := r.hosted(); hop != nil {
		v.Draining = hop.isDraining()
	}
	return v
}
