package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// TestProperty_GuardPassesNoPlanThatLowersTheVerifiedBelowTheFloor gives Guard plans
// that no Diff would make: random withdrawals, deletions and drains, over states in
// which some relays are verified, some silent, some records foreign.
func TestProperty_GuardPassesNoPlanThatLowersTheVerifiedBelowTheFloor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, st := drawState(rt)
		p := drawPlan(rt, s, st)
		if fleet.Guard(s, st, fleet.Intent{}, p) != nil {
			return
		}
		set := make(map[string]bool)
		for _, rec := range st.Records.Value {
			if o, ok := rec.Owner(); ok && o.Fleet == s.Name {
				set[rec.Value] = true
			}
		}
		had, before := len(set), verified(st, set)
		for _, c := range p.Changes() {
			if c.Action == fleet.ActionDelete && publishedBy(st, set, c.Ref.ID) {
				rt.Fatalf("a machine is deleted while its relay is published: %+v", c)
			}
			if c.Action != fleet.ActionWithdraw {
				continue
			}
			if !set[c.Ref.ID] && isForeign(s, st, c.Ref.ID) {
				rt.Fatalf("a foreign record is withdrawn: %s", c.Ref.ID)
			}
			delete(set, c.Ref.ID)
			after := verified(st, set)
			if after < before && after < s.DNS.MinRelays {
				rt.Fatalf("verified relays go from %d to %d, the floor is %d: %+v", before, after, s.DNS.MinRelays, p)
			}
			before = after
		}
		if had > 0 && len(set) == 0 {
			rt.Fatalf("the plan empties the name: %+v", p)
		}
	})
}

// drawState is a settled fleet with accidents: silent relays, unreadable boxes, foreign records.
func drawState(rt *rapid.T) (fleet.Spec, fleet.State) {
	n := rapid.IntRange(1, 5).Draw(rt, "nodes")
	sim := newSim(rt, n)
	at := time.Unix(1_800_000_000, 0)
	st := fleet.State{At: at, Relays: map[string]fleet.Observed[fleet.Relay]{}, Probes: map[dnsaddr.Addr]fleet.Observed[fleet.Probe]{}}
	for i, slot := range sim.spec.Slots() {
		peer := fleettest.PeerID(fmt.Sprint(i))
		a, err := dnsaddr.ParseAddr(fmt.Sprintf("/ip4/192.0.0.%d/tcp/9100/p2p/%s", 10+i, peer))
		if err != nil {
			rt.Fatalf("%v", err)
		}
		m := fleet.Machine{ID: "m" + slot.Node, Fleet: "demo", Node: slot.Node, Region: slot.Region, Status: fleet.StatusRunning}
		m.Phase = rapid.SampledFrom([]fleet.Phase{fleet.PhaseActive, fleet.PhaseActive, fleet.PhaseOutgoing, fleet.PhaseDoomed}).Draw(rt, "phase")
		reading := fleet.Observed[fleet.Relay]{Value: fleet.Relay{Installed: true, Active: true, Ready: true, PeerID: peer}}
		if rapid.Bool().Draw(rt, "unreadable") {
			reading = fleet.Observed[fleet.Relay]{Err: fleettest.ErrBroken}
		}
		verdict := rapid.SampledFrom([]fleet.Verdict{fleet.Serving, fleet.Serving, fleet.Full, fleet.Unreachable, fleet.WrongPeer}).Draw(rt, "verdict")
		age := time.Duration(rapid.IntRange(0, 240).Draw(rt, "age")) * time.Second
		st.Machines.Value = append(st.Machines.Value, m)
		st.Relays[m.ID] = reading
		st.Probes[a] = fleet.Observed[fleet.Probe]{Value: fleet.Probe{Addr: a, At: at.Add(-age), Verdict: verdict}}
		owner := dnsaddr.Owner{Fleet: rapid.SampledFrom([]string{"demo", "demo", "demo", "other"}).Draw(rt, "owner"), Relay: slot.Node}
		st.Records.Value = append(st.Records.Value, dnsaddr.Record{ID: fmt.Sprint(i), Value: a.Value(), TTL: 2 * time.Second, Comment: owner.Comment()})
	}
	return sim.spec, st
}

// drawPlan withdraws and deletes at random, in any order.
func drawPlan(rt *rapid.T, s fleet.Spec, st fleet.State) fleet.Plan {
	p := fleet.Plan{Version: fleet.PlanVersion, Fleet: s.Name}
	for range rapid.IntRange(1, 6).Draw(rt, "changes") {
		i := rapid.IntRange(0, len(st.Machines.Value)-1).Draw(rt, "target")
		m, rec := st.Machines.Value[i], st.Records.Value[i]
		c := fleet.Change{Action: fleet.ActionWithdraw, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: m.Node, ID: rec.Value}}
		if rapid.Bool().Draw(rt, "machine") {
			c = fleet.Change{Action: fleet.ActionDelete, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: m.Node, ID: m.ID}}
		}
		p.Stages = append(p.Stages, fleet.Stage{Name: fleet.StageWithdraw, Parallel: 1, Changes: []fleet.Change{c}})
	}
	return p
}

// verified counts the relays of a record set that a probe of the last two minutes found serving or full.
func verified(st fleet.State, set map[string]bool) int {
	n := 0
	for value := range set {
		a, err := dnsaddr.ParseValue(value)
		p := st.Probes[a].Value
		if err == nil && p.Verdict.Verified() && st.At.Sub(p.At) <= 2*time.Minute {
			n++
		}
	}
	return n
}

func publishedBy(st fleet.State, set map[string]bool, machine string) bool {
	peer := st.Relays[machine].Value.PeerID
	for value := range set {
		if peer != "" && strings.HasSuffix(value, "/"+peer) {
			return true
		}
	}
	return false
}

func isForeign(s fleet.Spec, st fleet.State, value string) bool {
	for _, rec := range st.Records.Value {
		if o, ok := rec.Owner(); rec.Value == value && (!ok || o.Fleet != s.Name) {
			return true
		}
	}
	return false
}

func TestGuard_RefusesPlansThatNoDiffWouldMake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		box := s.world.Boxes()[0]
		_, foreign := s.records(t)
		for _, c := range []struct {
			name   string
			change fleet.Change
		}{
			{"withdraw a stranger's record", fleet.Change{Action: fleet.ActionWithdraw, Ref: fleet.Ref{Kind: fleet.KindRecord, ID: foreign[0]}}},
			{"delete a machine that holds a slot", fleet.Change{Action: fleet.ActionDelete, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "ra-1", ID: box.Machine.ID}}},
			{"drain a machine that is not listed", fleet.Change{Action: fleet.ActionDrain, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "ra-1", ID: "somebody-elses"}}},
			{"create a second machine", fleet.Change{Action: fleet.ActionCreate, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "ra-1"}}},
			{"publish what no probe saw", fleet.Change{Action: fleet.ActionPublish, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "ra-1", ID: "dnsaddr=/ip4/192.0.2.1/tcp/9100/p2p/" + fleettest.PeerID("x")}}},
			{"publish what is no address", fleet.Change{Action: fleet.ActionPublish, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "ra-1", ID: "v=spf1"}}},
			{"clean up without down", fleet.Change{Action: fleet.ActionCleanup, Ref: fleet.Ref{Kind: fleet.KindFleet}}},
			{"touch an unknown kind", fleet.Change{Action: fleet.ActionDelete, Ref: fleet.Ref{Kind: "disk", ID: "x"}}},
		} {
			p := fleet.Plan{Version: fleet.PlanVersion, Fleet: "demo", Stages: []fleet.Stage{{Name: "x", Parallel: 1, Changes: []fleet.Change{c.change}}}}
			var refusal *fleet.Refusal
			if err := fleet.Guard(s.spec, st, fleet.Intent{}, p); !errors.As(err, &refusal) {
				t.Errorf("%s: got %v, want a refusal", c.name, err)
			}
		}
		if err := fleet.Guard(s.spec, st, fleet.Intent{}, fleet.Plan{Version: fleet.PlanVersion, Fleet: "other"}); err == nil {
			t.Error("a plan for another fleet passed")
		}
	})
}
