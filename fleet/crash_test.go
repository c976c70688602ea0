package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
		{name: "up after a machine was deleted by hand", begin: func(t *testing.T, s *sim) {
			must(t, "up", s.up)
			if err := s.b.Provider.Delete(t.Context(), s.world.Boxes()[1].Machine.ID); err != nil {
				t.Fatal(err)
			}
		}, run: (*sim).up, resume: (*sim).up, check: converged},
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

// tally is what was found after the kills of one command.
type tally struct{ points, twins, orphans, lost, below int }

func (c tally) String() string {
	floor := "held"
	if c.below > 0 {
		floor = fmt.Sprintf("broken %d times", c.below)
	}
	return fmt.Sprintf("kill points %d twins %d orphans %d lost %d floor %s", c.points, c.twins, c.orphans, c.lost, floor)
}

// count adds what the world holds: second machines of a slot, records that no machine
// is behind and machines without a slot, census entries that nobody knows any more.
func (c *tally) count(t *testing.T, s *sim, gone bool) {
	slots := make(map[string]bool)
	for _, slot := range s.spec.Slots() {
		slots[slot.Node] = !gone
	}
	ours, _ := s.records(t)
	c.orphans += len(ours)
	for _, b := range s.world.Boxes() {
		switch free, known := slots[b.Machine.Node]; {
		case !known:
			c.orphans++
		case !free:
			c.twins++
		}
		slots[b.Machine.Node] = false
		if slices.ContainsFunc(ours, func(v string) bool { return strings.HasSuffix(v, "/"+b.Relay.PeerID) }) {
			c.orphans--
		}
	}
	if !gone {
		c.lost += len(s.world.Lost())
	}
}

// TestCrash_KilledAfterAnyEffectTheNextRunFindsTheSameFleet kills each command after its
// first, second, … side effect, and runs again.
func TestCrash_KilledAfterAnyEffectTheNextRunFindsTheSameFleet(t *testing.T) {
	for _, c := range crashCases() {
		t.Run(c.name, func(t *testing.T) {
			var found tally
			for more := true; more && !t.Failed(); {
				synctest.Test(t, func(t *testing.T) { more = crashOnce(t, c, &found) })
			}
			t.Logf("%s: %s", c.name, found)
			if found.points < 5 {
				t.Fatalf("only %d kill points: the simulated world does not count its effects", found.points)
			}
			if found.twins+found.orphans+found.lost+found.below > 0 {
				t.Errorf("%s left something behind: %s", c.name, found)
			}
		})
	}
}

// crashOnce kills after as many effects as there were kills before. It returns false if
// the command had no more.
func crashOnce(t *testing.T, c crashCase, found *tally) (killed bool) {
	s := newSim(t, 3)
	c.begin(t, s)
	n := found.points
	k := &killer{left: n}
	k.watch(s)
	if _, err := c.run(s); err != nil && !k.dead {
		t.Fatalf("kill point %d: %v", n, err)
	}
	if !k.dead {
		return false
	}
	found.points++
	s.world.Fault = nil
	s.zone.Hook(nil)
	if c.floor {
		s.watchFloor(t, found)
	}
	o, err := c.resume(s)
	if err != nil {
		t.Fatalf("kill point %d: resume: %v", n, err)
	}
	if !o.Settled() {
		t.Fatalf("kill point %d: the resumed run did not settle: %+v", n, o.Plan)
	}
	s.zone.Hook(nil)
	found.count(t, s, c.name == "down")
	c.check(t, s)
	return true
}

// holdFloor fails the test at such a write.
func (s *sim) holdFloor(t *testing.T) { s.watchFloor(t, new(tally)) }

// watchFloor counts the writes that find fewer serving published relays than the floor.
func (s *sim) watchFloor(t *testing.T, found *tally) {
	s.zone.Hook(func(_ context.Context, call zonetest.Call) error {
		if call.Op == zonetest.OpRecords {
			return nil
		}
		ours, _ := s.records(t)
		if got := s.serving(ours); got < s.spec.DNS.MinRelays {
			found.below++
			t.Errorf("before %s of %s: %d published relays serve, the floor is %d", call.Op, call.Record.Value, got, s.spec.DNS.MinRelays)
		}
		return nil
	})
}
