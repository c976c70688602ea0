package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
)

const otherFleet = "it belongs to fleet \"other\""

// given makes every machine one that the operator entered.
func given(change func(i int, m *fleet.Machine)) func(*fleet.State) {
	return func(st *fleet.State) {
		for i := range st.Machines.Value {
			st.Machines.Value[i].Given = true
			if change != nil {
				change(i, &st.Machines.Value[i])
			}
		}
	}
}

// withProblem is a fleet of given machines, the first of which is not shown to be ours.
func withProblem(st *fleet.State) {
	given(func(i int, m *fleet.Machine) {
		if i == 0 {
			m.Problem = otherFleet
			st.Relays[m.ID] = fleet.Observed[fleet.Relay]{Err: errors.New(otherFleet)}
		}
	})(st)
}

func TestUp_LeavesAMachineWithAProblemAloneAndGoesOnWithTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, withProblem)
		first := st.Machines.Value[0]
		s.spec.Relay.Limits.Reservations++ // something to do on every box
		p := fleet.Diff(s.spec, st, fleet.Intent{})
		for _, a := range actions(p) {
			if strings.HasSuffix(a, " "+first.Node) {
				t.Errorf("actions: got %q on the machine with a problem, want none", a)
			}
		}
		if !slices.ContainsFunc(p.Problems(), func(k fleet.Kept) bool { return k.Ref.ID == first.ID && strings.Contains(k.Reason, otherFleet) }) {
			t.Errorf("problems: got %+v, want the one of %s", p.Problems(), first.Node)
		}
		if err := fleet.Guard(s.spec, st, fleet.Intent{}, p); err != nil {
			t.Errorf("Guard: got %v, want the others' changes to pass", err)
		}
		if len(p.Stages) == 0 {
			t.Error("the plan is empty, want the others' changes")
		}
	})
}

func TestGuard_RefusesEveryChangeOfAMachineWithAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, withProblem)
		m := st.Machines.Value[0]
		for _, a := range []fleet.Action{fleet.ActionConfigure, fleet.ActionRestart, fleet.ActionSettle, fleet.ActionUninstall, fleet.ActionAdjust} {
			p := fleet.Plan{Version: fleet.PlanVersion, Fleet: s.spec.Name, Stages: []fleet.Stage{{Name: fleet.StageConfigure, Parallel: 1,
				Changes: []fleet.Change{{Action: a, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: m.Node, ID: m.ID}}}}}}
			if err := fleet.Guard(s.spec, st, fleet.Intent{Down: true}, p); err == nil || !strings.Contains(err.Error(), otherFleet) {
				t.Errorf("%s: got %v, want a refusal that says %q", a, err, otherFleet)
			}
		}
	})
}

func TestUp_WaitsForNothingOfAMachineWithAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			withProblem(st)
			st.Records.Value = nil // it was never published
		})
		p := fleet.Diff(s.spec, st, fleet.Intent{})
		for _, d := range p.Deferred {
			if d.Ref.Node == st.Machines.Value[0].Node && d.Action != fleet.ActionIntroduce {
				t.Errorf("deferred: got %s, which waits for %s; want nothing", d.Action, d.Waiting)
			}
		}
	})
}

func TestDown_TakesTheOthersOffWhereOneMachineHasAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, withProblem)
		in := fleet.Intent{Down: true}
		p := fleet.Diff(s.spec, st, in)
		if err := fleet.Guard(s.spec, st, in, p); err != nil {
			t.Fatalf("Guard: got %v, want the others to go", err)
		}
		got := actions(p)
		for i, m := range st.Machines.Value {
			if has := slices.Contains(got, "uninstall "+m.Node); has != (i > 0) {
				t.Errorf("uninstall of %s planned: got %v, want %v", m.Node, has, i > 0)
			}
		}
		if len(p.Problems()) == 0 {
			t.Error("problems: got none, want the machine that stays")
		}
	})
}

// What is left of an up, or of a down, that was cut off is taken off by the next down.
func TestDown_OfAGivenMachineWithTracesUninstallsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			given(nil)(st)
			st.Records.Value = nil
			for id := range st.Relays {
				st.Relays[id] = fleet.Observed[fleet.Relay]{Value: fleet.Relay{Traces: true}}
			}
		})
		got := actions(fleet.Diff(s.spec, st, fleet.Intent{Down: true}))
		for _, m := range st.Machines.Value {
			if !slices.Contains(got, "uninstall "+m.Node) {
				t.Errorf("down: got %q, want the uninstall of %s", got, m.Node)
			}
		}
	})
}

func TestDown_OfAGivenMachineThatIsUninstalledHasNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			given(nil)(st)
			st.Records.Value = nil
			for id, r := range st.Relays {
				r.Value.Installed, r.Value.Active = false, false // its identity stays
				st.Relays[id] = r
			}
			st.Leftovers.Value = nil
		})
		if p := fleet.Diff(s.spec, st, fleet.Intent{Down: true}); len(p.Stages) > 0 {
			t.Errorf("second down: got %q, want nothing to do", actions(p))
		}
	})
}

func TestGuard_RefusesToReplaceAGivenMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, given(nil))
		in := fleet.Intent{Replace: []string{st.Machines.Value[0].ID}}
		if err := fleet.Guard(s.spec, st, in, fleet.Diff(s.spec, st, in)); err == nil || !strings.Contains(err.Error(), "neither deletes nor replaces") {
			t.Errorf("replace: got %v, want a refusal", err)
		}
	})
}
