package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// sim is a fleet in a simulated world.
type sim struct {
	world  *fleettest.World
	zone   *zonetest.Memory
	spec   fleet.Spec
	b      fleet.Backends
	intent fleet.Intent // of up
	tell   func(fleet.Event)
}

// newSim has n regions of one node each, a release to install, and a foreign record.
func newSim(t interface{ Fatalf(string, ...any) }, n int) *sim {
	s := &sim{world: fleettest.NewWorld("demo"), zone: zonetest.NewMemory()}
	s.spec = fleet.Spec{
		Name: "demo", Provider: "local",
		Relay: fleet.RelaySpec{Port: 9100, Network: "/demo", Name: "demo", Tier: "management"},
		DNS:   fleet.DNSSpec{Zone: "local", Domain: "p2p.demo.test", TTL: 2 * time.Second, MinRelays: min(2, n)},
		Rollout: fleet.RolloutSpec{
			MaxParallel: 1, MinHealthyTime: time.Second, HealthyDeadline: 3 * time.Second,
			DrainTimeout: 5 * time.Second, ProbeMaxAge: 2 * time.Minute,
		},
	}
	for i := range n {
		s.spec.Nodes = append(s.spec.Nodes, fleet.NodeSpec{Region: fmt.Sprintf("r%c", 'a'+i), Count: 1})
	}
	s.b = s.world.Backends(s.zone)
	s.intent = fleet.Intent{Release: fleet.Release{SHA256: strings.Repeat("ab", 32), Version: "1.0.0"}}
	s.zone.Put(s.spec.DNS.RecordName(), dnsaddr.Record{Value: "dnsaddr=/ip4/192.0.2.99/tcp/4001/p2p/" + fleettest.PeerID("stranger"), TTL: time.Minute})
	return s
}

// converge plans from a fresh look and runs, as every command does.
func (s *sim) converge(in fleet.Intent) (fleet.Outcome, error) {
	st, err := fleet.Observe(context.Background(), s.b, s.spec)
	if err != nil {
		return fleet.Outcome{}, err
	}
	return fleet.Converge(context.Background(), s.b, s.spec, in, st, fleet.Diff(s.spec, st, in), s.tell)
}

func (s *sim) up() (fleet.Outcome, error) { return s.converge(s.intent) }

func (s *sim) down() (fleet.Outcome, error) {
	in := s.intent
	in.Down = true
	return s.converge(in)
}

// replace replaces the machine of a node.
func (s *sim) replace(node string) (fleet.Outcome, error) {
	in := s.intent
	for _, b := range s.world.Boxes() {
		if b.Machine.Node == node && b.Machine.Phase == fleet.PhaseActive {
			in.Replace = append(in.Replace, b.Machine.ID)
		}
	}
	return s.converge(in)
}

// records lists the values at the name, split by owner.
func (s *sim) records(t interface{ Fatalf(string, ...any) }) (ours, foreign []string) {
	recs, err := s.zone.Records(context.Background(), s.spec.DNS.RecordName())
	if err != nil {
		t.Fatalf("read the zone: %v", err)
	}
	for _, r := range recs {
		if o, ok := r.Owner(); ok && o.Fleet == s.spec.Name {
			ours = append(ours, r.Value)
		} else {
			foreign = append(foreign, r.Value)
		}
	}
	return ours, foreign
}

// serving counts the records of ours whose relay really serves, in the world itself.
func (s *sim) serving(values []string) int {
	n := 0
	for _, b := range s.world.Boxes() {
		value := fmt.Sprintf("dnsaddr=/ip4/%s/tcp/9100/p2p/%s", b.Machine.Addrs[0], b.Relay.PeerID)
		if b.Relay.Active && !b.Mute && !b.Relay.Draining && b.Machine.Status == fleet.StatusRunning && slices.Contains(values, value) {
			n++
		}
	}
	return n
}

// check holds a settled fleet to its spec: one serving, published machine for each slot,
// the stranger's record, and nothing else.
func (s *sim) check(t interface{ Fatalf(string, ...any) }) {
	ours, foreign := s.records(t)
	if len(foreign) != 1 {
		t.Fatalf("foreign records: got %q, want the stranger's alone", foreign)
	}
	boxes := s.world.Boxes()
	held := make(map[string]string)
	for _, b := range boxes {
		if other, twin := held[b.Machine.Node]; twin {
			t.Fatalf("twins in slot %s: %s and %s", b.Machine.Node, other, b.Machine.ID)
		}
		held[b.Machine.Node] = b.Machine.ID
	}
	if want := len(s.spec.Slots()); len(boxes) != want || len(ours) != want || s.serving(ours) != want {
		t.Fatalf("machines, records, serving: got %d, %d, %d, want %d of each\n%+v\n%q", len(boxes), len(ours), s.serving(ours), want, boxes, ours)
	}
	if lost := s.world.Lost(); len(lost) > 0 {
		t.Fatalf("census entries that no relay knows any more: %q", lost)
	}
}

// must runs a step that has to succeed and settle.
func must(t *testing.T, what string, f func() (fleet.Outcome, error)) fleet.Outcome {
	t.Helper()
	o, err := f()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !o.Settled() {
		t.Fatalf("%s did not settle: %+v failures %v", what, o.Plan, o.Failures)
	}
	return o
}

var errKilled = errors.New("killed")

// killer lets n effects happen and then fails every call, as a killed process makes none.
type killer struct {
	mu   sync.Mutex
	left int
	dead bool
}

// fault counts the calls that change something and ends everything before the one too many.
func (k *killer) fault(call string, done bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dead && !done && changes(call) {
		k.left--
		k.dead = k.left < 0
	}
	if k.dead && !done {
		return errKilled
	}
	return nil
}

// watch lets the killer see the calls of the world and of the zone.
func (k *killer) watch(s *sim) {
	s.world.Fault = k.fault
	s.zone.Hook(func(_ context.Context, c zonetest.Call) error { return k.fault("zone."+string(c.Op), false) })
}

// changes reports whether a call of the simulated world has a side effect.
func changes(call string) bool {
	switch call {
	case "provider.machines", "provider.leftovers", "provider.drift", "provider.quote", "hosts.inspect", "hosts.await", "hosts.ping", "hosts.census-read",
		"prober.probe", "zone.records", "zone.apply":
		return false
	}
	return true
}
