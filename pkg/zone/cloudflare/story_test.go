package cloudflare_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// stage is a fleet of relays whose records are in a zone at Cloudflare.
type stage struct {
	*rig
	world *fleettest.World
	spec  fleet.Spec
	b     fleet.Backends
	up    fleet.Intent
	from  []int // how far the history of each name server was when the play began
	tell  func(fleet.Event)
}

const stranger = "dnsaddr=/ip4/192.0.2.99/tcp/4001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

// newStage brings a fleet of three up. It is called in a bubble.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := stageOf(t, fleet.NodeSpec{Region: "nyc1", Count: 1}, fleet.NodeSpec{Region: "fra1", Count: 1}, fleet.NodeSpec{Region: "sgp1", Count: 1})
	if n := len(s.now()); n != 3 {
		t.Fatalf("got %d records after up, want 3", n)
	}
	return s
}

// stageOf brings a fleet of these nodes up. It is called in a bubble.
func stageOf(t *testing.T, nodes ...fleet.NodeSpec) *stage {
	t.Helper()
	s := &stage{rig: newRig(t, cftest.Config{Zones: []cftest.Zone{{Name: apex}}}), world: fleettest.NewWorld("seabird")}
	s.spec = fleet.Spec{
		Name: "seabird", Provider: "digitalocean",
		Nodes: nodes,
		Relay: fleet.RelaySpec{Port: 9100, Network: "/seabird", Name: "seabird", Tier: "management"},
		DNS:   fleet.DNSSpec{Zone: fleet.ZoneCloudflare, Domain: domain, TTL: 5 * time.Minute, MinRelays: 2},
		Rollout: fleet.RolloutSpec{
			MaxParallel: 1, MinHealthyTime: time.Second, HealthyDeadline: time.Minute,
			DrainTimeout: 5 * time.Second, ProbeMaxAge: 2 * time.Minute,
		},
	}
	s.b = s.world.Backends(s.rig.zone(nil))
	s.up = fleet.Intent{Release: fleet.Release{SHA256: strings.Repeat("ab", 32), Version: "1.0.0"}}
	if o, err := s.converge(s.up); err != nil || !o.Settled() {
		t.Fatalf("up: got %v, %v and %v, want a fleet that is up", err, o.Failures, o.Plan.Deferred)
	}
	s.begin()
	return s
}

// begin forgets what was before.
func (s *stage) begin() {
	s.ResetCalls()
	s.from = nil
	for i := range s.Servers() {
		s.from = append(s.from, len(s.History(i)))
	}
}

// converge plans from a fresh look and runs, as every command does.
func (s *stage) converge(in fleet.Intent) (fleet.Outcome, error) {
	ctx := s.t.Context()
	st, err := fleet.Observe(ctx, s.b, s.spec)
	if err != nil {
		return fleet.Outcome{}, err
	}
	return fleet.Converge(ctx, s.b, s.spec, in, st, fleet.Diff(s.spec, st, in), s.tell)
}

// relays leaves the stranger's record out.
func relays(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == stranger })
}

// now are the fleet's values in the zone.
func (s *stage) now() []string { return relays(s.values()) }

// strangers is how many records of somebody else are in the zone.
func (s *stage) strangers() int { return len(s.values()) - len(s.now()) }

// fewest is the least number of relays that any name server answered with since the play
// began.
func (s *stage) fewest() int {
	least := len(relays(s.Resolve(0, entry)))
	for i := range s.Servers() {
		for _, m := range s.History(i)[s.from[i]:] {
			if m.Name == entry {
				least = min(least, len(relays(m.Values)))
			}
		}
	}
	return least
}

// silence has the boxes of the first n relays not answer over SSH.
func (s *stage) silence(n int) {
	for _, b := range s.world.Boxes()[:n] {
		s.world.Change(b.Machine.ID, func(b *fleettest.Box) { b.SSHDown = true })
	}
}

// result is what a run of one or the other left behind.
type result struct {
	exit, writes, left, fewest, strangers int
}

func (s *stage) result(exit int) result {
	return result{exit, s.wrote(), len(s.now()), s.fewest(), s.strangers()}
}

// ours runs fleetctl dnsaddr sync. Its exit status is that of the command: 3 if something
// was left undone, 1 for an error.
func (s *stage) ours() int {
	in := s.up
	in.RecordsOnly = true
	o, err := s.converge(in)
	switch {
	case err != nil:
		return 1
	case !o.Settled():
		return 3
	default:
		return 0
	}
}

// TestStory_SixScenariosTheOldScriptAndOurs plays what was measured of the script that
// fleetctl replaces, once with a model of it and once with fleetctl, from the same state.
func TestStory_SixScenariosTheOldScriptAndOurs(t *testing.T) {
	foreign := func(s *stage) {
		if _, err := s.Put(apex, cftest.Record{Name: entry, Content: stranger}); err != nil {
			s.t.Fatal(err)
		}
	}
	limited := func(nth int) func(*stage) {
		return func(s *stage) { s.Fail(cftest.Fault{Writes: true, Nth: nth, How: cftest.RateLimited}) }
	}
	table := []string{fmt.Sprintf("%-42s %-28s %s", "", "script: exit writes left fewest", "ours: exit writes left fewest")}
	for _, c := range []struct {
		what      string
		play      func(*stage)
		old, ours result
	}{
		{"nothing changed", func(*stage) {}, result{0, 6, 3, 0, 0}, result{0, 0, 3, 3, 0}},
		{"a record of someone else at the name", foreign, result{0, 7, 3, 0, 0}, result{0, 0, 3, 3, 1}},
		{"1 of 3 relays does not answer over SSH", func(s *stage) { s.silence(1) }, result{0, 5, 2, 0, 0}, result{3, 0, 3, 3, 0}},
		{"2 of 3 do not", func(s *stage) { s.silence(2) }, result{0, 4, 1, 0, 0}, result{3, 0, 3, 3, 0}},
		{"429 on the 4th write", limited(4), result{22, 4, 0, 0, 0}, result{0, 0, 3, 3, 0}},
		{"429 on the 5th write", limited(5), result{22, 5, 1, 0, 0}, result{0, 0, 3, 3, 0}},
	} {
		var old, ours result
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			c.play(s)
			s.begin()
			old = s.result(script{s.rig, s.world}.run(t.Context()))
		})
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			c.play(s)
			s.begin()
			ours = s.result(s.ours())
		})
		if old != c.old {
			t.Errorf("%s: the script: got %+v, want %+v as measured", c.what, old, c.old)
		}
		if ours != c.ours {
			t.Errorf("%s: ours: got %+v, want %+v", c.what, ours, c.ours)
		}
		table = append(table, fmt.Sprintf("%-42s %12d %6d %4d %6d   %9d %6d %4d %6d", c.what, old.exit, old.writes, old.left, old.fewest, ours.exit, ours.writes, ours.left, ours.fewest))
	}
	t.Log("\n" + strings.Join(table, "\n"))
}
