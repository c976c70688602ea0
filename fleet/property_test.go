package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// weather makes calls fail at random, before or after their effect, and holds every
// write to the promises while it does.
type weather struct {
	mu     sync.Mutex
	rng    *rand.Rand
	chance float64
	looks  bool // the test itself reads the zone, which never fails
	lifted bool // down runs: floor and emptiness do not hold
	sim    *sim
	broken []string
}

// promise notes a promise that was broken; the test fails when the step is over.
func (w *weather) promise(ok bool, format string, args ...any) {
	if ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

func (w *weather) strikes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.looks && w.rng.Float64() < w.chance
}

func (w *weather) call(call string, done bool) error {
	if takes := call == "provider.create" || call == "provider.delete"; takes && !done && w.sim.world.Hidden {
		w.promise(w.alive() == 0, "the provider lists nothing and relays answer, yet %s was called", call)
	}
	if call == "provider.delete" && !done {
		w.retirement()
	}
	if w.strikes() {
		return errors.New("the network failed")
	}
	return nil
}

// write is asked before each write to the zone.
func (w *weather) write(_ context.Context, c zonetest.Call) error {
	if c.Op == zonetest.OpRecords || c.Op == zonetest.OpApply {
		return w.call("zone."+string(c.Op), false)
	}
	owner, ours := c.Record.Owner()
	w.promise(ours && owner.Fleet == w.sim.spec.Name, "%s of the record %s, which is not ours", c.Op, c.Record.Value)
	if c.Op == zonetest.OpRemove {
		w.withdrawal(c.Record.Value)
		w.look(true)
		w.succession(c.Record.Value, owner.Relay)
		w.look(false)
	}
	return w.call("zone."+string(c.Op), false)
}

// withdrawal checks against the world itself, not against what was observed.
func (w *weather) withdrawal(value string) {
	w.promise(!w.sim.world.Hidden || w.alive() == 0, "%s was withdrawn while the provider listed nothing", value)
	w.look(true)
	ours, _ := w.sim.records(rapidFatal{})
	w.look(false)
	var left []string
	for _, v := range ours {
		if v != value {
			left = append(left, v)
		}
	}
	if w.lifted {
		return
	}
	w.promise(len(left) > 0, "withdrawing %s empties the name", value)
	before, after := w.sim.serving(ours), w.sim.serving(left)
	w.promise(after >= before || after >= w.sim.spec.DNS.MinRelays, "withdrawing %s leaves %d serving, the floor is %d", value, after, w.sim.spec.DNS.MinRelays)
	for _, b := range w.sim.world.Boxes() {
		holds := b.Machine.Phase == fleet.PhaseActive && strings.HasSuffix(value, "/"+b.Relay.PeerID)
		w.promise(!holds || !b.SSHDown, "%s was withdrawn, and its box %s was only unreadable", value, b.Machine.ID)
	}
}

// retirement checks that no machine about to be deleted is published.
func (w *weather) retirement() {
	w.look(true)
	ours, _ := w.sim.records(rapidFatal{})
	w.look(false)
	for _, b := range w.sim.world.Boxes() {
		for _, value := range ours {
			published := b.Relay.PeerID != "" && strings.HasSuffix(value, "/"+b.Relay.PeerID)
			w.promise(b.Machine.Phase != fleet.PhaseDoomed || !published, "%s is deleted while %s is published", b.Machine.ID, value)
		}
	}
}

// succession checks that a record withdrawn from a slot leaves the slot another one.
func (w *weather) succession(value, node string) {
	recs, err := w.sim.zone.Records(context.Background(), w.sim.spec.DNS.RecordName())
	if err != nil {
		panic(err)
	}
	for _, s := range w.sim.spec.Slots() {
		if s.Node != node || w.lifted {
			continue
		}
		w.promise(slices.ContainsFunc(recs, func(r dnsaddr.Record) bool {
			o, ok := r.Owner()
			return ok && o.Relay == node && r.Value != value
		}), "%s was withdrawn before a successor of %s was published", value, node)
	}
}

// alive counts the published relays that really serve.
func (w *weather) alive() int {
	w.look(true)
	ours, _ := w.sim.records(rapidFatal{})
	w.look(false)
	return w.sim.serving(ours)
}

func (w *weather) look(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = on
}

// rapidFatal turns a failed reading of the test's own into a panic.
type rapidFatal struct{}

func (rapidFatal) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// TestProperty_NoWeatherBreaksAPromiseAndFairWeatherConverges drives a fleet through
// random commands and accidents. Promised on every write: an unreadable relay never
// loses its record, nothing withdraws below the floor or empties the name, no foreign
// record is touched, a provider that lists nothing causes no purchase and no withdrawal,
// publish precedes withdraw precedes retire.
// When everything answers again, up converges, without a second machine for a slot.
func TestProperty_NoWeatherBreaksAPromiseAndFairWeatherConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(2, 4).Draw(rt, "nodes")
		seed := rapid.Uint64().Draw(rt, "seed")
		chance := rapid.SampledFrom([]float64{0, 0.02, 0.1, 0.3}).Draw(rt, "chance")
		steps := rapid.SliceOfN(rapid.SampledFrom(accidents()), 1, 8).Draw(rt, "steps")
		var broken []string
		synctest.Test(t, func(*testing.T) {
			broken = drive(rt, nodes, seed, chance, steps)
		})
		if len(broken) > 0 {
			rt.Fatalf("steps %v: %s", steps, strings.Join(broken, "\n"))
		}
	})
}

func accidents() []string {
	return []string{"up", "up", "replace", "replace", "ssh down", "mute", "relay dies", "machine off", "hide", "shrink", "grow", "repair", "ttl", "down"}
}

// drive plays the steps and returns the promises that were broken.
func drive(rt *rapid.T, nodes int, seed uint64, chance float64, steps []string) []string {
	s := newSim(rt, nodes)
	w := &weather{rng: rand.New(rand.NewPCG(seed, 1)), sim: s}
	if _, err := s.up(); err != nil {
		return []string{"first up: " + err.Error()}
	}
	s.world.Fault = w.call
	s.zone.Hook(w.write)
	w.chance = chance
	for _, step := range steps {
		w.step(step)
	}
	w.mu.Lock()
	w.chance = 0
	w.mu.Unlock()
	w.repair()
	s.intent.MaxDeletes = nodes // whatever was taken out of fleet.yaml is meant to go
	for range 3 {
		o, err := s.up()
		if err != nil && !errors.Is(err, fleet.ErrStalePlan) { // a plan made in bad weather shows less: run again
			return append(w.broken, "up in fair weather: "+err.Error())
		}
		if o.Settled() {
			break
		}
	}
	s.world.Fault = nil
	s.zone.Hook(nil)
	s.check(rt)
	return w.broken
}

// step plays one accident or command. What a command returns does not matter here.
func (w *weather) step(name string) {
	boxes := w.sim.world.Boxes()
	if len(boxes) == 0 {
		return
	}
	victim := boxes[w.rng.IntN(len(boxes))].Machine
	change := func(f func(*fleettest.Box)) { w.sim.world.Change(victim.ID, f) }
	switch name {
	case "up":
		_, _ = w.sim.up()
	case "replace":
		_, _ = w.sim.replace(victim.Node)
	case "ssh down":
		change(func(b *fleettest.Box) { b.SSHDown = true })
	case "mute":
		change(func(b *fleettest.Box) { b.Mute = true })
	case "relay dies":
		change(func(b *fleettest.Box) { b.Relay.Active, b.Relay.Ready, b.Relay.Reason = false, false, "killed" })
	case "machine off":
		w.sim.world.SwitchOff(victim.ID)
	case "hide":
		w.sim.world.Hidden = true
		_, _ = w.sim.up()
		w.sim.world.Hidden = false
	case "shrink":
		if n := len(w.sim.spec.Nodes); n > w.sim.spec.DNS.MinRelays {
			w.sim.spec.Nodes = w.sim.spec.Nodes[:n-1]
		}
	case "grow":
		if n := len(w.sim.spec.Nodes); n < 5 {
			w.sim.spec.Nodes = append(w.sim.spec.Nodes[:n:n], fleet.NodeSpec{Region: fmt.Sprintf("r%c", 'a'+n), Count: 1})
		}
	case "down":
		w.lifted = true
		_, _ = w.sim.down()
		w.lifted = false
	case "ttl":
		w.sim.spec.DNS.TTL += w.sim.spec.DNS.TTL
	case "repair":
		w.repair()
	}
}

func (w *weather) repair() {
	w.sim.world.Hidden = false
	for _, b := range w.sim.world.Boxes() {
		w.sim.world.Change(b.Machine.ID, func(b *fleettest.Box) { b.SSHDown, b.Mute = false, false })
	}
}
