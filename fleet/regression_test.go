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
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// listing changes what a provider's Machines shows.
type listing struct {
	fleet.Provider
	show func([]fleet.Machine) []fleet.Machine
}

func (l listing) Machines(ctx context.Context) ([]fleet.Machine, error) {
	ms, err := l.Provider.Machines(ctx)
	return l.show(ms), err
}

// holder is the box of a node that holds its slot.
func holder(s *sim, node string) fleettest.Box {
	for _, b := range s.world.Boxes() {
		if b.Machine.Node == node && b.Machine.Phase == fleet.PhaseActive {
			return b
		}
	}
	return fleettest.Box{}
}

// muteAll is an operator whose own network reaches no relay.
func (s *sim) muteAll() {
	for _, b := range s.world.Boxes() {
		s.world.Change(b.Machine.ID, func(b *fleettest.Box) { b.Mute = true })
	}
}

func TestObserve_AMachineThatIsListedTwiceIsOneMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.b.Provider = listing{s.b.Provider, func(ms []fleet.Machine) []fleet.Machine { return append(ms, ms[0]) }}
		must(t, "up", s.up)
		for _, b := range s.world.Boxes() {
			if b.Machine.Phase != fleet.PhaseActive {
				t.Errorf("%s is %q, want it to keep its slot", b.Machine.ID, b.Machine.Phase)
			}
		}
	})
}

func TestConverge_ARelayThatTakesLongIsWaitedForUntilTheHealthyDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 2)
		s.spec.Rollout.HealthyDeadline = 5 * time.Minute
		start := time.Now()
		s.world.Fault = func(call string, done bool) error {
			if call == "prober.probe" && !done && time.Since(start) < time.Minute {
				return errors.New("not yet")
			}
			return nil
		}
		must(t, "up", s.up)
	})
}

func TestConverge_ARelayThatDoesNotStayIsSetUpOnceAndLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		id := holder(s, "ra-1").Machine.ID
		s.world.Change(id, down)
		tries := 0
		s.world.Fault = func(call string, done bool) error {
			if call == "hosts.configure" && done {
				tries++
				s.world.Change(id, down)
			}
			return nil
		}
		o, err := s.up()
		if err != nil || len(o.Failures) != 1 || tries != 1 {
			t.Errorf("set up %d times, failures %v, error %v; want once, one failure, none", tries, o.Failures, err)
		}
	})
}

func TestDiff_AnOperatorWhoReachesNothingWithdrawsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		before, _ := s.records(t)
		s.spec.Nodes = []fleet.NodeSpec{{Region: "ra", Count: 1}, {Region: "rd", Count: 1}, {Region: "re", Count: 1}}
		s.muteAll()
		s.world.Fault = func(call string, _ bool) error {
			if strings.HasPrefix(call, "hosts.") {
				return errors.New("no route to host")
			}
			return nil
		}
		if _, err := s.up(); err != nil {
			t.Logf("up: %v", err)
		}
		if after, _ := s.records(t); !slices.Equal(before, after) {
			t.Errorf("records: got %q, want %q", after, before)
		}
	})
}

func TestDiff_AnEmptyListOnABlockedNetworkBuysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.muteAll()
		s.world.Hidden = true
		if _, err := s.up(); err != nil {
			t.Logf("up: %v", err)
		}
		if n := len(s.world.Boxes()); n != 3 {
			t.Errorf("machines: got %d, want 3", n)
		}
	})
}

func TestDiff_ADeadRelayIsHealedAlthoughASettingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.world.Change(holder(s, "rb-1").Machine.ID, down)
		s.spec.Relay.Limits.Reservations = 77
		must(t, "up", s.up)
		s.check(t)
	})
}

func TestDiff_ATTLLoweredInTheSameRunIsStillWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		s.spec.DNS.TTL = time.Hour
		must(t, "up", s.up)
		s.spec.DNS.TTL = 2 * time.Second
		var gone, deleted time.Time
		s.world.Fault = func(call string, _ bool) error {
			if call == "provider.delete" {
				deleted = time.Now()
			}
			return nil
		}
		must(t, "replace", func() (fleet.Outcome, error) { return s.replace("ra-1") })
		for _, m := range s.zone.History() {
			if m.Call.Op == zonetest.OpRemove {
				gone = m.At
			}
		}
		if d := deleted.Sub(gone); d < time.Hour {
			t.Errorf("deleted %v after its record went, and resolvers keep it for an hour", d)
		}
	})
}

func TestDiff_ABoxFullOfYAMLAliasesCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
		for i := 1; i < 9; i++ {
			p, n := string(rune('0'+i-1)), string(rune('0'+i))
			bomb += "a" + n + ": &a" + n + " [" + strings.TrimSuffix(strings.Repeat("*a"+p+",", 9), ",") + "]\n"
		}
		s.world.Change(holder(s, "ra-1").Machine.ID, func(box *fleettest.Box) { box.Relay.Config = bomb })
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		text, err := fleet.EncodePlan(fleet.Diff(s.spec, st, s.intent))
		if err != nil || len(text) > 10_000 {
			t.Errorf("the plan has %d bytes (%v), want a few thousand", len(text), err)
		}
	})
}

func TestReplace_ABoxWhoseIdentityCannotBeReadKeepsItsCensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		old := holder(s, "ra-1").Machine
		s.world.Meet(old.ID, "alice")
		s.world.Change(old.ID, func(b *fleettest.Box) { b.Relay.PeerID, b.Relay.Active = "", false })
		if _, err := s.replace("ra-1"); err != nil {
			t.Fatalf("replace: %v", err)
		}
		if lost := s.world.Lost(); len(lost) > 0 {
			t.Errorf("lost %v", lost)
		}
	})
}

func TestGuard_AForeignCopyOfOurRecordBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		ours, _ := s.records(t)
		s.zone.Put(s.spec.DNS.RecordName(), dnsaddr.Record{Value: ours[0], TTL: time.Minute})
		must(t, "down", s.down)
	})
}

func TestGuard_NoPlanMarksAMachineThatOughtToKeepItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		p := fleet.Plan{Version: fleet.PlanVersion, Fleet: "demo", Stages: []fleet.Stage{{Name: fleet.StageProvision, Parallel: 1, Changes: []fleet.Change{{
			Action: fleet.ActionMark, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "ra-1", ID: holder(s, "ra-1").Machine.ID},
			Fields: []fleet.Field{{Name: fleet.MarkPhase, To: string(fleet.PhaseOutgoing)}},
		}}}}}
		var refusal *fleet.Refusal
		if err := fleet.Guard(s.spec, st, fleet.Intent{}, p); !errors.As(err, &refusal) {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}
