package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// lookTime is when the tests of serve look.
func lookTime() time.Time { return time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC) }

// threeSeen is a fleet of three published relays with a floor of 2, looked at just now, each
// of which was found as a verdict says.
func threeSeen(t *testing.T, verdicts ...fleet.Verdict) seen {
	t.Helper()
	v := seen{spec: fleet.Spec{
		Name: "demo", Provider: fleet.ProviderHosts, Relay: fleet.RelaySpec{Port: 9100}, Rollout: fleet.RolloutSpec{ProbeMaxAge: 2 * time.Minute},
		DNS: fleet.DNSSpec{Domain: "p2p.demo.test", MinRelays: 2},
	}}
	st := fleet.State{At: lookTime(), Relays: make(map[string]fleet.Observed[fleet.Relay]), Probes: make(map[dnsaddr.Addr]fleet.Observed[fleet.Probe])}
	for i, verdict := range verdicts {
		node, peer := []string{"nyc1-1", "fra1-1", "sgp1-1"}[i], fleettest.PeerID(fmt.Sprint(i))
		a, err := dnsaddr.ParseAddr(fmt.Sprintf("/ip4/203.0.113.%d/tcp/9100/p2p/%s", i+1, peer))
		if err != nil {
			t.Fatal(err)
		}
		m := fleet.Machine{ID: "box-" + node, Node: node, Region: node[:4], Status: fleet.StatusRunning, Phase: fleet.PhaseActive}
		st.Machines.Value = append(st.Machines.Value, m)
		st.Relays[m.ID] = fleet.Observed[fleet.Relay]{Value: fleet.Relay{Installed: true, Active: true, Ready: true, PeerID: peer}}
		st.Records.Value = append(st.Records.Value, dnsaddr.Record{Value: a.Value(), Comment: dnsaddr.Owner{Fleet: "demo", Relay: node}.Comment()})
		st.Probes[a] = fleet.Observed[fleet.Probe]{Value: fleet.Probe{Addr: a, At: lookTime(), Via: fleet.Here, Verdict: verdict}}
		v.spec.Nodes = append(v.spec.Nodes, fleet.NodeSpec{Region: m.Region, Count: 1})
		v.look.status.Relays = append(v.look.status.Relays, relayStatus{Node: node, Region: m.Region, Machine: m.ID, PeerID: peer, State: string(verdict), Published: true})
	}
	v.look.begun, v.look.ended, v.look.state = lookTime(), lookTime(), st
	return v
}

// said is a number or "unknown".
func said[T any](v *T) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprint(*v)
}

func TestCompose_CutOffFromTheFleetNobodyKnowsWhoServes(t *testing.T) {
	const serving, silent, elsewhere = fleet.Serving, fleet.Unreachable, fleet.Elsewhere
	viaBox := func(v *seen) {
		for a, p := range v.look.state.Probes {
			p.Value.Via = "fra1-1"
			v.look.state.Probes[a] = p
		}
	}
	for name, c := range map[string]struct {
		verdicts []fleet.Verdict
		change   func(*seen)
		total    string
		each     []string // verified
		states   []string
	}{
		"all serve":                {[]fleet.Verdict{serving, serving, serving}, nil, "3", []string{"true", "true", "true"}, []string{"serving", "serving", "serving"}},
		"cut off":                  {[]fleet.Verdict{silent, silent, silent}, nil, "unknown", []string{"unknown", "unknown", "unknown"}, []string{"unknown", "unknown", "unknown"}},
		"not cut off":              {[]fleet.Verdict{silent, silent, serving}, nil, "1", []string{"false", "false", "true"}, []string{"unreachable", "unreachable", "serving"}},
		"boxes were asked":         {[]fleet.Verdict{silent, silent, silent}, viaBox, "0", []string{"false", "false", "false"}, []string{"unreachable", "unreachable", "unreachable"}},
		"only boxes reach them":    {[]fleet.Verdict{elsewhere, elsewhere, serving}, nil, "unknown", []string{"unknown", "unknown", "true"}, []string{"elsewhere", "elsewhere", "serving"}},
		"one more does not matter": {[]fleet.Verdict{elsewhere, serving, serving}, nil, "2", []string{"unknown", "true", "true"}, []string{"elsewhere", "serving", "serving"}},
		"one more would not do":    {[]fleet.Verdict{elsewhere, fleet.NotServing, fleet.Draining}, nil, "0", []string{"unknown", "false", "false"}, []string{"elsewhere", "not serving", "draining"}},
		"the look took too long": {[]fleet.Verdict{serving, serving, serving}, func(v *seen) { v.look.state.At = lookTime().Add(time.Hour) }, "unknown",
			[]string{"true", "true", "true"}, []string{"serving", "serving", "serving"}},
		"one is down since":  {[]fleet.Verdict{serving, serving, serving}, down("nyc1-1"), "2", []string{"unknown", "true", "true"}, []string{"down", "serving", "serving"}},
		"two are down since": {[]fleet.Verdict{serving, serving, serving}, down("nyc1-1", "fra1-1"), "1", []string{"unknown", "unknown", "true"}, []string{"down", "down", "serving"}},
		"one of which nobody knew is down since": {[]fleet.Verdict{elsewhere, elsewhere, elsewhere}, down("nyc1-1", "fra1-1"), "0",
			[]string{"unknown", "unknown", "unknown"}, []string{"down", "down", "elsewhere"}},
		"the only one that showed that we are not cut off is down since": {[]fleet.Verdict{serving, silent, silent}, down("nyc1-1"), "0",
			[]string{"unknown", "false", "false"}, []string{"down", "unreachable", "unreachable"}},
		"the zone was not read": {[]fleet.Verdict{serving, serving, serving}, func(v *seen) { v.look.state.Records.Err = errors.New("away") }, "unknown",
			[]string{"true", "true", "true"}, []string{"serving", "serving", "serving"}},
	} {
		v := threeSeen(t, c.verdicts...)
		if c.change != nil {
			c.change(&v)
		}
		f := compose(v, lookTime(), serveFlags{every: time.Minute})
		var each, states []string
		for _, r := range f.Relays {
			each, states = append(each, said(r.Verified)), append(states, r.State)
		}
		if got := said(f.Verified); got != c.total || !slices.Equal(each, c.each) || !slices.Equal(states, c.states) {
			t.Errorf("%s: verified %s, of the relays %q, states %q, want %s, %q, %q", name, got, each, states, c.total, c.each, c.states)
		}
	}
}

// down has boxes say, after the look, that their relay does not run.
func down(nodes ...string) func(*seen) {
	return func(v *seen) {
		v.signs = make(map[string]sign)
		for _, node := range nodes {
			v.signs["box-"+node] = sign{at: lookTime().Add(time.Second), life: lifeDown}
		}
	}
}

func TestVantage_OneAddressThatNobodyKnowsOfLeavesTheRelayUnknown(t *testing.T) {
	probe := func(v fleet.Verdict, err error) fleet.Observed[fleet.Probe] {
		return fleet.Observed[fleet.Probe]{Value: fleet.Probe{At: lookTime(), Via: fleet.Here, Verdict: v}, Err: err}
	}
	for want, probes := range map[string][]fleet.Observed[fleet.Probe]{
		"unknown": {probe(fleet.Unreachable, nil), probe(fleet.Elsewhere, nil)},
		"true":    {probe(fleet.Unreachable, nil), probe(fleet.Full, nil), probe("", errors.New("no socket"))},
		"false":   {probe(fleet.Unreachable, nil), probe(fleet.NotServing, nil)},
	} {
		got, at := vantage{map[string][]fleet.Observed[fleet.Probe]{"peer": probes}, true}.probed("peer")
		if said(got) != want || at.IsZero() != (got == nil) {
			t.Errorf("probes %+v: verified %s at %s, want %s", probes, said(got), at, want)
		}
	}
}

func TestCompose_WhatWasNotReadIsUnknown(t *testing.T) {
	spec := fleet.Spec{Name: "demo", DNS: fleet.DNSSpec{Domain: "p2p.demo.test", MinRelays: 1}}
	spec.Nodes = []fleet.NodeSpec{{Region: "nyc1", Count: 1}}
	now := time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC)
	f := compose(seen{spec: spec}, now, serveFlags{})
	if len(f.Relays) != 1 || f.Relays[0].State != "unknown" || f.Published != nil || f.Verified != nil || !f.At.IsZero() {
		t.Errorf("before the first look: %+v, want one unknown relay and no count", f)
	}
	st := fleet.State{Records: fleet.Observed[[]dnsaddr.Record]{Err: errors.New("the zone is away")}}
	l := look{begun: now, ended: now, state: st, status: statusView{Relays: []relayStatus{{Node: "nyc1-1", State: "ready", PeerID: "12D3KooWx", Published: false}}}}
	f = compose(seen{spec: spec, look: l}, now, serveFlags{})
	if r := f.Relays[0]; r.Published != nil || r.Verified != nil || f.Published != nil || f.Zone.Records != nil || f.Zone.Error != "the zone is away" {
		t.Errorf("the zone was not read: relay %+v, published %v, zone %+v, want unknown and the reason", r, f.Published, f.Zone)
	}
}
