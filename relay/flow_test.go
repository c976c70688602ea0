package relay

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	dto "github.com/prometheus/client_model/go"

	"github.com/relayfleet/fleetctl/stats"
)

// gauge is one of ours in /metrics.
func gauge(t *testing.T, r *Relay, name string) float64 {
	t.Helper()
	families, err := r.gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && f.GetType() == dto.MetricType_GAUGE {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no gauge %s", name)
	return 0
}

func TestTelemetry_CircuitsOfProbesAndTheirBytesCountApart(t *testing.T) {
	r := start(t, loopback(t))
	behind := client(t, stats.ProbeAgent("1"))
	echo(behind)
	if _, err := reserve(t, behind, r.info()); err != nil {
		t.Fatal(err)
	}
	over := func(h host.Host) (end func()) {
		t.Helper()
		s, err := through(t, h, r.info(), behind.ID())
		if err != nil {
			t.Fatal(err)
		}
		ask(t, s, "what a relay passes on")
		return func() { _ = h.Network().ClosePeer(behind.ID()) }
	}
	count := func(what string, circuits, own int, bytes, ownBytes bool) {
		t.Helper()
		var got stats.Telemetry
		var all map[string]float64
		defer func() {
			if t.Failed() {
				t.Logf("%s: %d circuits and %d bytes are told, /metrics %v; want %d circuits, %d apart, some bytes of users: %t, apart: %t",
					what, got.Gauges.Circuits, got.Counters.BytesRelayed, all, circuits, own, bytes, ownBytes)
			}
		}()
		eventually(t, what, func() bool { // a peer has the answer before the relay has counted it
			got, all = telling(t, r.Relay), scraped(t, r.Relay)
			return got.Gauges.Circuits == circuits && gauge(t, r.Relay, "relay_circuits") == float64(circuits) && gauge(t, r.Relay, "relay_own_circuits") == float64(own) &&
				(got.Counters.BytesRelayed > 0) == bytes && (all["relay_bytes_relayed_total"] > 0) == bytes && (all["relay_own_bytes_relayed_total"] > 0) == ownBytes
		})
	}
	count("nothing is open", 0, 0, false, false)
	endProbe := over(client(t, stats.ProbeAgent("1")))
	count("a probe has a circuit", 0, 1, false, true)
	endUser := over(client(t, "bitterbot/1/edge"))
	count("a user has one beside it", 1, 1, true, true)
	endProbe()
	count("that of the user is open", 1, 0, true, true)
	endUser()
	count("both are closed", 0, 0, true, true)
}

func TestFlow_BytesOfBeforeAPeerIsKnownAreOfWhatItTurnsOutToBe(t *testing.T) {
	for name, c := range map[string]struct {
		agent     string
		user, own uint64
	}{
		"a user":  {"bitterbot/1/edge", 12, 0},
		"a probe": {stats.ProbeAgent("1"), 0, 12},
	} {
		d := openDesk(t, t.TempDir(), noon())
		p, _ := someone(t)
		d.connected(p, nil, nil, noon())
		f := d.circuitOpened(p, noon())
		f.passed(5)
		if got := d.ledger.bytes.Load() + d.ledger.ownBytes.Load(); got != 0 {
			t.Errorf("%s, not known yet: %d bytes are counted, want none", name, got)
		}
		d.identified(p, c.agent, nil, noon())
		f.passed(7)
		if user, own := d.ledger.bytes.Load(), d.ledger.ownBytes.Load(); user != c.user || own != c.own {
			t.Errorf("%s: %d bytes of users and %d of its own, want %d and %d", name, user, own, c.user, c.own)
		}
	}
}

func TestFlow_WhoLeavesBeforeItSaysWhatItIsRelaysNothingUnseen(t *testing.T) {
	d := openDesk(t, t.TempDir(), noon())
	p, _ := someone(t)
	d.connected(p, nil, nil, noon())
	f := d.circuitOpened(p, noon())
	f.passed(5)
	d.disconnected(p, noon())
	f.passed(7) // what was on its way
	d.circuitOpened(p, noon()).passed(100)
	got := d.countersNow(noon()).Epoch
	if got.BytesRelayed != 112 || *got.OwnBytes != 0 || got.Joined != 0 {
		t.Errorf("%d bytes of users, %d of its own and %d joins, want 112, 0 and 0", got.BytesRelayed, *got.OwnBytes, got.Joined)
	}
}

func TestFlow_BytesOfTheFleetItselfAreToldAndKeptOverARestart(t *testing.T) {
	d := openDesk(t, t.TempDir(), noon())
	p, _ := someone(t)
	d.connected(p, nil, nil, noon())
	d.identified(p, stats.ProbeAgent("1"), nil, noon())
	d.circuitOpened(p, noon()).passed(7)
	kept := d.countersNow(noon())
	if got := kept.Epoch.OwnBytes; got == nil || *got != 7 {
		t.Fatalf("got %v, want 7 told", got)
	}
	again := openDesk(t, t.TempDir(), noon())
	again.restore(kept)
	again.ledger.ownBytes.Add(2)
	if got, since := again.countersNow(noon()).Epoch.OwnBytes, again.sinceStart().OwnBytes; *got != 9 || *since != 2 {
		t.Errorf("after a restart: got %d, since it %d, want 9 and 2", *got, *since)
	}
}

func TestFlow_WhatAPeerPassedBeforeItProvedToBeOfTheFleetStaysCounted(t *testing.T) {
	d := openDesk(t, t.TempDir(), noon())
	p, _ := someone(t)
	d.user(t, p, noon())
	f := d.circuitOpened(p, noon())
	f.passed(5)
	d.setFleet([]peer.ID{p})
	f.passed(7)
	if user, own := d.ledger.bytes.Load(), d.ledger.ownBytes.Load(); user != 5 || own != 7 {
		t.Errorf("%d bytes of users and %d of its own, want 5, which do not fall, and 7", user, own)
	}
}
