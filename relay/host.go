package relay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/prometheus/client_golang/prometheus"
)

// newHost builds the libp2p host. It listens nowhere yet: see listeners.open.
func newHost(cfg Config, id Identity, wished *listeners, registry prometheus.Registerer) (host.Host, error) {
	pinned, err := cfg.announced(id.ID)
	if err != nil {
		return nil, err
	}
	limiter, err := cfg.Limits.resourceManager()
	if err != nil {
		return nil, fmt.Errorf("resource manager: %w", err)
	}
	trimmer, err := cfg.Limits.connManager()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connection manager: %w", err), limiter.Close())
	}
	options := []libp2p.Option{
		libp2p.Identity(id.key),
		libp2p.NoListenAddrs,
		// Without SO_REUSEPORT, or a second relay would share the port unnoticed.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Transport(quic.NewTransport),
		libp2p.Transport(websocket.New),
		libp2p.ResourceManager(limiter),
		libp2p.ConnectionManager(trimmer),
		libp2p.UserAgent(cfg.agent()),
		libp2p.ProtocolVersion(cfg.Network + "/id/1.0.0"),
		libp2p.DisableRelay(), // the circuit client; the service is started beside the host
		libp2p.Ping(true),
		libp2p.EnableNATService(),
		libp2p.AutoNATServiceRateLimit(600, 3, time.Minute), // 30 in all would take a fleet's clients hours
		libp2p.EnableAutoNATv2(),
		// A relay dials so seldom that the detector would refuse dial-backs over QUIC and IPv6.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.PrometheusRegisterer(registry),
	}
	if len(pinned) > 0 {
		options = append(options, libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return slices.Clone(pinned) }))
		if !slices.ContainsFunc(pinned, notPublic) {
			options = append(options, libp2p.NonPublicAddrPublishing(false))
		}
	}
	if wished.sharesTCPPort() {
		options = append(options, libp2p.ShareTCPListener())
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, fmt.Errorf("libp2p: %w", err)
	}
	return h, nil
}

func notPublic(addr ma.Multiaddr) bool { return !manet.IsPublicAddr(addr) }

// newService starts Circuit Relay v2 on the host.
func newService(h *hopHost, l Limits, tracer circuit.MetricsTracer) (*circuit.Relay, error) {
	service, err := circuit.New(h,
		circuit.WithResources(l.resources()),
		circuit.WithACL(h),
		circuit.WithMetricsTracer(tracer),
		// The stock filter drops private and loopback addresses, and clients refuse an
		// empty list. What is announced was chosen by the operator.
		circuit.WithReservationAddressFilter(func(ma.Multiaddr) bool { return true }))
	if err != nil {
		return nil, fmt.Errorf("relay service: %w", err)
	}
	return service, nil
}

// newDHT starts Kademlia in server mode. Records of strangers are neither stored nor
// served: clients use it to find peers.
func newDHT(h host.Host, network string, fleet func() []peer.AddrInfo) (*dht.IpfsDHT, error) {
	d, err := dht.New(h,
		dht.Mode(dht.ModeServer),
		dht.ProtocolPrefix(protocol.ID(network)),
		dht.DisableProviders(),
		dht.DisableValues(),
		dht.BootstrapPeersFunc(fleet))
	if err != nil {
		return nil, fmt.Errorf("kademlia: %w", err)
	}
	return d, nil
}
