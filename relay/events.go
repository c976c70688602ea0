package relay

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
)

// follow subscribes to what the ledger is told. The bus blocks the host when a
// subscriber's buffer is full: it is large, and the reader never waits.
func follow(h host.Host) (event.Subscription, error) {
	events, err := h.EventBus().Subscribe([]any{
		new(event.EvtPeerConnectednessChanged),
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerIdentificationFailed),
		new(event.EvtLocalReachabilityChanged),
	}, eventbus.BufSize(4096))
	if err != nil {
		return nil, fmt.Errorf("event bus: %w", err)
	}
	return events, nil
}

// account reads events into the ledger until the subscription is closed: a bus whose
// reader has gone blocks the host while it closes.
func (r *Relay) account(h host.Host, events <-chan any) {
	for e := range events {
		r.take(h, e, time.Now())
	}
}

func (r *Relay) take(h host.Host, e any, now time.Time) {
	switch e := e.(type) {
	case event.EvtPeerConnectednessChanged:
		if e.Connectedness != network.Connected {
			r.ledger.disconnected(e.Peer, now)
			return
		}
		for _, c := range h.Network().ConnsToPeer(e.Peer) {
			r.ledger.connected(e.Peer, c.RemotePublicKey(), c.RemoteMultiaddr(), now)
			return
		}
	case event.EvtPeerIdentificationCompleted:
		// The bus does not promise that the connection was told first.
		if c := e.Conn; c != nil && h.Network().Connectedness(e.Peer) == network.Connected {
			r.ledger.connected(e.Peer, c.RemotePublicKey(), c.RemoteMultiaddr(), now)
		}
		r.ledger.identified(e.Peer, e.AgentVersion, e.Protocols, now)
	case event.EvtPeerIdentificationFailed:
		if h.Network().Connectedness(e.Peer) == network.Connected {
			r.ledger.unidentifiable(e.Peer, now)
		}
	case event.EvtLocalReachabilityChanged:
		r.reachability.Store(int32(e.Reachability))
	}
}

// countedHop is the host for the relay service, whose answers the ledger counts.
func (r *Relay) countedHop(h host.Host) *hopHost {
	connected := func(p peer.ID) bool { return h.Network().Connectedness(p) == network.Connected }
	return &hopHost{
		Host:     h,
		draining: exists(filepath.Join(r.cfg.State, drainFile)),
		met: func(c network.Conn) { // its event may not have been read yet
			p := c.RemotePeer()
			r.ledger.connected(p, c.RemotePublicKey(), c.RemoteMultiaddr(), time.Now())
			if !connected(p) {
				r.ledger.disconnected(p, time.Now())
			}
		},
		granted: func(p peer.ID, until uint64) {
			r.ledger.granted(p, time.Unix(int64(until), 0), time.Now()) //nolint:gosec // our own clock
			if !connected(p) {
				r.ledger.released(p) // it left before the answer was out
			}
		},
		circuit: func(p peer.ID) *flow { return r.ledger.circuitOpened(p, time.Now()) },
		closed:  r.ledger.circuitClosed,
		refused: func(p peer.ID, what request, s pbv2.Status) { r.ledger.refused(p, what, s.String(), time.Now()) },
	}
}

// tracer counts open circuits, whoever opened them, beside libp2p's own series.
type tracer struct {
	circuit.MetricsTracer
	open atomic.Int64
}

// ConnectionOpened counts a circuit whose handshake begins.
func (t *tracer) ConnectionOpened() {
	t.open.Add(1)
	t.MetricsTracer.ConnectionOpened()
}

// ConnectionClosed counts a circuit that has ended.
func (t *tracer) ConnectionClosed(d time.Duration) {
	t.open.Add(-1)
	t.MetricsTracer.ConnectionClosed(d)
}
