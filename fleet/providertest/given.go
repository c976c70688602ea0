package providertest

import (
	"slices"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
)

// GivenNodes are the nodes of a [Subject] for [RunGiven]; each has one machine.
func GivenNodes() []string { return []string{"ams3-1", "nyc1-1", "sgp1-1"} }

// RunGiven holds a provider of machines that somebody else made to its contract: it lists
// and marks them, and what would make or delete one is refused. It is otherwise [Run].
func RunGiven(t *testing.T, newSubject func(t *testing.T) Subject) {
	t.Helper()
	run(t, newSubject, true, slices.Concat(promises(), []promise{
		{"EveryGivenMachineIsListed", givenListed},
		{"CreateIsRefused", givenCreate},
		{"DeleteIsRefused", givenDelete},
		{"PhaseIsAcceptedAndTheMachineKeepsItsSlot", givenPhase},
		{"AdoptedMarkIsKeptUntilItIsUnset", givenAdopted},
		{"AdjustTakesDriftInPlaceAway", givenAdjust},
		{"CleanupTakesTheMarksOffAndLeavesTheMachines", givenCleanup},
		{"TwoHandlesSeeTheSameMarks", givenHandles},
	}))
}

// node is the machine of a node.
func (f *fixture) node(t *testing.T, node string) fleet.Machine {
	t.Helper()
	for _, m := range f.list(t) {
		if m.Node == node {
			return m
		}
	}
	t.Fatalf("node %s is not listed", node)
	return fleet.Machine{}
}

func givenListed(t *testing.T, f *fixture) {
	ms := f.list(t)
	var nodes []string
	for _, m := range ms {
		nodes = append(nodes, m.Node)
		if !m.Given || m.Fleet != f.Fleet || m.Status != fleet.StatusRunning || m.Phase != fleet.PhaseActive || m.Problem != "" {
			t.Errorf("given machine: got %+v, want it given, ours, running and without a problem", m)
		}
		if m.ID == "" || m.Name == "" || m.User == "" || m.Region == "" || len(m.Addrs) == 0 || m.Ports.SSH == 0 {
			t.Errorf("given machine lacks a field: %+v", m)
		}
	}
	if slices.Sort(nodes); !slices.Equal(nodes, GivenNodes()) {
		t.Errorf("nodes: got %q, want %q", nodes, GivenNodes())
	}
}

func givenCreate(t *testing.T, f *fixture) {
	before := ids(f.list(t))
	must(t, "EnsureKey", f.p.EnsureKey(f.ctx, f.Key))
	if m, err := f.p.Create(f.ctx, order("nyc1-1")); err == nil {
		t.Errorf("Create: got %+v, want a refusal", m)
	}
	if _, err := f.p.Quote(f.ctx, []fleet.NewMachine{order("nyc1-1")}); err == nil {
		t.Error("Quote of a purchase: got no error, want a refusal")
	}
	wantIDs(t, f, before...)
}

func givenDelete(t *testing.T, f *fixture) {
	before := ids(f.list(t))
	if err := f.p.Delete(f.ctx, before[0]); err == nil {
		t.Error("Delete: got no error, want a refusal")
	}
	wantIDs(t, f, before...)
}

func givenPhase(t *testing.T, f *fixture) {
	m := f.node(t, "nyc1-1")
	must(t, "Mark", f.p.Mark(f.ctx, m.ID, map[string]string{fleet.MarkPhase: string(fleet.PhaseDraining)}, nil))
	if got := f.get(t, m.ID); got.Phase != fleet.PhaseActive {
		t.Errorf("after the mark: got phase %q, want none", got.Phase)
	}
}

func givenAdopted(t *testing.T, f *fixture) {
	m := f.node(t, "nyc1-1")
	for _, want := range []bool{true, true, false, false} {
		if want {
			must(t, "Mark", f.p.Mark(f.ctx, m.ID, map[string]string{fleet.MarkAdopted: "yes"}, nil))
		} else {
			must(t, "Mark", f.p.Mark(f.ctx, m.ID, nil, []string{fleet.MarkAdopted}))
		}
		if got := f.get(t, m.ID).Adopted; got != want {
			t.Errorf("after the mark: got adopted %v, want %v", got, want)
		}
	}
}

func givenAdjust(t *testing.T, f *fixture) {
	for _, m := range f.list(t) {
		for range 2 {
			must(t, "Adjust", f.p.Adjust(f.ctx, m.ID))
		}
	}
	for _, m := range f.list(t) {
		if slices.ContainsFunc(m.Drift, func(d fleet.Drift) bool { return d.Fix == fleet.FixInPlace }) {
			t.Errorf("%s after Adjust: got drift %+v, want none", m.Node, m.Drift)
		}
	}
}

func givenCleanup(t *testing.T, f *fixture) {
	if left := f.leftovers(t); len(left) != 0 {
		t.Errorf("leftovers before anything was marked: %q", left)
	}
	must(t, "Cleanup", f.p.Cleanup(f.ctx))
	for _, m := range f.list(t) {
		must(t, "Adjust", f.p.Adjust(f.ctx, m.ID))
	}
	before := ids(f.list(t))
	if left := f.leftovers(t); len(left) == 0 {
		t.Error("leftovers of marked machines: got none")
	}
	for range 2 {
		must(t, "Cleanup", f.p.Cleanup(f.ctx))
	}
	if left := f.leftovers(t); len(left) != 0 {
		t.Errorf("leftovers after Cleanup: %q", left)
	}
	wantIDs(t, f, before...)
}

func givenHandles(t *testing.T, f *fixture) {
	m := f.node(t, "nyc1-1")
	other := f.Again(t)
	must(t, "Mark", f.p.Mark(f.ctx, m.ID, map[string]string{fleet.MarkAdopted: "yes"}, nil))
	ms, err := other.Machines(f.ctx)
	must(t, "Machines of the other handle", err)
	i := slices.IndexFunc(ms, func(o fleet.Machine) bool { return o.ID == m.ID })
	if i < 0 || !ms[i].Adopted {
		t.Errorf("the other handle lists %+v, want %s adopted", ms, m.ID)
	}
}
