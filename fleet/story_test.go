package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

func TestContract05_UpFromNothingPublishesEverySlotAndTheSecondRunChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.check(t)
		count := func(call string) error {
			if changes(call) {
				t.Errorf("second up: %s was called, want no writes", call)
			}
			return nil
		}
		s.world.Fault = func(call string, _ bool) error { return count(call) }
		s.zone.Hook(func(_ context.Context, c zonetest.Call) error { return count("zone." + string(c.Op)) })
		must(t, "second up", s.up)
	})
}

// restless are hosts that always say of a node that something has to be put right in place.
type restless struct {
	fleet.Hosts
	node string
}

func (h restless) Inspect(ctx context.Context, m fleet.Machine) (fleet.Relay, error) {
	r, err := h.Hosts.Inspect(ctx, m)
	if m.Node == h.node {
		r.Drift = append(r.Drift, fleet.Drift{Name: "time", From: "off", To: "on", Fix: fleet.FixInPlace})
	}
	return r, err
}

func TestUp_AFleetThatIsNeverAsItShouldBeIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.b.Hosts = restless{s.b.Hosts, "rb-1"}
		o, err := s.up()
		if !errors.Is(err, fleet.ErrNotSettled) || !strings.Contains(err.Error(), "still to do: settle rb-1") || fleet.Hint(err) == "" {
			t.Errorf("got error %v, want ErrNotSettled that names what is still to do", err)
		}
		if o.Settled() || len(o.Plan.Changes()) != 1 {
			t.Errorf("got outcome %+v, want the change that is left in its plan", o.Plan)
		}
	})
}

func TestReplace_TheSuccessorServesBeforeItsPredecessorGoesAndInheritsItsCensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		old := s.world.Boxes()[0].Machine
		s.world.Meet(old.ID, "alice")
		var least = 3
		s.zone.Hook(func(_ context.Context, c zonetest.Call) error {
			if c.Op != zonetest.OpRecords {
				ours, _ := s.records(t)
				least = min(least, s.serving(ours))
			}
			return nil
		})
		must(t, "replace", func() (fleet.Outcome, error) { return s.replace(old.Node) })
		s.check(t)
		if least < 3 {
			t.Errorf("published relays that serve fell to %d, want never below 3", least)
		}
		if slices.ContainsFunc(s.world.Boxes(), isBox(old.ID)) {
			t.Errorf("machine %s is still there", old.ID)
		}
	})
}

func TestContract04_DownLeavesNoMachineAndNoRecordOfOursAndKeepsTheStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		must(t, "down", s.down)
		ours, foreign := s.records(t)
		if len(ours) != 0 || len(foreign) != 1 || len(s.world.Boxes()) != 0 {
			t.Errorf("ours %q, foreign %q, machines %v; want none, the stranger's, none", ours, foreign, s.world.Boxes())
		}
		o := must(t, "second down", s.down)
		if !o.Plan.Empty() {
			t.Errorf("second down plans %+v, want nothing", o.Plan)
		}
	})
}

func TestContract01_ABoxThatDoesNotAnswerIsNeitherReplacedNorRestartedNorWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		before, _ := s.records(t)
		victim := s.world.Boxes()[1].Machine
		s.world.Change(victim.ID, func(b *fleettest.Box) { b.SSHDown, b.Mute = true, true })
		o, err := s.up()
		if err != nil {
			t.Fatalf("up: %v", err)
		}
		if after, _ := s.records(t); !slices.Equal(before, after) {
			t.Errorf("records: got %q, want %q", after, before)
		}
		if len(o.Plan.Problems()) == 0 {
			t.Errorf("the plan names no problem, want the silent box %s", victim.Node)
		}
		if n := len(s.world.Boxes()); n != 3 {
			t.Errorf("machines: got %d, want 3", n)
		}
	})
}

func TestUp_ARelayThatDiedIsStartedAgainWithItsIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		victim := s.world.Boxes()[1]
		s.world.Change(victim.Machine.ID, down)
		must(t, "up", s.up)
		s.check(t)
		if got := s.world.Boxes()[1].Relay.PeerID; got != victim.Relay.PeerID {
			t.Errorf("peer ID: got %s, want %s", got, victim.Relay.PeerID)
		}
	})
}

func TestUp_AProviderThatListsNothingWhileRelaysAnswerBuysAndWithdrawsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		before, _ := s.records(t)
		s.world.Hidden = true
		_, err := s.up()
		var refusal *fleet.Refusal
		if !errors.As(err, &refusal) {
			t.Fatalf("up: got %v, want a refusal", err)
		}
		if fleet.Hint(err) == "" {
			t.Errorf("the refusal %v has no hint", err)
		}
		s.world.Hidden = false
		if after, _ := s.records(t); !slices.Equal(before, after) || len(s.world.Boxes()) != 3 {
			t.Errorf("records %q, machines %d; want unchanged", after, len(s.world.Boxes()))
		}
	})
}

func TestReplace_ADeadBoxIsDeletedOnlyWhenItIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		dead := s.world.Boxes()[0].Machine
		s.world.Change(dead.ID, func(b *fleettest.Box) { b.SSHDown, b.Mute = true, true })
		in := s.intent
		in.Replace = []string{dead.ID}
		o, err := s.converge(in)
		if err != nil {
			t.Fatalf("replace: %v", err)
		}
		if o.Settled() || !slices.ContainsFunc(s.world.Boxes(), isBox(dead.ID)) {
			t.Fatalf("the dead box was deleted without --abandon")
		}
		in.Abandon = []string{dead.Node}
		must(t, "replace --abandon", func() (fleet.Outcome, error) { return s.converge(in) })
		s.check(t)
	})
}

func TestShrink_TheHighestNodeIsWithdrawnDrainedAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.world.Meet(s.world.Boxes()[2].Machine.ID, "carol")
		s.spec.Nodes = s.spec.Nodes[:2]
		must(t, "shrink", s.up)
		s.check(t)
	})
}

func TestGuard_RefusesToShrinkBelowTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.spec.Nodes = s.spec.Nodes[:1]
		_, err := s.up()
		var refusal *fleet.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("shrink to 1 with a floor of 2: got %v, want a refusal", err)
		}
	})
}

func TestDiff_EqualInputsGiveEqualBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 4)
		must(t, "up", s.up)
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		s.spec.DNS.TTL = 5 * time.Second
		in := s.intent
		in.Replace = []string{s.world.Boxes()[0].Machine.ID}
		var first []byte
		for range 20 {
			b, err := fleet.EncodePlan(fleet.Diff(s.spec, st, in))
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = b
			}
			if !bytes.Equal(first, b) {
				t.Fatalf("two plans from one state differ:\n%s\n%s", first, b)
			}
		}
	})
}

func isBox(id string) func(fleettest.Box) bool {
	return func(b fleettest.Box) bool { return b.Machine.ID == id }
}

// down is a relay that died.
func down(b *fleettest.Box) {
	b.Relay.Active, b.Relay.Ready, b.Relay.Reason = false, false, "signal: killed"
}

func TestContract14_AChangedSpecRestartsOneRelayAtATimeAndReplacesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		before := s.world.Boxes()
		s.spec.Relay.Limits.Reservations = 77
		must(t, "up with other limits", s.up)
		s.check(t)
		for i, b := range s.world.Boxes() {
			if b.Machine.ID != before[i].Machine.ID || b.Relay.PeerID != before[i].Relay.PeerID {
				t.Errorf("%s became %s: a machine was replaced", before[i].Machine.ID, b.Machine.ID)
			}
			if b.Relay.Restarted.IsZero() {
				t.Errorf("%s was not restarted with its new limits", b.Machine.ID)
			}
		}
		s.spec.Relay.Limits.Reservations = 78
		o, err := s.up()
		if err != nil || o.Settled() {
			t.Errorf("a second restart within the hour: settled %t, error %v; want it deferred", o.Settled(), err)
		}
		in := s.intent
		in.Force = true
		must(t, "up --force", func() (fleet.Outcome, error) { return s.converge(in) })
	})
}

func TestContract16_ARegionHoldsAsManyRelaysAsAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		s.spec.Nodes[0].Count = 12
		must(t, "up", s.up)
		s.check(t)
	})
}

func TestUpgrade_TheFirstFailureStopsItBeforeTheNextRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		in := s.intent
		in.Upgrade, in.Release = true, fleet.Release{SHA256: "cd", Version: "2.0.0"}
		tried := 0
		s.world.Fault = func(call string, done bool) error {
			if call == "hosts.configure" && !done {
				tried++
				return fleettest.ErrBroken
			}
			return nil
		}
		if _, err := s.converge(in); err == nil {
			t.Error("a failed upgrade returned no error")
		}
		if tried != 1 {
			t.Errorf("relays touched: got %d, want 1", tried)
		}
		s.world.Fault = nil
		must(t, "upgrade", func() (fleet.Outcome, error) { return s.converge(in) })
		for _, b := range s.world.Boxes() {
			if b.Relay.SHA256 != "cd" {
				t.Errorf("%s runs %s, want the new release", b.Machine.ID, b.Relay.SHA256)
			}
		}
	})
}
