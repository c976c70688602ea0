package relay

import (
	"math"
	"net/netip"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/x/rate"
)

// bufferBytes is one direction of a circuit: 16 KiB take most of the gain over the
// stock 2 KiB in CPU per byte.
const bufferBytes = 16 << 10

// highPriority is the part of a scope's memory, in 256ths, up to which the resource
// manager grants what the relay service asks for a circuit.
const highPriority = int64(network.ReservationPriorityHigh) + 1

// serviceMemory is the memory of the relay service that holds so many circuits and
// no more: the next one is refused with RESOURCE_LIMIT_EXCEEDED. Handshakes in
// flight come out of the slack of just under one circuit.
func serviceMemory(circuits int) int64 {
	const each = 2 * bufferBytes
	most := int64(circuits)*each + each - 1
	return (most*256 + highPriority - 1) / highPriority
}

// maxConns leaves room above the wished connections, so that the connection manager
// trims before the resource manager refuses.
func (l Limits) maxConns() int { return l.Connections + l.Connections/8 + 64 }

// connsPerIP bounds one IPv4 address or IPv6 /56. Carrier NAT puts many clients
// behind one address, so the bound follows the reservations that it may hold.
func (l Limits) connsPerIP() int { return max(256, 4*l.ReservationsPerIP) }

// resourceManager sizes libp2p's own limits from the operator's. Its stock limits
// admit 64 connections on a box with 1 GiB and 8 from one IP.
func (l Limits) resourceManager() (network.ResourceManager, error) {
	n, c := rcmgr.LimitVal(l.maxConns()), rcmgr.LimitVal(l.Circuits)
	files := min(n, rcmgr.LimitVal(openFiles()))
	perPeer := rcmgr.LimitVal(max(64, 4*l.CircuitsPerPeer))
	defaults := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&defaults)
	streams := rcmgr.ResourceLimits{Streams: 4*c + n, StreamsInbound: 4*c + n, StreamsOutbound: 4*c + n}
	service := streams
	service.Memory = rcmgr.LimitVal64(serviceMemory(l.Circuits))
	peer := rcmgr.ResourceLimits{Streams: perPeer, StreamsInbound: perPeer, StreamsOutbound: perPeer}
	part := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: n, ConnsInbound: n, ConnsOutbound: n, FD: files,
			Streams: 16*n + 4*c, StreamsInbound: 16*n + 4*c, StreamsOutbound: 16*n + 4*c,
			Memory: rcmgr.LimitVal64(l.Memory),
		},
		Transient: rcmgr.ResourceLimits{
			Conns: n/4 + 32, ConnsInbound: n/4 + 32, FD: n/4 + 32,
			Streams: n, StreamsInbound: n, StreamsOutbound: n,
		},
		Service:      map[string]rcmgr.ResourceLimits{circuit.ServiceName: service},
		ServicePeer:  map[string]rcmgr.ResourceLimits{circuit.ServiceName: peer},
		Protocol:     map[protocol.ID]rcmgr.ResourceLimits{proto.ProtoIDv2Hop: streams, proto.ProtoIDv2Stop: streams},
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{proto.ProtoIDv2Hop: peer, proto.ProtoIDv2Stop: peer},
	}
	perIP := l.connsPerIP()
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(part.Build(defaults.Scale(l.Memory, int(n)))),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perIP}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perIP}, {PrefixLength: 48, ConnCount: 4 * perIP}}),
		rcmgr.WithConnRateLimiters(connRate(perIP)))
}

// openFiles is what the process may open for connections: its limit without a reserve
// for listeners, the API and files.
func openFiles() int {
	const reserve = 64
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return max(reserve, int(limit.Cur)-reserve) //nolint:gosec // at most MaxInt32
}

// connRate bounds new connections per address; loopback is free.
func connRate(burst int) *rate.Limiter {
	each := rate.Limit{RPS: 20, Burst: max(400, burst)}
	return &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")},
			{Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: each}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: each}},
			GracePeriod:      time.Minute,
		},
	}
}

// connManager trims above the wished connections, those without a reservation or a
// circuit first.
func (l Limits) connManager() (*connmgr.BasicConnMgr, error) {
	return connmgr.NewConnManager(l.Connections, l.Connections+l.Connections/16+16, connmgr.WithGracePeriod(time.Minute))
}

// resources are the limits of the stock relay service. It knows no limit of one
// kind alone, so an unlimited half is a very large one.
func (l Limits) resources() circuit.Resources {
	rc := circuit.DefaultResources()
	rc.MaxReservations = l.Reservations
	rc.MaxReservationsPerIP = l.ReservationsPerIP
	rc.MaxReservationsPerASN = l.Reservations
	rc.MaxCircuits = l.CircuitsPerPeer
	rc.BufferSize = bufferBytes
	rc.Limit = nil
	if l.CircuitDuration > 0 || l.CircuitData > 0 {
		rc.Limit = &circuit.RelayLimit{Duration: l.CircuitDuration, Data: l.CircuitData}
		if l.CircuitDuration == 0 {
			rc.Limit.Duration = math.MaxUint32 * time.Second
		}
		if l.CircuitData == 0 {
			rc.Limit.Data = math.MaxInt64
		}
	}
	return rc
}
