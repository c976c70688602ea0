package main

import (
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// What a plan means for clients is what comes of it: a removal that waits for the operator
// takes nobody away, and a record that is adopted was of use before.
func TestEffect_CountsWhatComesOfAPlan(t *testing.T) {
	s, _ := testSession(t, namedProber{})
	serves := fleet.Observed[fleet.Probe]{Value: fleet.Probe{Verdict: fleet.Serving}}
	st := fleet.State{Probes: map[dnsaddr.Addr]fleet.Observed[fleet.Probe]{}}
	ours := dnsaddr.Owner{Fleet: s.spec.Name, Relay: "ra-1"}.Comment()
	for n, comment := range map[int]string{1: ours, 2: ""} {
		a, err := dnsaddr.ParseValue(testValue(n))
		if err != nil {
			t.Fatal(err)
		}
		st.Records.Value = append(st.Records.Value, dnsaddr.Record{Name: s.spec.DNS.RecordName(), Value: testValue(n), Comment: comment})
		st.Probes[a] = serves
	}
	s.spec.Rollout.ProbeMaxAge = 1
	of := func(n int) fleet.Ref { return fleet.Ref{Kind: fleet.KindRecord, Node: "ra-1", ID: testValue(n)} }
	change := func(a fleet.Action, n int) []fleet.Stage {
		return []fleet.Stage{{Changes: []fleet.Change{{Action: a, Ref: of(n)}}}}
	}
	for what, c := range map[string]struct {
		plan          fleet.Plan
		before, after int
	}{
		"nothing to do":             {fleet.Plan{}, 1, 1},
		"withdrawn":                 {fleet.Plan{Stages: change(fleet.ActionWithdraw, 1)}, 1, 0},
		"withdrawn soon":            {fleet.Plan{Deferred: []fleet.Deferral{{Action: fleet.ActionWithdraw, Ref: of(1), Soon: true}}}, 1, 0},
		"waiting for the operator":  {fleet.Plan{Deferred: []fleet.Deferral{{Action: fleet.ActionWithdraw, Ref: of(1)}}}, 1, 1},
		"its TTL":                   {fleet.Plan{Stages: change(fleet.ActionUpdate, 1)}, 1, 1},
		"one that nobody marked":    {fleet.Plan{Stages: change(fleet.ActionUpdate, 2)}, 2, 2},
		"one that is not there yet": {fleet.Plan{Stages: change(fleet.ActionPublish, 3)}, 1, 2},
	} {
		if got := s.effect(st, c.plan); got.Before != c.before || got.After != c.after {
			t.Errorf("%s: got %d relays now and %d after, want %d and %d", what, got.Before, got.After, c.before, c.after)
		}
	}
}

// A down that is run again after the records went still says which peer IDs go with the machines.
func TestEffect_APeerIDVanishesWithItsMachineAndOnce(t *testing.T) {
	s, _ := testSession(t, namedProber{})
	addr, err := dnsaddr.ParseValue(testValue(1))
	if err != nil {
		t.Fatal(err)
	}
	peer := addr.PeerID()
	st := fleet.State{Relays: map[string]fleet.Observed[fleet.Relay]{"7": {Value: fleet.Relay{PeerID: peer}}, "8": {}}}
	machine := func(id string) fleet.Change {
		return fleet.Change{Action: fleet.ActionDelete, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "ra-1", ID: id}}
	}
	withdraw := fleet.Change{Action: fleet.ActionWithdraw, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "ra-1", ID: testValue(1)}}
	for what, c := range map[string]struct {
		changes []fleet.Change
		want    int
	}{
		"with its record":            {[]fleet.Change{withdraw, machine("7")}, 1},
		"after its record":           {[]fleet.Change{machine("7")}, 1},
		"one that never was a relay": {[]fleet.Change{machine("8")}, 0},
	} {
		got := s.effect(st, fleet.Plan{Stages: []fleet.Stage{{Changes: c.changes}}}).Vanish
		if len(got) != c.want || c.want > 0 && got[0].PeerID != peer {
			t.Errorf("%s: got %v, want %d with the peer ID", what, got, c.want)
		}
	}
}
