package probe

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
)

// newHost makes a host with a new key that listens nowhere, remembers nothing and
// dials over the transport of addr alone. What would keep a dial from being made
// (limits per IP, black-hole detectors, ranking, metrics) is off.
func newHost(agent string, timeout time.Duration, addr ma.Multiaddr) (host.Host, error) {
	h, err := libp2p.New(
		transport(addr),
		libp2p.NoListenAddrs,
		libp2p.EnableRelay(), // the client side, which NoListenAddrs switches off
		libp2p.Ping(false),
		libp2p.UserAgent(agent),
		libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.WithDialTimeout(timeout),
		libp2p.SwarmOpts(swarm.WithDialRanker(swarm.NoDelayDialRanker), swarm.WithDialTimeoutLocal(timeout)),
	)
	if err != nil {
		return nil, fmt.Errorf("make a libp2p host: %w", err)
	}
	return h, nil
}

// transport is the one that dials addr.
func transport(addr ma.Multiaddr) libp2p.Option {
	for _, part := range addr {
		switch part.Code() {
		case ma.P_QUIC_V1:
			return libp2p.Transport(quic.NewTransport)
		case ma.P_WS, ma.P_WSS:
			return libp2p.Transport(websocket.New)
		}
	}
	return libp2p.Transport(tcp.NewTCPTransport)
}

// dial connects h to that address alone. A connection of another address cannot
// exist: the host is new.
func dial(ctx context.Context, h host.Host, id peer.ID, addr ma.Multiaddr) (network.Conn, error) {
	h.Peerstore().AddAddr(id, addr, peerstore.TempAddrTTL)
	if deadline, ok := ctx.Deadline(); ok {
		ctx = network.WithDialPeerTimeout(ctx, time.Until(deadline))
	}
	return h.Network().DialPeer(network.WithForceDirectDial(ctx, "probe"), id)
}

// hangUp closes h's connections to id when ctx ends: some calls of go-libp2p wait for
// an answer up to a minute whatever ctx says. The caller calls stop once.
func hangUp(ctx context.Context, h host.Host, id peer.ID) (stop func()) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = h.Network().ClosePeer(id) // it is going away
	})
	return func() {
		if !cancel() {
			<-done
		}
	}
}
