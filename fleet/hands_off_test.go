package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// off switches the first machine off, as its provider lists it.
func off(st *fleet.State) *fleet.Machine {
	m := &st.Machines.Value[0]
	m.Status = fleet.StatusStopped
	delete(st.Relays, m.ID)
	return m
}

func TestUp_AMachineThatMustNotBeTouchedAndIsOffIsNotSwitchedOnAndHoldsNobodyUp(t *testing.T) {
	for name, change := range map[string]func(*fleet.Machine){
		"adopted":        func(m *fleet.Machine) { m.Adopted = true },
		"without marks":  func(m *fleet.Machine) { m.Unmarked, m.Created = true, m.Created.Add(-time.Hour) },
		"with a problem": func(m *fleet.Machine) { m.Problem = otherFleet },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 3)
				st := seen(t, s, func(st *fleet.State) { change(off(st)) })
				s.spec.Relay.Limits.Reservations++ // something to do on the others
				p := fleet.Diff(s.spec, st, s.intent)
				if got := actions(p); slices.Contains(got, "start ra-1") {
					t.Errorf("actions: got %q, want no start of ra-1", got)
				}
				if err := fleet.Guard(s.spec, st, s.intent, p); err != nil {
					t.Errorf("Guard: got %v, want what is done to the others to pass", err)
				}
				if !slices.ContainsFunc(p.Problems(), func(k fleet.Kept) bool { return k.Ref.Node == "ra-1" && k.Ref.Kind == fleet.KindMachine }) {
					t.Errorf("problems: got %+v, want ra-1 named", p.Problems())
				}
			})
		})
	}
}

func TestUp_ADoomedMachineThatIsOffIsDeletedAndNotSwitchedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		old := s.world.Boxes()[0].Machine
		// The process ends between the accepted delete and the machine's end.
		s.world.Fault = func(call string, done bool) error {
			if call == "provider.delete" && !done {
				s.world.SwitchOff(old.ID)
				return errKilled
			}
			return nil
		}
		if _, err := s.replace(old.Node); !errors.Is(err, errKilled) {
			t.Fatalf("replace: got %v, want it killed at the delete", err)
		}
		s.world.Fault = func(call string, _ bool) error {
			if call == "provider.start" {
				t.Error("a machine that is doomed was switched on")
			}
			return nil
		}
		must(t, "up", s.up)
		s.check(t)
	})
}

func TestRetire_ACensusIsNeverCarriedToAnAdoptedMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			for i := range st.Machines.Value[:2] {
				st.Machines.Value[i].Adopted = true
			}
			last := &st.Machines.Value[2]
			last.Phase = fleet.PhaseOutgoing
			st.Records.Value = slices.DeleteFunc(st.Records.Value, func(r dnsaddr.Record) bool { o, ok := r.Owner(); return ok && o.Relay == last.Node })
		})
		s.spec.Nodes = s.spec.Nodes[:2]
		for _, in := range []fleet.Intent{s.intent, {Abandon: []string{"rc-1"}}} {
			p := fleet.Diff(s.spec, st, in)
			got := actions(p)
			if slices.Contains(got, "census rc-1") {
				t.Errorf("actions: got %q, want nothing written on an adopted machine", got)
			}
			if want, has := len(in.Abandon) > 0, slices.Contains(got, "delete rc-1"); has != want {
				t.Errorf("abandoned %q: delete planned: got %v, want %v", in.Abandon, has, want)
			}
			if err := fleet.Guard(s.spec, st, in, p); err != nil {
				t.Errorf("Guard: got %v, want the plan to pass", err)
			}
		}
	})
}

func TestUp_BuysOneMachineForANodeThatTheListLosesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		ordered := 0
		s.world.Fault = func(call string, done bool) error {
			switch {
			case call == "provider.create" && !done:
				ordered++
			case call == "hosts.configure" && done:
				s.world.Hidden = true // it was listed, and is not any more
			}
			return nil
		}
		o, err := s.up()
		if ordered != 1 {
			t.Errorf("machines ordered in one run: got %d, want 1", ordered)
		}
		if err == nil && len(o.Failures) == 0 {
			t.Error("a run that lost its machine: got no error and no failure")
		}
	})
}

func TestReplace_NothingIsMarkedForWhatCannotBeBought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		s.world.Sell(6, 0)
		must(t, "up", s.up)
		s.world.Sell(6, 3) // since the plan was approved the account has become full
		if _, err := s.replace("ra-1"); !errors.Is(err, fleet.ErrQuota) {
			t.Errorf("replace: got %v, want ErrQuota", err)
		}
		for _, b := range s.world.Boxes() {
			if b.Machine.Phase != fleet.PhaseActive {
				t.Errorf("%s: phase %q, want it as it was: nothing can take its place", b.Machine.ID, b.Machine.Phase)
			}
		}
	})
}

// late is a provider that shows machines of others without their marks for a while.
type late struct {
	fleet.Provider
	own  string // operation that this one ordered
	left int    // lists that still show the others without marks
}

func (l *late) Create(ctx context.Context, n fleet.NewMachine) (fleet.Machine, error) {
	l.own = n.Op
	return l.Provider.Create(ctx, n)
}

func (l *late) Machines(ctx context.Context) ([]fleet.Machine, error) {
	all, err := l.Provider.Machines(ctx)
	for i := range all {
		if all[i].Op != l.own && l.left > 0 {
			all[i].Unmarked, all[i].Op = true, ""
		}
	}
	l.left--
	return all, err
}

func TestCreate_AnOrderIsNotUndoneForAMachineWhoseMarksAreLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		p := fleet.Diff(s.spec, st, s.intent)
		// Another operator orders the same slot, with a later operation.
		rival := fleet.NewMachine{Node: "ra-1", Region: "ra", Op: "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}
		if _, err := s.b.Provider.Create(context.Background(), rival); err != nil {
			t.Fatal(err)
		}
		s.b.Provider = &late{Provider: s.b.Provider, left: 3}
		err = fleet.Apply(context.Background(), s.b, s.spec, s.intent, st, p, nil)
		own := s.b.Provider.(*late).own
		if !slices.ContainsFunc(s.world.Boxes(), func(b fleettest.Box) bool { return b.Machine.Op == own && own != "" }) {
			t.Errorf("the machine with the lowest operation %s is gone (%v): it keeps the slot", strings.ToLower(own), err)
		}
	})
}

func TestUp_NoFirewallIsMadeForAFleetOfAdoptedMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			st.Shared.Value = []fleet.Drift{{Name: "firewall rules", From: "none", To: "some", Fix: fleet.FixInPlace}}
			for i := range st.Machines.Value {
				st.Machines.Value[i].Adopted = true
			}
		})
		wantActions(t, fleet.Diff(s.spec, st, s.intent))
		st.Machines.Value[2].Adopted = false
		wantActions(t, fleet.Diff(s.spec, st, s.intent), "adjust")
	})
}

// A name displaces no mark: whatever is known of the two boxes, the machine that is shown to
// be ours keeps its slot, and the other one is named and let be.
func TestDiff_AMachineThatIsNotShownToBeOursTakesNoSlotFromOneThatIs(t *testing.T) {
	newborn := fleet.Observed[fleet.Relay]{Value: fleet.Relay{Reservations: -1}}
	for name, tt := range map[string]struct {
		own   func(*fleet.State, string) // what is known of ours
		rival func(*fleet.Machine)
	}{
		"ours is new, the other has no marks": {
			func(st *fleet.State, id string) { st.Relays[id] = newborn },
			func(m *fleet.Machine) { m.Unmarked, m.Op = true, "" },
		},
		"ours cannot be read, the other has no marks": {
			func(st *fleet.State, id string) {
				st.Relays[id] = fleet.Observed[fleet.Relay]{Err: fleettest.ErrBroken}
			},
			func(m *fleet.Machine) { m.Unmarked, m.Op = true, "" },
		},
		"ours is new, the other has a problem": {
			func(st *fleet.State, id string) { st.Relays[id] = newborn },
			func(m *fleet.Machine) { m.Problem, m.Op = otherFleet, "" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 3)
				st := seen(t, s, func(st *fleet.State) {
					own := st.Machines.Value[0]
					rival := own
					rival.ID, rival.Created = "0", st.At.Add(-time.Hour)
					tt.rival(&rival)
					st.Machines.Value = slices.Insert(st.Machines.Value, 0, rival)
					st.Relays[rival.ID] = fleet.Observed[fleet.Relay]{Err: fleettest.ErrBroken}
					tt.own(st, own.ID)
				})
				p := fleet.Diff(s.spec, st, s.intent)
				for _, c := range p.Changes() {
					if c.Action == fleet.ActionMark || c.Action == fleet.ActionDelete || c.Action == fleet.ActionCreate {
						t.Errorf("the plan has %s %s %s, want neither machine sent away and none bought", c.Action, c.Ref.Node, c.Ref.ID)
					}
				}
				if !slices.ContainsFunc(p.Problems(), func(k fleet.Kept) bool { return k.Ref.ID == "0" }) {
					t.Errorf("problems: got %+v, want the other machine named", p.Problems())
				}
			})
		})
	}
}

// beside is a provider that lists one more machine.
type beside struct {
	fleet.Provider
	more fleet.Machine
}

func (b *beside) Machines(ctx context.Context) ([]fleet.Machine, error) {
	all, err := b.Provider.Machines(ctx)
	return append(all, b.more), err
}

// What a plan ordered is found by its slot, in which there may be another by now.
func TestApply_WhatIsSetUpIsTheMachineThatWasOrderedAndNotOneOfItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		s.spec.Rollout.HealthyDeadline = time.Minute
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		p := fleet.Diff(s.spec, st, s.intent)
		s.b.Provider = &beside{s.b.Provider, fleet.Machine{ID: "0", Name: "demo-ra-1", Fleet: "demo", Node: "ra-1", Region: "ra", Unmarked: true, Status: fleet.StatusRunning}}
		if err := fleet.Apply(context.Background(), s.b, s.spec, s.intent, st, p, nil); err != nil {
			t.Errorf("Apply: %v", err)
		}
		if boxes := s.world.Boxes(); len(boxes) != 1 || !boxes[0].Relay.Installed {
			t.Errorf("boxes: got %+v, want the one that was ordered, with its relay", boxes)
		}
	})
}
