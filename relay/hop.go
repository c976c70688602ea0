package relay

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-varint"
	pb "google.golang.org/protobuf/proto"
)

// fleetHopProtocol is a second name of the hop handler, which also answers to hop
// itself. While the relay drains it is the only one: clients see no hop and do not try
// it, for a refusal would cost them an hour of back-off, and circuits go on.
const fleetHopProtocol = protocol.ID("/relayfleet/hop")

// hopHost is the host as the stock relay service sees it. It takes the handler of
// the hop protocol, so that the handler can be hidden while draining and its answers
// can be counted by peer.
type hopHost struct {
	host.Host
	granted func(peer.ID, uint64) // a reservation until that UNIX second
	circuit func(peer.ID)         // a circuit opened by that peer

	mu       sync.Mutex
	handler  network.StreamHandler // nil until the service starts and after it closed
	draining bool
}

// SetStreamHandler registers the hop handler as advertised or hidden; others as they are.
func (h *hopHost) SetStreamHandler(id protocol.ID, handler network.StreamHandler) {
	if id != proto.ProtoIDv2Hop {
		h.Host.SetStreamHandler(id, handler)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handler = func(s network.Stream) {
		handler(&hopStream{Stream: s, answered: h.answered})
	}
	hop := func(id protocol.ID) bool { return id == proto.ProtoIDv2Hop }
	h.Host.SetStreamHandlerMatch(fleetHopProtocol, hop, h.handler)
	if !h.draining {
		h.Host.SetStreamHandler(proto.ProtoIDv2Hop, h.handler)
	}
}

// RemoveStreamHandler removes the hop handler however it is registered.
func (h *hopHost) RemoveStreamHandler(id protocol.ID) {
	if id != proto.ProtoIDv2Hop {
		h.Host.RemoveStreamHandler(id)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handler = nil
	h.Host.RemoveStreamHandler(proto.ProtoIDv2Hop)
	h.Host.RemoveStreamHandler(fleetHopProtocol)
}

// drain hides hop or advertises it again, and reports whether that changed anything.
// Either is one change of the protocols: peers that are told of two may take them in
// the wrong order.
func (h *hopHost) drain(on bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining == on {
		return false
	}
	h.draining = on
	switch {
	case h.handler == nil:
	case on:
		h.Host.RemoveStreamHandler(proto.ProtoIDv2Hop)
	default:
		h.Host.SetStreamHandler(proto.ProtoIDv2Hop, h.handler)
	}
	return true
}

// AllowReserve refuses every reservation while draining.
func (h *hopHost) AllowReserve(peer.ID, ma.Multiaddr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.draining
}

// AllowConnect refuses nobody: circuits to reserved peers go on while draining.
func (h *hopHost) AllowConnect(peer.ID, ma.Multiaddr, peer.ID) bool { return true }

func (h *hopHost) answered(p peer.ID, answer *pbv2.HopMessage) {
	if answer.GetType() != pbv2.HopMessage_STATUS || answer.GetStatus() != pbv2.Status_OK {
		return
	}
	if r := answer.GetReservation(); r != nil {
		h.granted(p, r.GetExpire())
		return
	}
	h.circuit(p)
}

// hopStream reads along with the service's first message to the peer: its answer.
type hopStream struct {
	network.Stream
	answered func(peer.ID, *pbv2.HopMessage)
	head     []byte
	done     bool
}

// Write passes p on and, until the first message is whole, keeps a copy. The service
// writes the answer from one goroutine and starts the next writer after it.
func (s *hopStream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	if s.done || err != nil {
		return n, err
	}
	s.head = append(s.head, p[:n]...)
	size, prefix, varErr := varint.FromUvarint(s.head)
	switch {
	case len(s.head) > 2*maxHopMessage || size > maxHopMessage:
		s.done = true
	case varErr == nil && uint64(len(s.head)-prefix) >= size:
		s.done = true
		var answer pbv2.HopMessage
		if pb.Unmarshal(s.head[prefix:prefix+int(size)], &answer) == nil { //nolint:gosec // at most maxHopMessage
			s.answered(s.Conn().RemotePeer(), &answer)
		}
	}
	if s.done {
		s.head = nil
	}
	return n, err
}

// maxHopMessage is the largest hop message that go and rust accept.
const maxHopMessage = 4096

func (h *hopHost) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}
