package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newPeer is a host without a relay service on one loopback listener.
func newPeer(t *testing.T, listen string) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings(listen), libp2p.DisableMetrics(), libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.UserAgent("bitterbot/1.0.0/management"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// newRelay adds the service.
func newRelay(t *testing.T, listen string, opts ...relay.Option) host.Host {
	t.Helper()
	h := newPeer(t, listen)
	serve(t, h, h, opts...)
	return h
}

func serve(t *testing.T, h, as host.Host, opts ...relay.Option) {
	t.Helper()
	opts = append(opts, relay.WithReservationAddressFilter(func(ma.Multiaddr) bool { return true }))
	r, err := relay.New(as, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), h.Network().Close()); err != nil {
			t.Error(err)
		}
	})
}

func addrOf(t *testing.T, h host.Host) dnsaddr.Addr {
	t.Helper()
	return parse(t, h.Addrs()[0].String()+"/p2p/"+h.ID().String())
}

func parse(t *testing.T, text string) dnsaddr.Addr {
	t.Helper()
	addr, err := dnsaddr.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// check probes and wants that verdict, reached at that step, with that in its error.
func check(t *testing.T, p *Prober, addr dnsaddr.Addr, want fleet.Verdict, step, text string) fleet.Probe {
	t.Helper()
	got, err := p.Probe(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	last := got.Steps[len(got.Steps)-1]
	if got.Verdict != want || last.Name != step || !strings.Contains(last.Err, text) || (text == "") != (last.Err == "") {
		t.Errorf("got %s after %+v, want %s after %s: …%s…", got.Verdict, got.Steps, want, step, text)
	}
	if got.Via != "here" || got.At.IsZero() || got.Addr != addr {
		t.Errorf("got via %q at %v of %v", got.Via, got.At, got.Addr)
	}
	for _, s := range got.Steps {
		if len([]rune(s.Err)) > maxError || strings.ContainsAny(s.Err, "\n\r\t\x1b") {
			t.Errorf("step %s: the error is not one short line: %q", s.Name, s.Err)
		}
	}
	return got
}

func TestProbe_ServingRelayPassesEveryStep(t *testing.T) {
	for name, listen := range map[string]string{
		"tcp": "/ip4/127.0.0.1/tcp/0", "quic-v1": "/ip4/127.0.0.1/udp/0/quic-v1", "ws": "/ip4/127.0.0.1/tcp/0/ws",
	} {
		t.Run(name, func(t *testing.T) {
			addr := addrOf(t, newRelay(t, listen))
			got := check(t, New(Config{}), addr, fleet.Serving, "relay", "")
			names := ""
			for _, s := range got.Steps {
				names += s.Name + " "
			}
			if want := "resolve dial identify reserve relay "; names != want {
				t.Errorf("steps: got %q, want %q", names, want)
			}
		})
	}
}

func TestProbe_NameIsResolved(t *testing.T) {
	addr := addrOf(t, newRelay(t, "/ip4/127.0.0.1/tcp/0"))
	port, err := ma.StringCast(addr.Dial()).ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	named := parse(t, "/dns4/localhost/tcp/"+port+"/p2p/"+addr.PeerID())
	check(t, New(Config{}), named, fleet.Serving, "relay", "")
}

func TestProbe_RelayWithoutRoomIsFull(t *testing.T) {
	rc := relay.DefaultResources()
	rc.MaxReservations = 0
	addr := addrOf(t, newRelay(t, "/ip4/127.0.0.1/tcp/0", relay.WithResources(rc)))
	check(t, New(Config{}), addr, fleet.Full, "reserve", "refused with RESERVATION_REFUSED (200)")
}

func TestProbe_RelayWithoutCircuitsLeftIsFull(t *testing.T) {
	rc := relay.DefaultResources()
	rc.MaxCircuits = 0
	addr := addrOf(t, newRelay(t, "/ip4/127.0.0.1/tcp/0", relay.WithResources(rc)))
	check(t, New(Config{}), addr, fleet.Full, "relay", "RESOURCE_LIMIT_EXCEEDED")
}

// acl says what it is told to.
type acl struct{ reserve, connect bool }

func (a acl) AllowReserve(peer.ID, ma.Multiaddr) bool          { return a.reserve }
func (a acl) AllowConnect(peer.ID, ma.Multiaddr, peer.ID) bool { return a.connect }

func TestProbe_RelayThatRefusesIsDraining(t *testing.T) {
	addr := addrOf(t, newRelay(t, "/ip4/127.0.0.1/tcp/0", relay.WithACL(acl{})))
	check(t, New(Config{}), addr, fleet.Draining, "reserve", "refused with PERMISSION_DENIED (202)")
	addr = addrOf(t, newRelay(t, "/ip4/127.0.0.1/tcp/0", relay.WithACL(acl{reserve: true})))
	check(t, New(Config{}), addr, fleet.Draining, "relay", "PERMISSION_DENIED")
}

// hidden serves hop without advertising it, as our relays do while they drain.
type hidden struct{ host.Host }

func (h hidden) SetStreamHandler(id protocolID, f network.StreamHandler) {
	if id != proto.ProtoIDv2Hop {
		h.Host.SetStreamHandler(id, f)
		return
	}
	h.SetStreamHandlerMatch("/relayfleet/draining", func(p protocolID) bool { return p == proto.ProtoIDv2Hop }, f)
}

func (h hidden) RemoveStreamHandler(protocolID) { h.Host.RemoveStreamHandler("/relayfleet/draining") }

func TestProbe_RelayThatHidesItselfIsNotServing(t *testing.T) {
	draining := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	serve(t, draining, hidden{draining}, relay.WithACL(acl{}))
	got := check(t, New(Config{}), addrOf(t, draining), fleet.Draining, "reserve", "refused with PERMISSION_DENIED (202)")
	if !strings.Contains(got.Steps[2].Err, `"bitterbot/1.0.0/management" does not advertise /libp2p/circuit/relay/0.2.0/hop`) {
		t.Errorf("identify: got %q", got.Steps[2].Err)
	}
	open := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	serve(t, open, hidden{open})
	check(t, New(Config{}), addrOf(t, open), fleet.NotServing, "reserve", "does not advertise")
}

func TestProbe_PeerWithoutRelayIsNotServing(t *testing.T) {
	check(t, New(Config{}), addrOf(t, newPeer(t, "/ip4/127.0.0.1/tcp/0")), fleet.NotServing, "reserve", "protocols not supported")
}

func TestProbe_AnotherPeerIsTheWrongOne(t *testing.T) {
	other := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	for _, listen := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"} {
		addr := addrOf(t, newRelay(t, listen))
		check(t, New(Config{}), parse(t, addr.Dial()+"/p2p/"+other.ID().String()), fleet.WrongPeer, "dial", addr.PeerID())
	}
}

func TestProbe_NobodyIsUnreachable(t *testing.T) {
	h := newRelay(t, "/ip4/127.0.0.1/tcp/0")
	addr := addrOf(t, h)
	if err := h.Network().Close(); err != nil {
		t.Fatal(err)
	}
	check(t, New(Config{}), addr, fleet.Unreachable, "dial", "refused")
	check(t, New(Config{}), parse(t, "/dns4/nobody.invalid/tcp/1/p2p/"+addr.PeerID()), fleet.Unreachable, "resolve", "nobody.invalid")
}

// deaf accepts TCP connections and says nothing.
func deaf(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error {
		for {
			c, err := l.Accept()
			if err != nil {
				return nil
			}
			g.Go(func() error { _, _ = io.Copy(io.Discard, c); return c.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); _ = g.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

const nobody = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"

func TestProbe_HostThatHangsIsUnreachableInTime(t *testing.T) {
	for _, end := range []string{"", "/ws"} {
		addr := parse(t, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d%s/p2p/%s", deaf(t), end, nobody))
		begin := time.Now()
		check(t, New(Config{Timeout: 300 * time.Millisecond}), addr, fleet.Unreachable, "dial", "deadline")
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("%s: took %v, want about 0.3 s", addr, took)
		}
	}
}

func TestProbe_RelayThatNeverAnswersIsNotServing(t *testing.T) {
	h := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	h.SetStreamHandler(proto.ProtoIDv2Hop, func(s network.Stream) { _, _ = io.Copy(io.Discard, s); _ = s.Reset() })
	begin := time.Now()
	check(t, New(Config{Timeout: time.Second}), addrOf(t, h), fleet.NotServing, "reserve", "no answer")
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("took %v, want about 1 s", took)
	}
}

// oneWay grants reservations and leaves circuits without an answer to the other side:
// the service cannot open streams to whoever reserved.
type oneWay struct{ host.Host }

func (oneWay) NewStream(context.Context, peer.ID, ...protocolID) (network.Stream, error) {
	return nil, errors.New("broken")
}

func TestProbe_RelayWithBrokenCircuitsIsNotServing(t *testing.T) {
	h := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	serve(t, h, oneWay{h})
	check(t, New(Config{}), addrOf(t, h), fleet.NotServing, "relay", "CONNECTION_FAILED")
}

func TestProbe_EndedContextIsAnError(t *testing.T) {
	addr := addrOf(t, newRelay(t, "/ip4/127.0.0.1/tcp/0"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := New(Config{}).Probe(ctx, addr); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v, want %v", got, err, context.Canceled)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	hung := parse(t, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", deaf(t), nobody))
	if got, err := New(Config{}).Probe(ctx, hung); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in the middle: got %+v, %v, want %v", got, err, context.DeadlineExceeded)
	}
	if _, err := New(Config{}).Probe(t.Context(), dnsaddr.Addr{}); err == nil {
		t.Error("no address: want an error")
	}
}

func TestOneLine_IsShortAndHarmless(t *testing.T) {
	if got := oneLine("a\n\x1b[31m b\u202e\xff" + strings.Repeat("x", 9000)); len([]rune(got)) != maxError || !strings.HasPrefix(got, "a [31m b?xxx") {
		t.Errorf("got %q", got)
	}
}
