package fleet_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
)

// crashCase is a command that is killed, and the command that goes on from there.
type crashCase struct {
	name   string
	begin  func(*testing.T, *sim) // what was there before
	run    func(*sim) (fleet.Outcome, error)
	resume func(*sim) (fleet.Outcome, error)
	check  func(*testing.T, *sim)
	floor  bool // published relays that serve never fall below the floor
}

func crashCases() []crashCase {
	threeUp := func(t *testing.T, s *sim) {
		must(t, "up", s.up)
		for i, b := range s.world.Boxes() {
			s.world.Meet(b.Machine.ID, fmt.Sprintf("peer-%d", i))
		}
	}
	converged := func(t *testing.T, s *sim) { s.check(t) }
	return []crashCase{
		{name: "up", begin: func(*testing.T, *sim) {}, run: (*sim).up, resume: (*sim).up, check: converged},
		{name: "replace-region", begin: threeUp, run: func(s *sim) (fleet.Outcome, error) { return s.replace("ra-1") },
			resume: (*sim).up, check: converged, floor: true},
		{name: "down", begin: threeUp, run: (*sim).down, resume: (*sim).down, check: func(t *testing.T, s *sim) {
			ours, foreign := s.records(t)
			if len(ours) != 0 || len(foreign) != 1 || len(s.world.Boxes()) != 0 {
				t.Errorf("after down: ours %q, foreign %q, machines %v", ours, foreign, s.world.Boxes())
			}
		}},
	}
}

// TestCrash_KilledAfterAnyEffectTheNextRunFindsTheSameFleet kills each command after its
// first, second, … side effect, and runs again.
func TestCrash_KilledAfterAnyEffectTheNextRunFindsTheSameFleet(t *testing.T) {
	for _, c := range crashCases() {
		t.Run(c.name, func(t *testing.T) {
			points := 0
			for n := 0; ; n++ {
				killed := false
				synctest.Test(t, func(t *testing.T) { killed = crashOnce(t, c, n) })
				if !killed || t.Failed() {
					break
				}
				points++
			}
			if points < 5 {
				t.Fatalf("only %d kill points: the simulated world does not count its effects", points)
			}
			if !t.Failed() {
				t.Logf("%s: kill points %d twins 0 orphans 0 lost 0 floor held", c.name, points)
			}
		})
	}
}

// crashOnce kills after n effects. It returns false if the command had fewer.
func crashOnce(t *testing.T, c crashCase, n int) (killed bool) {
	s := newSim(t, 3)
	c.begin(t, s)
	k := &killer{left: n}
	k.watch(s)
	if _, err := c.run(s); err != nil && !k.dead {
		t.Fatalf("kill point %d: %v", n, err)
	}
	if !k.dead {
		return false
	}
	s.world.Fault = nil
	s.zone.Hook(nil)
	if c.floor {
		s.holdFloor(t)
	}
	o, err := c.resume(s)
	if err != nil {
		t.Fatalf("kill point %d: resume: %v", n, err)
	}
	if !o.Settled() {
		t.Fatalf("kill point %d: the resumed run did not settle: %+v", n, o.Plan)
	}
	s.zone.Hook(nil)
	c.check(t, s)
	return true
}

// holdFloor fails the test when a write finds fewer serving published relays than the floor.
func (s *sim) holdFloor(t *testing.T) {
	s.zone.Hook(func(_ context.Context, call zonetest.Call) error {
		if call.Op == zonetest.OpRecords {
			return nil
		}
		ours, _ := s.records(t)
		if got := s.serving(ours); got < s.spec.DNS.MinRelays {
			t.Errorf("before %s of %s: %d published relays serve, the floor is %d", call.Op, call.Record.Value, got, s.spec.DNS.MinRelays)
		}
		return nil
	})
}
