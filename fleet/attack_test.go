package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// holderOf is the active machine of a node.
func (s *sim) holderOf(t *testing.T, node string) fleettest.Box {
	t.Helper()
	for _, b := range s.world.Boxes() {
		if b.Machine.Node == node && b.Machine.Phase == fleet.PhaseActive {
			return b
		}
	}
	t.Fatalf("node %s has no active machine", node)
	return fleettest.Box{}
}

// flaky fails every second reading of one box.
type flaky struct {
	fleet.Hosts
	id string

	mu   sync.Mutex
	read int
}

func (f *flaky) Inspect(ctx context.Context, m fleet.Machine) (fleet.Relay, error) {
	if m.ID == f.id {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.read++; f.read%2 == 0 {
			return fleet.Relay{}, errors.New("connection reset")
		}
	}
	return f.Hosts.Inspect(ctx, m)
}

func TestReplace_TheOnlyRelayOfAFleetIsReplacedWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		must(t, "up", s.up)
		s.world.Meet(s.holderOf(t, "ra-1").Machine.ID, "alice")
		s.holdFloor(t)
		must(t, "replace", func() (fleet.Outcome, error) { return s.replace("ra-1") })
		s.zone.Hook(nil)
		s.check(t)
	})
}

func TestReplace_BothNodesOfARegionWhoseNameIsAnothersPrefixKeepTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		s.spec.Nodes = []fleet.NodeSpec{{Region: "r", Count: 2}, {Region: "r-1", Count: 2}}
		s.spec.DNS.MinRelays, s.spec.Rollout.MaxParallel = 4, 3
		must(t, "up", s.up)
		in, others := s.intent, []string{}
		for _, b := range s.world.Boxes() {
			if b.Machine.Region == "r" {
				in.Replace = append(in.Replace, b.Machine.ID)
			} else {
				others = append(others, b.Machine.ID)
			}
		}
		s.holdFloor(t)
		must(t, "replace", func() (fleet.Outcome, error) { return s.converge(in) })
		s.zone.Hook(nil)
		s.check(t)
		for _, id := range others {
			if !slices.ContainsFunc(s.world.Boxes(), isBox(id)) {
				t.Errorf("machine %s of region r-1 is gone, and region r was replaced", id)
			}
		}
	})
}

func TestReplace_AFlakyOldBoxLosesNeitherCensusNorRecordTooSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		old := s.holderOf(t, "ra-1").Machine
		s.world.Meet(old.ID, "alice")
		sound := s.b.Hosts
		s.b.Hosts = &flaky{Hosts: sound, id: old.ID}
		s.holdFloor(t)
		_, _ = s.replace("ra-1") // it may be refused: nothing is lost meanwhile
		if lost := s.world.Lost(); len(lost) > 0 {
			t.Errorf("lost %q while the box was flaky", lost)
		}
		s.b.Hosts = sound
		must(t, "up", s.up)
		s.zone.Hook(nil)
		s.check(t)
	})
}

func TestUp_ARelayWithANewPeerIDIsPublishedBeforeItsOldRecordGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 2)
		must(t, "up", s.up)
		s.world.Change(s.holderOf(t, "ra-1").Machine.ID, func(b *fleettest.Box) { b.Relay.PeerID = fleettest.PeerID("anew") })
		var refusal *fleet.Refusal
		if _, err := s.up(); !errors.As(err, &refusal) || !strings.Contains(fleet.Hint(err), "--accept-new-peer-id ra-1") {
			t.Fatalf("up without a word of the new peer ID: got %v, want a refusal that names the flag", err)
		}
		in := s.intent
		in.NewPeerID = []string{"ra-1"}
		must(t, "up", func() (fleet.Outcome, error) { return s.converge(in) })
		s.check(t)
		must(t, "up without the flag", s.up)
	})
}

func TestUpgrade_StopsAtTheFirstRelayThatDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		tried := 0
		s.world.Fault = func(call string, done bool) error {
			if call != "hosts.configure" || done {
				return nil
			}
			tried++
			return errors.New("does not come up")
		}
		in := s.intent
		in.Upgrade, in.Force = true, true
		in.Release = fleet.Release{SHA256: strings.Repeat("cd", 32), Version: "2.0.0"}
		if _, err := s.converge(in); err == nil || tried != 1 {
			t.Errorf("a bad release: error %v after %d relays, want an error after 1", err, tried)
		}
	})
}

func TestUp_AbandonOfALiveRelayReplacesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		m := s.holderOf(t, "ra-1").Machine
		s.world.Meet(m.ID, "alice")
		in := s.intent
		in.Abandon = []string{"ra-1"}
		must(t, "up --abandon", func() (fleet.Outcome, error) { return s.converge(in) })
		if got := s.holderOf(t, "ra-1").Machine.ID; got != m.ID {
			t.Errorf("holder: got %s, want %s", got, m.ID)
		}
		in.Replace = []string{m.ID}
		must(t, "replace --abandon", func() (fleet.Outcome, error) { return s.converge(in) })
		s.check(t) // its box answers, so its census was carried over all the same
	})
}

func TestUp_MachineGoneOfOneNodeBuysNothingWhileOthersLiveUnlisted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.world.Hidden = true
		in := s.intent
		in.MachineGone = []string{"ra-1"}
		var refusal *fleet.Refusal
		if _, err := s.converge(in); !errors.As(err, &refusal) || len(s.world.Boxes()) != 3 {
			t.Errorf("got %v and %d machines, want a refusal and 3", err, len(s.world.Boxes()))
		}
	})
}

func TestUp_TwoAtOnceLeaveNoTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { _, _ = s.up() }) // one may meet the other's machines and stop
		}
		both.Wait()
		_, _ = s.up()
		must(t, "up", s.up)
		s.check(t)
	})
}

// TestCrash_AnotherCommandAfterAKilledOneConverges kills a command after each of its
// effects and goes on with another one than it was.
func TestCrash_AnotherCommandAfterAKilledOneConverges(t *testing.T) {
	replace := func(s *sim) { _, _ = s.replace("ra-1") }
	for _, c := range []struct {
		name   string
		killed func(*sim)
		next   func(*sim) (fleet.Outcome, error)
		empty  bool
	}{
		{name: "replace, then down", killed: replace, next: (*sim).down, empty: true},
		{name: "replace, then replace", killed: replace, next: func(s *sim) (fleet.Outcome, error) { return s.replace("ra-1") }},
		{name: "replace, then shrink", killed: replace, next: func(s *sim) (fleet.Outcome, error) {
			s.spec.Nodes = s.spec.Nodes[1:]
			return s.up()
		}},
		{name: "replace, then grow", killed: replace, next: func(s *sim) (fleet.Outcome, error) {
			s.spec.Nodes = append(slices.Clip(s.spec.Nodes), fleet.NodeSpec{Region: "rz", Count: 1})
			return s.up()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n, killed := 0, true; killed && !t.Failed(); n++ {
				synctest.Test(t, func(t *testing.T) {
					s := newSim(t, 3)
					must(t, "up", s.up)
					for _, b := range s.world.Boxes() {
						s.world.Meet(b.Machine.ID, "of "+b.Machine.ID)
					}
					k := &killer{left: n}
					k.watch(s)
					c.killed(s)
					killed = k.dead
					s.world.Fault = nil
					s.zone.Hook(nil)
					if !c.empty {
						s.holdFloor(t)
					}
					must(t, c.name, func() (fleet.Outcome, error) { return c.next(s) })
					s.zone.Hook(nil)
					if !c.empty {
						s.check(t)
					} else if ours, _ := s.records(t); len(ours)+len(s.world.Boxes()) > 0 {
						t.Errorf("kill point %d: left %q and %d machines", n, ours, len(s.world.Boxes()))
					}
				})
			}
		})
	}
}
