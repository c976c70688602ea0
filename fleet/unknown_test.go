package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

func TestGuard_TheRecordOfAnUnreadableSlotHolderIsNotWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 4)
		must(t, "up", s.up)
		victim := s.world.Boxes()[0]
		s.world.Change(victim.Machine.ID, func(b *fleettest.Box) { b.SSHDown, b.Mute = true, true })
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		ours, _ := s.records(t)
		i := slices.IndexFunc(ours, func(v string) bool { return strings.HasSuffix(v, victim.Relay.PeerID) })
		p := fleet.Plan{Version: fleet.PlanVersion, Fleet: "demo", Stages: []fleet.Stage{{Name: fleet.StageWithdraw, Parallel: 1, Changes: []fleet.Change{
			{Action: fleet.ActionWithdraw, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: victim.Machine.Node, ID: ours[i]}},
		}}}}
		var refusal *fleet.Refusal
		if err := fleet.Guard(s.spec, st, fleet.Intent{}, p); !errors.As(err, &refusal) {
			t.Errorf("got %v, want a refusal: unknown is not absent", err)
		}
	})
}

func TestDiff_NoMachineIsOrderedWhileTheSlotsPublishedRelayCouldNotBeProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		gone := st.Machines.Value[0]
		st.Machines.Value = st.Machines.Value[1:]
		for a := range st.Probes {
			if a.PeerID() == st.Relays[gone.ID].Value.PeerID {
				st.Probes[a] = fleet.Observed[fleet.Probe]{Err: fleettest.ErrBroken}
			}
		}
		plan := fleet.Diff(s.spec, st, s.intent)
		for _, c := range plan.Changes() {
			if c.Action == fleet.ActionCreate {
				t.Errorf("the plan orders a machine for %s: %+v", c.Ref.Node, c)
			}
		}
		if !slices.ContainsFunc(plan.Deferred, func(d fleet.Deferral) bool { return d.Action == fleet.ActionCreate && d.Ref.Node == gone.Node }) {
			t.Errorf("the plan does not say what %s waits for: %+v", gone.Node, plan.Deferred)
		}
	})
}

// TestCreate_OfTwoOperatorsTheLowerOperationKeepsTheSlot lets another operator order a
// machine for the slot just before ours is made.
func TestCreate_OfTwoOperatorsTheLowerOperationKeepsTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		var first atomic.Bool
		s.world.Fault = func(call string, done bool) error {
			if call == "provider.create" && !done && first.CompareAndSwap(false, true) {
				_, err := s.b.Provider.Create(context.Background(), fleet.NewMachine{Node: "ra-1", Region: "ra", Op: "00000000000000000000000000"})
				return err
			}
			return nil
		}
		_, err := s.up()
		if err != nil && !errors.Is(err, fleet.ErrStalePlan) {
			t.Fatalf("up: %v", err)
		}
		s.world.Fault = nil
		twins := 0
		for _, b := range s.world.Boxes() {
			if b.Machine.Node == "ra-1" {
				twins++
			}
		}
		if twins != 1 {
			t.Errorf("machines in the contested slot after the first up: got %d, want 1", twins)
		}
		must(t, "up again", s.up)
		s.check(t)
		if !slices.ContainsFunc(s.world.Boxes(), func(b fleettest.Box) bool { return b.Machine.Op == "00000000000000000000000000" }) {
			t.Error("the machine that was ordered first did not keep its slot")
		}
	})
}

func TestSync_ABoxThatDoesNotAnswerKeepsItsRecordAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		before, _ := s.records(t)
		victim := s.world.Boxes()[1].Machine
		s.world.Change(victim.ID, func(b *fleettest.Box) { b.SSHDown = true }) // its relay still serves
		in := s.intent
		in.RecordsOnly = true
		o, err := s.converge(in)
		if err != nil {
			t.Fatalf("sync: %v", err)
		}
		if after, _ := s.records(t); !slices.Equal(before, after) {
			t.Errorf("records: got %q, want %q", after, before)
		}
		if p := o.Plan.Problems(); len(p) != 1 || p[0].Ref.Node != victim.Node || o.Settled() {
			t.Errorf("got problems %+v, settled %v; want the silent box %s named", p, o.Settled(), victim.Node)
		}
	})
}
