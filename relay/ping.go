package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/stats"
)

// Pong is what came of a ping.
type Pong struct {
	Addr   string   `json:"addr"`
	PeerID string   `json:"peer_id"` // who answered, or who was asked for when nobody did
	RTTms  *float64 `json:"rtt_ms"`  // null when nobody answered
	Error  string   `json:"error"`   // empty when the peer answered
}

// Ping dials exactly one address, which names its peer with /p2p/, and measures one
// round trip. It calls itself a probe, so that no relay counts it as a user. An
// address that cannot be dialled is an error; the Pong says the same.
func Ping(ctx context.Context, text, version string) (Pong, error) {
	pong := Pong{Addr: text}
	id, rtt, err := pingOnce(ctx, text, version)
	pong.PeerID = id.String()
	if err != nil {
		pong.Error = err.Error()
		return pong, err
	}
	ms := float64(rtt.Microseconds()) / 1000
	pong.RTTms = &ms
	return pong, nil
}

func pingOnce(ctx context.Context, text, version string) (peer.ID, time.Duration, error) {
	addr, err := ma.NewMultiaddr(text)
	if err != nil {
		return "", 0, fmt.Errorf("ping: %q: %w", text, err)
	}
	rest, id := peer.SplitAddr(addr)
	if id == "" || len(rest) == 0 {
		return "", 0, hint(fmt.Errorf("ping: %s: no address of a peer", addr), "end the address with /p2p/<peer ID>")
	}
	h, err := libp2p.New(
		libp2p.NoListenAddrs,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(quic.NewTransport),
		libp2p.Transport(websocket.New),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.UserAgent(stats.ProbeAgent(version)),
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.DisableMetrics())
	if err != nil {
		return id, 0, fmt.Errorf("ping: host: %w", err)
	}
	defer h.Close() //nolint:errcheck // thrown away
	h.Peerstore().AddAddrs(id, []ma.Multiaddr{rest}, time.Minute)
	if _, err := h.Network().DialPeer(network.WithForceDirectDial(ctx, "ping"), id); err != nil {
		var other sec.ErrPeerIDMismatch
		if errors.As(err, &other) {
			return other.Actual, 0, fmt.Errorf("ping: %s: another peer answers, %s", addr, other.Actual)
		}
		return id, 0, fmt.Errorf("ping: %s: %w", addr, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case result := <-ping.Ping(ctx, h, id):
		if result.Error != nil {
			return id, 0, fmt.Errorf("ping: %s: %w", addr, result.Error)
		}
		return id, result.RTT, nil
	case <-ctx.Done():
		return id, 0, fmt.Errorf("ping: %s: %w", addr, ctx.Err())
	}
}
