package relay

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"

	"github.com/relayfleet/fleetctl/stats"
)

func TestContract09_DamagedCensusIsSetAsideAndNeverOverwritten(t *testing.T) {
	_, key := someone(t)
	for name, text := range map[string]string{
		"half written":  `[{"peer_pubkey":"AAAA`,
		"no array":      `{"peers":[]}`,
		"null":          `null`,
		"empty":         ``,
		"binary":        "\x00\xff\xfe\x01",
		"bad entry":     `[{"peer_pubkey":"???","last_seen_at":1}]`,
		"negative":      `[{"peer_pubkey":"AAAA","connection_count":-1}]`,
		"invalid UTF-8": "[{\"peer_pubkey\":\"\xff\"}]",
		"deep":          strings.Repeat("[", 20000),
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, censusFile), text)
		l := newLedger(Default(), noon())
		a := newArchive(dir, l, slog.New(slog.DiscardHandler))
		a.load(noon())
		l.merge([]stats.CensusEntry{entry(key, 1, 2, 3)})
		if err := a.flush(noon()); err != nil {
			t.Errorf("%s: flush: %v", name, err)
		}
		if got := read(t, filepath.Join(dir, censusFile+".damaged-20260501T120000Z")); got != text {
			t.Errorf("%s: set aside = %q, want the damaged text %q", name, got, text)
		}
		if got := a.complaints(); len(got) != 1 || !strings.Contains(got[0], "bootnode-peers.json.damaged-20260501T120000Z") {
			t.Errorf("%s: complaints = %q, want one that names the file", name, got)
		}
	}

	// The whole daemon.
	cfg := loopback(t)
	write(t, filepath.Join(cfg.State, censusFile), "[{")
	r := start(t, cfg)
	var ready stats.Ready
	if status := r.get("/readyz", &ready); status != 200 || len(ready.Warnings) != 1 {
		t.Errorf("GET /readyz = %d %+v, want 200 and a warning: a damaged census is no reason not to serve", status, ready)
	}
	connect(t, client(t, "bitterbot/1/edge"), r.info())
	eventually(t, "a user joins", func() bool { return r.now().ConnectedPeers == 1 })
	r.stop()
	aside, err := filepath.Glob(filepath.Join(cfg.State, censusFile+".damaged-*"))
	if err != nil || len(aside) != 1 || read(t, aside[0]) != "[{" {
		t.Errorf("set aside = %v %v, want the damaged text", aside, err)
	}
	var entries []stats.CensusEntry
	if err := json.Unmarshal([]byte(read(t, filepath.Join(cfg.State, censusFile))), &entries); err != nil || len(entries) != 1 {
		t.Errorf("new census = %v %v, want the one user", entries, err)
	}
}

func TestContract11_ReservationsAndCircuitsAreCountedAtTheServerAndHolePunchesAreNull(t *testing.T) {
	r := start(t, loopback(t))
	behind, caller := client(t, "bitterbot/1/edge"), client(t, "bitterbot/1/edge")
	echo(behind)
	for range 2 { // the second one is a renewal
		got, err := reserve(t, behind, r.info())
		if err != nil {
			t.Fatalf("reserve: %v", err)
		}
		if len(got.Addrs) == 0 {
			t.Error("reservation without addresses: old clients refuse it")
		}
	}
	s, err := through(t, caller, r.info(), behind.ID())
	if err != nil {
		t.Fatalf("circuit: %v", err)
	}
	sent := bytes.Repeat([]byte("relay"), 2000)
	if _, err := s.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("echo through the relay: %d bytes, %v; want %d", len(got), err, len(sent))
	}
	eventually(t, "one reservation and one circuit are counted", func() bool {
		now := r.now()
		return now.RelayReservations == 1 && now.RelayCircuits == 1
	})
	var raw map[string]any
	if status := r.get("/api/stats", &raw); status != 200 {
		t.Fatalf("GET /api/stats = %d", status)
	}
	for _, key := range []string{"hole_punches_succeeded", "hole_punches_failed", "skill_latency_p50_ms", "skill_latency_p95_ms"} {
		if value, there := raw[key]; !there || value != nil {
			t.Errorf("%s = %v (there: %v), want null: a relay cannot see it", key, value, there)
		}
	}
	var held stats.Reservations
	r.get("/api/reservations", &held)
	if held.Active != 1 || len(held.Reservations) != 1 || held.Reservations[0].Peer != behind.ID().String() {
		t.Errorf("reservations = %+v, want the one of %s", held, behind.ID())
	}
	if left := time.Until(time.Unix(held.Reservations[0].ExpiresAt, 0)); left < 50*time.Minute || left > time.Hour {
		t.Errorf("expires in %s, want about an hour", left)
	}
	_ = behind.Close()
	eventually(t, "the reservation ends with the connection", func() bool {
		n, _ := r.ledger.reservations(time.Now(), 1)
		return n == 0
	})
}

func TestContract12_CountsSurviveARestartAndTheFleetsOwnAreNoUsers(t *testing.T) {
	cfg := loopback(t)
	r := start(t, cfg)
	one, two := client(t, "bitterbot/1/edge"), client(t, "bitterbot/1/management")
	connect(t, one, r.info())
	connect(t, two, r.info())
	eventually(t, "two users join", func() bool { return r.now().ConnectedPeers == 2 })
	_ = two.Close()
	eventually(t, "one leaves", func() bool { return r.now().PeersLeftTotal == 1 })
	if _, err := reserve(t, one, r.info()); err != nil {
		t.Fatal(err)
	}
	r.stop()

	// The same relay again, and another of its fleet, named to it by file.
	other := start(t, loopback(t))
	write(t, filepath.Join(cfg.State, fleetPeersFile), other.Addrs()[0].String()+"\n")
	again := start(t, cfg)
	now := again.now()
	if now.PeakConcurrentPeers != 2 || now.LifetimeUniquePeerIDs != 2 || now.PeersJoinedTotal != 2 ||
		now.PeersLeftTotal != 2 || now.RelayReservations != 1 || now.ConnectedPeers != 0 {
		t.Errorf("after the restart %+v, want peak 2, lifetime 2, joined 2, left 2, reservations 1, connected 0", now)
	}
	if again.ID() != r.ID() {
		t.Errorf("peer ID after the restart = %s, want %s", again.ID(), r.ID())
	}
	connect(t, client(t, stats.ProbeAgent("1")), again.info())
	silent := client(t, "bitterbot/1/edge") // as the dial-backs of AutoNAT are
	silent.RemoveStreamHandler("/ipfs/id/1.0.0")
	connect(t, silent, again.info())
	connect(t, client(t, "bitterbot/9/management", hopServer), again.info())
	eventually(t, "three of the fleet are connected", func() bool {
		f := again.ledger.figures()
		return f.fleet == 2 && f.probes == 1
	})
	newcomer := client(t, "bitterbot/1/edge")
	connect(t, newcomer, again.info())
	eventually(t, "a new user joins", func() bool { return again.now().ConnectedPeers == 1 })
	eventually(t, "identify of the silent one fails", func() bool { return again.ledger.isSilent(silent.ID()) })
	if now := again.now(); now.LifetimeUniquePeerIDs != 3 || now.PeersJoinedTotal != 3 || now.PeakConcurrentPeers != 2 {
		t.Errorf("with fleet, probe and one user %+v, want lifetime 3, joined 3, peak 2", now)
	}
	if _, err := reserve(t, silent, again.info()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who reserves is a user, silent or not", func() bool { return again.now().ConnectedPeers == 2 })
	if now := other.now(); now.ConnectedPeers != 0 || now.PeersJoinedTotal != 0 || now.LifetimeUniquePeerIDs != 0 {
		t.Errorf("at the other relay %+v, want no users", now)
	}
}

func (l *ledger) isSilent(p peer.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions[p] != nil && l.sessions[p].silent
}

// hopServer makes a client advertise hop, as relays do.
func hopServer(c *libp2p.Config) error {
	return libp2p.ChainOptions(libp2p.ForceReachabilityPublic(), libp2p.EnableRelayService())(c)
}

func TestContract13_CensusIsFlushedOnABusyRelayAndAtSIGTERM(t *testing.T) {
	cfg := loopback(t)
	r := start(t, cfg)
	path := filepath.Join(cfg.State, censusFile)
	count := func() int {
		var entries []stats.CensusEntry
		text, err := os.ReadFile(path)
		if err != nil {
			return 0
		}
		if err := json.Unmarshal(text, &entries); err != nil {
			t.Fatalf("census on disk is never half a file: %v: %q", err, text)
		}
		return len(entries)
	}
	// Somebody comes and goes without a pause, and the file keeps up.
	for want := 1; want <= 5; want++ {
		connect(t, client(t, "bitterbot/1/edge"), r.info())
		eventually(t, "the file keeps up", func() bool { return count() == want })
	}
	r.stop()

	cfg = loopback(t)
	cfg.CensusEvery = time.Hour
	path = filepath.Join(cfg.State, censusFile)
	r = start(t, cfg)
	connect(t, client(t, "bitterbot/1/edge"), r.info())
	eventually(t, "a user joins", func() bool { return r.now().ConnectedPeers == 1 })
	r.stop()
	if got := count(); got != 1 {
		t.Errorf("census after SIGTERM has %d peers, want 1", got)
	}
}

func TestContract17_RelaysOfAFleetKnowEachOtherFromTheFirstMinute(t *testing.T) {
	one, two, three := start(t, loopback(t)), start(t, loopback(t)), start(t, loopback(t))
	text := "# the fleet\n\n"
	for _, r := range []*running{one, two, three} {
		text += r.Addrs()[0].String() + "\n"
	}
	began := time.Now()
	for _, r := range []*running{one, two, three} {
		write(t, filepath.Join(r.cfg.State, fleetPeersFile), text)
	}
	for _, r := range []*running{one, two, three} {
		eventually(t, "every relay has the two others, in Kademlia too", func() bool {
			return r.ledger.figures().fleet == 2 && r.now().RoutingTableSize == 2
		})
		if now := r.now(); now.ConnectedPeers != 0 || now.LifetimeUniquePeerIDs != 0 || now.PeersJoinedTotal != 0 {
			t.Errorf("%s counts its fleet as users: %+v", r.ID(), now)
		}
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %s, want the first minute", took)
	}
}

func TestContract18_ContextEndDrainsFlushesAndReturnsNil(t *testing.T) {
	cfg := loopback(t)
	cfg.Grace = patience
	r := start(t, cfg)
	behind, caller := client(t, "bitterbot/1/edge"), client(t, "bitterbot/1/edge")
	echo(behind)
	if _, err := reserve(t, behind, r.info()); err != nil {
		t.Fatal(err)
	}
	s, err := through(t, caller, r.info(), behind.ID())
	if err != nil {
		t.Fatal(err)
	}
	r.cancel()
	eventually(t, "readyz says stopping", func() bool { return r.readiness().Reason == "stopping" })
	if _, err := reserve(t, caller, r.info()); err == nil {
		t.Error("a stopping relay granted a reservation")
	}
	if _, err := s.Write([]byte("still here")); err != nil {
		t.Errorf("the circuit did not get its grace: %v", err)
	}
	got := make([]byte, len("still here"))
	if _, err := io.ReadFull(s, got); err != nil || string(got) != "still here" {
		t.Errorf("through the circuit = %q %v", got, err)
	}
	r.Hurry()
	select {
	case err := <-r.done:
		r.done <- nil
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	case <-time.After(patience):
		t.Error("Hurry did not end the grace")
	}
}

func TestIdentifyNamesTheAgentTheProtocolVersionAndTheProtocols(t *testing.T) {
	r := start(t, loopback(t))
	h := client(t, "bitterbot/1/edge")
	connect(t, h, r.info())
	eventually(t, "identify is through", func() bool {
		agent, err := h.Peerstore().Get(r.ID(), "AgentVersion")
		return err == nil && agent == "bitterbot/1.2.3/management"
	})
	if got, err := h.Peerstore().Get(r.ID(), "ProtocolVersion"); err != nil || got != "/bitterbot/id/1.0.0" {
		t.Errorf("protocol version = %v %v, want /bitterbot/id/1.0.0", got, err)
	}
	want := []protocol.ID{proto.ProtoIDv2Hop, "/bitterbot/kad/1.0.0", "/ipfs/ping/1.0.0", "/libp2p/autonat/1.0.0", "/libp2p/autonat/2/dial-request"}
	got, err := h.Peerstore().SupportsProtocols(r.ID(), want...)
	if err != nil || len(got) != len(want) {
		t.Errorf("protocols = %v %v, want %v", got, err, want)
	}
}
