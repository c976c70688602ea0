package main

import (
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/web"
	"github.com/relayfleet/fleetctl/stats"
)

func TestTelemetry_WhatIsOldSaysNothingOfNow(t *testing.T) {
	now := time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC)
	of := func(asked time.Time, problem string) web.Relay {
		known := history.Relay{Node: "nyc1-1", LastAsked: asked, Error: problem, Damaged: []string{"ledger"}, Gauges: &stats.Gauges{Users: 5, ReservationLimit: 64}}
		return telemetry{relays: map[string]history.Relay{"nyc1-1": known}}.of(web.Relay{Node: "nyc1-1", State: "serving"}, fleet.Spec{}, now.Add(-time.Hour))
	}
	if r := of(now, ""); r.Users == nil || *r.Users != 5 || r.Answering == nil || !*r.Answering || r.CensusDamaged == nil || !*r.CensusDamaged || *r.ReservationLimit != 64 {
		t.Errorf("a relay that answered: %+v, want 5 users, answering, damaged, a limit of 64", r)
	}
	counters := history.Relay{Node: "nyc1-1", LastAsked: now, Damaged: []string{"relay-counters.json was damaged before this start"}}
	all := telemetry{relays: map[string]history.Relay{"nyc1-1": counters}}
	if r := all.of(web.Relay{Node: "nyc1-1"}, fleet.Spec{}, now.Add(-time.Hour)); r.CensusDamaged == nil || *r.CensusDamaged {
		t.Errorf("a relay of which the counters were damaged: %s, want a census that is not", said(r.CensusDamaged))
	}
	if r := of(now, "no answer"); r.Users != nil || r.Answering == nil || *r.Answering || r.CensusDamaged != nil {
		t.Errorf("a relay that did not answer: %+v, want not answering, and nothing else known", r)
	}
	if r := of(now.Add(-2*time.Hour), ""); r.Users != nil || r.Answering != nil {
		t.Errorf("a relay that was asked two hours ago: %+v, want nothing known", r)
	}
}

func TestCompose_TelemetryGetsOldWhileCollectingFails(t *testing.T) {
	value := 7.0
	v := threeSeen(t, fleet.Serving, fleet.Serving, fleet.Serving)
	v.telemetry = telemetry{
		collected: web.Collected{At: lookTime(), Error: "the disk is full"},
		relays: map[string]history.Relay{
			"nyc1-1": {Node: "nyc1-1", LastAsked: lookTime(), Gauges: &stats.Gauges{Users: 5}},
			"fra1-1": {Node: "fra1-1", LastAsked: lookTime(), Error: "no answer"},
		},
		figures: map[string]stats.Figure{"concurrent_peers": {Value: &value}, "lifetime_unique_peers": {Value: &value}},
	}
	for after, want := range map[time.Duration]string{0: "1", 10 * time.Minute: "1", 11 * time.Minute: "unknown"} {
		f := compose(v, lookTime().Add(after), serveFlags{every: time.Minute})
		if got := said(f.Collected.Answered); got != want {
			t.Errorf("%s after the last collection %s relays answered, want %s", after, got, want)
		}
		if got := said(f.Figures["concurrent_peers"].Value); (got == "unknown") != (want == "unknown") || f.Figures["lifetime_unique_peers"].Value == nil {
			t.Errorf("%s after the last collection %s peers are connected, lifetime %v, want the first to be unknown with who answered, the second never", after, got, said(f.Figures["lifetime_unique_peers"].Value))
		}
		if r := f.Relays[0]; (r.Users == nil) != (want == "unknown") || (r.Answering == nil) != (want == "unknown") {
			t.Errorf("%s after the last collection: users %s, answering %s", after, said(r.Users), said(r.Answering))
		}
	}
	if v.telemetry.figures["concurrent_peers"].Value == nil {
		t.Error("what was collected was changed by showing it")
	}
}
