package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// seen observes a fleet that is up and lets a test change what was seen.
func seen(t *testing.T, s *sim, change func(*fleet.State)) fleet.State {
	t.Helper()
	must(t, "up", s.up)
	st, err := fleet.Observe(context.Background(), s.b, s.spec)
	if err != nil {
		t.Fatal(err)
	}
	change(&st)
	return st
}

// actions lists what a plan does to machines: "adjust ra-1".
func actions(p fleet.Plan) []string {
	out := []string{}
	for _, c := range p.Changes() {
		out = append(out, strings.TrimSpace(string(c.Action)+" "+c.Ref.Node))
	}
	return out
}

func wantActions(t *testing.T, p fleet.Plan, want ...string) {
	t.Helper()
	if got := actions(p); !slices.Equal(got, want) {
		t.Errorf("actions: got %q, want %q; kept %+v", got, want, p.Kept)
	}
}

func TestDiff_EachDriftIsPutRightByTheCheapestFix(t *testing.T) {
	drift := func(name string, fix fleet.Fix) []fleet.Drift {
		return []fleet.Drift{{Name: name, From: "a", To: "b", Fix: fix}}
	}
	for _, tt := range []struct {
		name   string
		change func(*fleet.State)
		want   []string
		kept   string
	}{
		{"firewall", func(st *fleet.State) { st.Shared.Value = drift("firewall rules", fleet.FixInPlace) }, []string{"adjust"}, ""},
		{"unreadable firewall", func(st *fleet.State) { st.Shared.Err = fleettest.ErrBroken }, []string{}, "the firewall is left as it is: " + fleettest.ErrBroken.Error()},
		{"tags", func(st *fleet.State) { st.Machines.Value[0].Drift = drift("tags", fleet.FixInPlace) }, []string{"adjust ra-1"}, ""},
		{"size", func(st *fleet.State) { st.Machines.Value[0].Drift = drift("size", fleet.FixReplace) }, []string{}, "size is a, the spec says b; `fleetctl replace-region ra` changes it"},
		{"ssh keys", func(st *fleet.State) { relayDrift(st, drift("ssh keys", fleet.FixInPlace)) }, []string{"settle ra-1"}, ""},
		{"unit", func(st *fleet.State) { relayDrift(st, drift("unit", fleet.FixRestart)) }, []string{"restart ra-1"}, ""},
		{"bootstrap host key", func(st *fleet.State) {
			relayOf(st, func(r *fleet.Relay) { r.Bootstrap = true })
		}, []string{"rekey ra-1"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 3)
				p := fleet.Diff(s.spec, seen(t, s, tt.change), s.intent)
				wantActions(t, p, tt.want...)
				if tt.kept != "" && !slices.ContainsFunc(p.Kept, func(k fleet.Kept) bool { return strings.Contains(k.Reason, tt.kept) }) {
					t.Errorf("kept: got %+v, want %q", p.Kept, tt.kept)
				}
			})
		})
	}
}

// relayOf changes what the first machine's box said.
func relayOf(st *fleet.State, change func(*fleet.Relay)) {
	id := st.Machines.Value[0].ID
	rel := st.Relays[id].Value
	change(&rel)
	st.Relays[id] = fleet.Observed[fleet.Relay]{Value: rel}
}

func relayDrift(st *fleet.State, d []fleet.Drift) {
	relayOf(st, func(r *fleet.Relay) { r.Drift = d })
}

func TestDiff_AnAccountWithoutOurMachinesGetsNoFirewallUnlessOneIsBought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		drift := []fleet.Drift{{Name: "firewall rules", From: "none", To: "some", Fix: fleet.FixInPlace}}
		st := seen(t, s, func(st *fleet.State) {
			st.Shared.Value, st.Machines.Value = drift, nil
			for a := range st.Probes {
				st.Probes[a] = fleet.Observed[fleet.Probe]{Err: fleettest.ErrBroken}
			}
		})
		wantActions(t, fleet.Diff(s.spec, st, s.intent))
		fresh := fleet.State{At: st.At, Shared: st.Shared}
		if p := fleet.Diff(s.spec, fresh, s.intent); len(p.Stages) < 2 || p.Stages[0].Changes[0].Action != fleet.ActionAdjust {
			t.Errorf("stages: got %+v, want the firewall before the machines", p.Stages)
		}
	})
}

func TestDiff_AnAdoptedRelayIsPublishedAndNeverChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			st.Machines.Value[0].Adopted = true
			st.Machines.Value[0].Drift = []fleet.Drift{{Name: "tags", Fix: fleet.FixInPlace}}
			relayOf(st, func(r *fleet.Relay) {
				r.Config, r.SHA256, r.Peers = "something else", "", nil
				r.Drift, r.Bootstrap = []fleet.Drift{{Name: "unit", Fix: fleet.FixRestart}}, true
			})
		})
		p := fleet.Diff(s.spec, st, s.intent)
		wantActions(t, p)
		if len(p.Problems()) > 0 {
			t.Errorf("problems: %+v", p.Problems())
		}
		for _, in := range []fleet.Intent{{Down: true}, {Replace: []string{st.Machines.Value[0].ID}}} {
			p := fleet.Diff(s.spec, st, in)
			var refusal *fleet.Refusal
			if err := fleet.Guard(s.spec, st, in, p); !errors.As(err, &refusal) {
				t.Errorf("intent %+v: got %v, want a refusal", in, err)
			}
		}
	})
}

func TestDiff_AMachineWithOurNameAndNoMarksIsWaitedForAndNeverBoughtAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		for _, age := range []time.Duration{time.Minute, 3 * time.Minute} {
			st := seen(t, s, func(st *fleet.State) {
				m := &st.Machines.Value[0]
				delete(st.Relays, m.ID)
				m.Unmarked, m.Created, m.Op, m.HostKey = true, st.At.Add(-age), "", ""
			})
			p := fleet.Diff(s.spec, st, s.intent)
			for _, c := range p.Changes() {
				if c.Ref.Node == "ra-1" {
					t.Errorf("age %s: the plan has %s %s", age, c.Action, c.Ref.Node)
				}
			}
			if got, want := p.Soon(), age < 2*time.Minute; got != want {
				t.Errorf("age %s: waits for the marks: got %t, want %t", age, got, want)
			}
			if got, want := len(p.Problems()) > 0, age >= 2*time.Minute; got != want {
				t.Errorf("age %s: names it as a problem: got %t, want %t (%+v)", age, got, want, p.Kept)
			}
		}
	})
}

func TestGuard_NothingIsDoneToAMachineThatIsNotShownToBeOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) { st.Machines.Value[0].Unmarked = true })
		for _, a := range []fleet.Action{fleet.ActionMark, fleet.ActionConfigure, fleet.ActionAdjust, fleet.ActionSettle, fleet.ActionRekey, fleet.ActionDelete, fleet.ActionStart} {
			ref := fleet.Ref{Kind: fleet.KindMachine, Node: "ra-1", ID: st.Machines.Value[0].ID}
			p := fleet.Plan{Version: fleet.PlanVersion, Fleet: "demo", Stages: []fleet.Stage{{Name: fleet.StageConfigure, Parallel: 1, Changes: []fleet.Change{{Action: a, Ref: ref}}}}}
			if err := fleet.Guard(s.spec, st, fleet.Intent{Down: true}, p); err == nil {
				t.Errorf("%s of an unmarked machine: got no refusal", a)
			}
		}
	})
}

// One that stays when the others go would cost on, and what is kept beside it could not go.
func TestDown_IsRefusedAsAWholeWhereAMachineThatWasMadeMayBeAnotherFleets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			m := &st.Machines.Value[0]
			m.Problem = otherFleet
			st.Relays[m.ID] = fleet.Observed[fleet.Relay]{Err: errors.New(otherFleet)}
		})
		in := fleet.Intent{Down: true}
		err := fleet.Guard(s.spec, st, in, fleet.Diff(s.spec, st, in))
		var refusal *fleet.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), otherFleet) || !strings.Contains(err.Error(), st.Machines.Value[0].Node) {
			t.Errorf("got %v, want a refusal that names the machine and says %q", err, otherFleet)
		}
	})
}

func TestFailure_OfTheWholeFleetHasASubject(t *testing.T) {
	f := &fleet.Failure{Change: fleet.Change{Action: fleet.ActionCleanup, Ref: fleet.Ref{Kind: fleet.KindFleet}}, Err: errors.New("no")}
	if got, want := f.Error(), "fleet: cleanup: no"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGuard_PurchasesBeyondTheBoundsAreRefusedBeforeTheFirst(t *testing.T) {
	for _, tt := range []struct {
		name     string
		monthly  int
		machines int
		ok       bool
	}{
		{"within", 18, 3, true},
		{"no bound", 0, 6, true},
		{"too dear", 17, 6, false},
		{"too many", 0, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 3)
				s.spec.Provider = fleet.ProviderDigitalOcean
				s.spec.Ocean = fleet.OceanSpec{MaxMonthly: tt.monthly, MaxMachines: tt.machines}
				s.world.Sell(6, 0)
				var bought atomic.Bool
				s.world.Fault = func(call string, _ bool) error {
					if call == "provider.create" {
						bought.Store(true)
					}
					return nil
				}
				o, err := s.up()
				var refusal *fleet.Refusal
				switch {
				case tt.ok && (err != nil || !o.Settled()):
					t.Errorf("got %v, %+v, want a fleet", err, o.Plan)
				case !tt.ok && (!errors.As(err, &refusal) || bought.Load()):
					t.Errorf("got %v, bought %t, want a refusal and no purchase", err, bought.Load())
				}
			})
		})
	}
}

func TestApply_AnAccountWithoutRoomForAllBuysNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		s.world.Sell(6, 2)
		if _, err := s.up(); !errors.Is(err, fleet.ErrQuota) {
			t.Errorf("got %v, want ErrQuota", err)
		}
		if n := len(s.world.Boxes()); n != 0 {
			t.Errorf("bought %d machines, want none: all or nothing", n)
		}
		q, err := s.b.Provider.Quote(context.Background(), []fleet.NewMachine{{Node: "ra-1"}, {Node: "rb-1"}, {Node: "rc-1"}})
		if err != nil {
			t.Fatal(err)
		}
		in, err := s.intent.Fit(q, true)
		if err != nil || in.Most == nil || *in.Most != 2 {
			t.Fatalf("partial: got %+v, %v, want at most 2 machines", in, err)
		}
		o, err := s.converge(in)
		if err != nil || len(s.world.Boxes()) != 2 || o.Settled() {
			t.Errorf("partial: got %v, %d machines, settled %t; want 2 and not settled", err, len(s.world.Boxes()), o.Settled())
		}
	})
}

func TestBill_CountsWhatGoesOnlyAfterwards(t *testing.T) {
	q := fleet.Quote{
		Currency: "USD",
		Now:      []fleet.PriceLine{{ID: "1", Monthly: 6}, {ID: "2", Monthly: 6}},
		Buy:      []fleet.PriceLine{{Node: "ra-1", Monthly: 12}},
	}
	p := fleet.Plan{
		Stages:   []fleet.Stage{{Changes: []fleet.Change{{Action: fleet.ActionMark, Ref: fleet.Ref{ID: "1"}}}}},
		Deferred: []fleet.Deferral{{Action: fleet.ActionDelete, Ref: fleet.Ref{ID: "1"}}},
	}
	all := func(sum float64) fleet.Amount { return fleet.Amount{Sum: sum} }
	some := func(sum float64) fleet.Amount { return fleet.Amount{Sum: sum, AtLeast: true} }
	bill := func(why string, want fleet.Bill) {
		t.Helper()
		want.Currency, want.Machines = q.Currency, 3
		if got := fleet.BillOf(q, p); got != want {
			t.Errorf("%s: got %+v, want %+v", why, got, want)
		}
	}
	bill("all prices are known", fleet.Bill{Before: all(12), During: all(24), After: all(18)})
	q.Now[0].Monthly = 0
	bill("the price of what goes is not known", fleet.Bill{Before: some(6), During: some(18), After: all(18)})
	q.Now[0].Monthly, q.Now[1].Monthly = 6, 0
	bill("that of what stays is not", fleet.Bill{Before: some(6), During: some(18), After: some(12)})
	q.Now[1].Monthly, q.Buy[0].Monthly = 6, 0
	bill("that of what is bought is not", fleet.Bill{Before: all(12), During: some(12), After: some(6)})
	q.Currency, q.Now[0].Monthly, q.Now[1].Monthly = "", 0, 0
	bill("machines cost nothing", fleet.Bill{})
}

func TestDown_TakesTheRelayOffAMachineOfOthersAndLeavesTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			for i := range st.Machines.Value {
				st.Machines.Value[i].Given = true
			}
		})
		in := fleet.Intent{Down: true}
		p := fleet.Diff(s.spec, st, in)
		got := actions(p)
		if slices.ContainsFunc(got, func(a string) bool { return strings.HasPrefix(a, "delete") }) || !slices.Contains(got, "uninstall ra-1") {
			t.Errorf("actions: got %q, want uninstall and no delete", got)
		}
	})
}

func TestUp_ARelayThatWasStartedAMomentAgoIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		id := s.world.Boxes()[0].Machine.ID
		s.world.Change(id, func(b *fleettest.Box) { b.Relay.Ready, b.Relay.Reason, b.Mute = false, "starting", true })
		go func() {
			time.Sleep(2 * time.Second) // in the bubble: less than healthy_deadline
			s.world.Change(id, func(b *fleettest.Box) { b.Relay.Ready, b.Mute = true, false })
		}()
		must(t, "up while a relay starts", s.up)
	})
}

func TestUp_ARelayThatNeverGetsReadyIsNamedAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		id := s.world.Boxes()[0].Machine.ID
		s.world.Change(id, func(b *fleettest.Box) { b.Relay.Ready, b.Relay.Reason, b.Mute = false, "port is taken", true })
		begun := time.Now()
		o, err := s.up()
		if err != nil || o.Settled() || len(o.Plan.Problems()) == 0 {
			t.Errorf("got %v, settled %t, problems %+v; want the relay named", err, o.Settled(), o.Plan.Problems())
		}
		if took := time.Since(begun); took > s.spec.Rollout.HealthyDeadline+time.Second {
			t.Errorf("waited %s, want at most healthy_deadline, %s", took, s.spec.Rollout.HealthyDeadline)
		}
	})
}
