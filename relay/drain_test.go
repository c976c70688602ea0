package relay

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	circuitclient "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	circuitrelay "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"

	"github.com/relayfleet/fleetctl/stats"
)

// status is why a reservation was refused; OK when it was not.
func status(t *testing.T, err error) pbv2.Status {
	t.Helper()
	if err == nil {
		return pbv2.Status_OK
	}
	var refused circuitclient.ReservationError
	if !errors.As(err, &refused) {
		t.Fatalf("reserve: %v, want a refusal with a status", err)
	}
	return refused.Status
}

func advertisesHop(h host.Host, relay peer.ID) bool {
	got, err := h.Peerstore().SupportsProtocols(relay, proto.ProtoIDv2Hop)
	return err == nil && len(got) == 1
}

func TestDrain_GrantsAndRenewsNothingHidesHopAndLetsCircuitsGoOn(t *testing.T) {
	cfg := loopback(t)
	r := start(t, cfg)
	file := filepath.Join(cfg.State, drainFile)
	behind, caller, late, watcher := newEcho(t), newEcho(t), newEcho(t), newEcho(t)
	connect(t, watcher, r.info()) // asking for hop would make it remember hop
	if _, err := reserve(t, behind, r.info()); err != nil {
		t.Fatal(err)
	}
	s, err := through(t, caller, r.info(), behind.ID())
	if err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	write(t, file, "")
	var ready stats.Ready
	eventually(t, "readyz says draining", func() bool {
		code := r.get("/readyz", &ready)
		return code == 503 && ready.Draining && ready.Reason == "draining" && !ready.Ready
	})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s, want about a second at most", took)
	}
	for who, h := range map[string]host.Host{"a new reservation": late, "a renewal": behind} {
		_, err := reserve(t, h, r.info())
		if got := status(t, err); got != pbv2.Status_PERMISSION_DENIED {
			t.Errorf("%s: %s, want PERMISSION_DENIED", who, got)
		}
	}
	eventually(t, "clients see no hop protocol", func() bool { return !advertisesHop(watcher, r.ID()) })
	ask(t, s, "old circuit")
	another, err := through(t, late, r.info(), behind.ID())
	if err != nil {
		t.Errorf("a circuit to a reserved peer while draining: %v", err)
	} else {
		ask(t, another, "new circuit")
	}
	var held stats.Reservations
	r.get("/api/reservations", &held)
	if !held.Draining || held.Active != 1 {
		t.Errorf("reservations = %+v, want draining and the old one", held)
	}
	_ = behind.Close()
	eventually(t, "reservations count down", func() bool {
		r.get("/api/reservations", &held)
		return held.Active == 0
	})
	r.stop()

	again := start(t, cfg)
	if code := again.get("/readyz", &ready); code != 503 || !ready.Draining {
		t.Errorf("after a restart readyz = %d %+v, want draining", code, ready)
	}
	_, err = reserve(t, newEcho(t), again.info())
	if got := status(t, err); got != pbv2.Status_PERMISSION_DENIED {
		t.Errorf("after a restart: %s, want PERMISSION_DENIED", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reservations are granted again", func() bool {
		_, err := reserve(t, newEcho(t), again.info())
		return err == nil
	})
	fresh := newEcho(t)
	connect(t, fresh, again.info())
	eventually(t, "hop is advertised again", func() bool { return advertisesHop(fresh, again.ID()) })
}

// newEcho is a user that sends everything back.
func newEcho(t *testing.T) host.Host {
	t.Helper()
	h := client(t, "bitterbot/1/edge")
	echo(h)
	return h
}

func ask(t *testing.T, s io.ReadWriter, text string) {
	t.Helper()
	if _, err := s.Write([]byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(s, got); err != nil || string(got) != text {
		t.Fatalf("echo = %q %v, want %q", got, err, text)
	}
}

func TestLimits_RefusedWithTheStatusThatClientsKnow(t *testing.T) {
	cfg := loopback(t)
	cfg.Limits.Reservations, cfg.Limits.Circuits = 2, 2
	r := start(t, cfg)
	var targets []host.Host
	for range 2 {
		h := newEcho(t)
		if _, err := reserve(t, h, r.info()); err != nil {
			t.Fatal(err)
		}
		targets = append(targets, h)
	}
	_, err := reserve(t, newEcho(t), r.info())
	if got := status(t, err); got != pbv2.Status_RESERVATION_REFUSED {
		t.Errorf("third of two reservations: %s, want RESERVATION_REFUSED", got)
	}
	if _, err := reserve(t, targets[0], r.info()); err != nil {
		t.Errorf("a renewal at capacity: %v, want success", err)
	}
	for i := range 2 {
		if _, err := through(t, newEcho(t), r.info(), targets[i].ID()); err != nil {
			t.Fatalf("circuit %d of 2: %v", i+1, err)
		}
	}
	if _, err := through(t, newEcho(t), r.info(), targets[0].ID()); err == nil {
		t.Error("third of two circuits was opened")
	}
}

func TestLimits_PerIPPerPeerAndData(t *testing.T) {
	cfg := loopback(t)
	cfg.Limits.ReservationsPerIP, cfg.Limits.CircuitsPerPeer, cfg.Limits.CircuitData = 1, 1, 4096
	r := start(t, cfg)
	behind := newEcho(t)
	if _, err := reserve(t, behind, r.info()); err != nil {
		t.Fatal(err)
	}
	_, err := reserve(t, newEcho(t), r.info())
	if got := status(t, err); got != pbv2.Status_RESERVATION_REFUSED {
		t.Errorf("second reservation from one IP: %s, want RESERVATION_REFUSED", got)
	}
	s, err := through(t, newEcho(t), r.info(), behind.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := through(t, newEcho(t), r.info(), behind.ID()); err == nil {
		t.Error("a second circuit to one peer was opened, want at most 1")
	}
	if _, err := s.Write(make([]byte, 64<<10)); err == nil {
		_, err = io.ReadFull(s, make([]byte, 64<<10))
		if err == nil {
			t.Error("64 KiB passed a circuit of 4 KiB")
		}
	}
}

func TestLimits_ManyClientsFromOneAddressAreAdmittedAndNotAllOfThem(t *testing.T) {
	l := Default().Limits
	mgr, err := l.resourceManager()
	if err != nil {
		t.Fatal(err)
	}
	defer mgr.Close()
	// The stock limits admit 8 connections of one IP and 64 in all on a small box.
	from := mustAddr(t, "/ip4/198.51.100.7/tcp/4001")
	admitted := 0
	for range l.maxConns() {
		if _, err := mgr.OpenConnection(network.DirInbound, true, from); err != nil {
			break
		}
		admitted++
	}
	if want := l.connsPerIP(); admitted != want {
		t.Errorf("admitted %d connections of one IP, want %d", admitted, want)
	}
}

func TestResources_UnlimitedHalvesAreLargeAndBothAreNil(t *testing.T) {
	l := Default().Limits
	l.CircuitDuration = 0
	if rc := l.resources(); rc.Limit == nil || rc.Limit.Duration < 24*365*time.Hour || rc.Limit.Data != l.CircuitData {
		t.Errorf("no duration: %+v", rc.Limit)
	}
	l.CircuitData = 0
	if rc := l.resources(); rc.Limit != nil {
		t.Errorf("neither: %+v, want nil", rc.Limit)
	}
	if stock := circuitrelay.DefaultResources(); stock.MaxReservations != 128 || stock.MaxReservationsPerIP != 8 {
		t.Errorf("the stock defaults have changed: %+v", stock)
	}
}

func TestListeners_APortInUseMakesReadyzSayWhichAndItComesUpLater(t *testing.T) {
	first := start(t, loopback(t))
	taken := first.info().Addrs[0].String()
	cfg := loopback(t)
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0", taken, "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"}
	r := start(t, cfg)
	var ready stats.Ready
	if code := r.get("/readyz", &ready); code != 503 || ready.Ready {
		t.Fatalf("readyz = %d %+v, want 503 while a listener is down", code, ready)
	}
	for i, want := range []bool{true, false, true, true} {
		if ready.Listeners[i].Up != want {
			t.Errorf("listener %+v, want up %v", ready.Listeners[i], want)
		}
	}
	if l := ready.Listeners[1]; l.Address != taken || l.Error == "" {
		t.Errorf("listener %+v, want the taken address %s with a cause", l, taken)
	}
	first.stop()
	eventually(t, "the listener comes up once its port is free", func() bool { return r.get("/readyz", &ready) == 200 })
}

func TestTransports_PlainQUICAndWebSocketOnOnePortAllReserve(t *testing.T) {
	cfg := loopback(t)
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"}
	r := start(t, cfg)
	for _, addr := range r.Addrs() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		pong, err := Ping(ctx, addr.String(), "test")
		cancel()
		if err != nil || pong.PeerID != r.ID().String() || pong.RTTms == nil {
			t.Errorf("ping %s = %+v %v", addr, pong, err)
		}
	}
	if len(r.Addrs()) != 3 {
		t.Errorf("addresses = %v, want three", r.Addrs())
	}
	if now := r.now(); now.PeersJoinedTotal != 0 {
		t.Errorf("pings were counted as users: %+v", now)
	}
}

func TestAnnounce_IsExactlyWhatIsConfigured(t *testing.T) {
	cfg := loopback(t)
	cfg.Announce = []string{"/ip4/203.0.113.7/tcp/9100", "/dns4/nyc1.example/tcp/443/tls/ws"}
	r := start(t, cfg)
	var report stats.Report
	r.get("/api/stats", &report)
	if len(report.ListenAddrs) != 2 || report.ListenAddrs[0] != cfg.Announce[0] || report.ListenAddrs[1] != cfg.Announce[1] {
		t.Errorf("listen_addrs = %v, want %v", report.ListenAddrs, cfg.Announce)
	}
	at := peer.AddrInfo{ID: r.ID()}
	for _, l := range r.wished.view() {
		at.Addrs = append(at.Addrs, mustAddr(t, l.Bound))
	}
	got, err := reserve(t, newEcho(t), at)
	if err != nil || len(got.Addrs) != 2 {
		t.Errorf("reservation = %+v %v, want the two announced addresses", got, err)
	}
}
