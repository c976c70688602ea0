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
	met     func(network.Conn)                  // who asks, before any of the following
	granted func(peer.ID, uint64)               // a reservation until that UNIX second
	circuit func(peer.ID) *flow                 // a circuit opened by that peer
	closed  func(*flow)                         // it ended
	refused func(peer.ID, request, pbv2.Status) // whatever else was answered

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
		handler(&hopStream{Stream: s, answer: h.answered, closed: h.closed})
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

// request is what a peer asked of the service.
type request int

const (
	otherRequest request = iota // nothing that the service knows
	reserveRequest
	connectRequest
)

func requestOf(m *pbv2.HopMessage) request {
	switch {
	case m == nil:
		return otherRequest
	case m.GetType() == pbv2.HopMessage_RESERVE:
		return reserveRequest
	case m.GetType() == pbv2.HopMessage_CONNECT:
		return connectRequest
	}
	return otherRequest
}

// answered takes what a peer asked and was answered. It returns the flow of a circuit that
// was opened, else nil.
func (h *hopHost) answered(c network.Conn, asked, answer *pbv2.HopMessage) *flow {
	if answer.GetType() != pbv2.HopMessage_STATUS {
		return nil
	}
	p := c.RemotePeer()
	h.met(c)
	switch r := answer.GetReservation(); {
	case answer.GetStatus() != pbv2.Status_OK:
		h.refused(p, requestOf(asked), answer.GetStatus())
	case r != nil:
		h.granted(p, r.GetExpire())
	default:
		return h.circuit(p)
	}
	return nil
}

// hopStream reads along with the peer's first message, its request, and with the
// service's first one, the answer. If that opens a circuit, all that follows is what the
// peers pass through it.
type hopStream struct {
	network.Stream
	answer       func(c network.Conn, asked, answer *pbv2.HopMessage) *flow
	closed       func(*flow)
	asked, reply firstMessage
	circuit      *flow // nil: there is none
	end          sync.Once
}

// Read passes on what the peer sent. The service reads from one goroutine, writes the
// answer from the same one, and starts other readers and writers after that.
func (s *hopStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if s.circuit != nil {
		s.circuit.passed(n)
	} else {
		s.asked.take(p[:n])
	}
	return n, err
}

// Write passes p on.
func (s *hopStream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	switch {
	case s.circuit != nil:
		s.circuit.passed(n)
	case err == nil && s.reply.take(p[:n]):
		s.circuit = s.answer(s.Conn(), s.asked.message, s.reply.message)
	}
	return n, err
}

// Close ends the circuit: the service closes its stream once nothing can pass any more.
func (s *hopStream) Close() error {
	if s.circuit != nil {
		s.end.Do(func() { s.closed(s.circuit) })
	}
	return s.Stream.Close()
}

// firstMessage keeps a copy of a stream until the first message is whole.
type firstMessage struct {
	head    []byte
	done    bool
	message *pbv2.HopMessage // nil: not whole yet, or no such message
}

// take reports whether the message came with these bytes.
func (f *firstMessage) take(p []byte) bool {
	if f.done || len(p) == 0 {
		return false
	}
	f.head = append(f.head, p[:min(len(p), 2*maxHopMessage)]...)
	size, prefix, err := varint.FromUvarint(f.head)
	switch {
	case len(f.head) > 2*maxHopMessage || size > maxHopMessage:
		f.done = true
	case err == nil && uint64(len(f.head)-prefix) >= size:
		f.done = true
		var m pbv2.HopMessage
		if pb.Unmarshal(f.head[prefix:prefix+int(size)], &m) == nil { //nolint:gosec // at most maxHopMessage
			f.message = &m
		}
	}
	if f.done {
		f.head = nil
	}
	return f.message != nil
}

// maxHopMessage is the largest hop message that go and rust accept.
const maxHopMessage = 4096

func (h *hopHost) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}
