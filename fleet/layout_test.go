package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// resize asks for n nodes in all, spread over regions.
func (s *sim) resize(n, regions int) {
	s.spec.Nodes = nil
	for i := range regions {
		count := n / regions
		if i < n%regions {
			count++
		}
		if count > 0 {
			s.spec.Nodes = append(s.spec.Nodes, fleet.NodeSpec{Region: fmt.Sprintf("r%c", 'a'+i), Count: count})
		}
	}
}

// serves is what the relay at a value does in the world itself.
func (s *sim) serves(value string) bool {
	a, err := dnsaddr.ParseValue(value)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(s.world.Boxes(), func(b fleettest.Box) bool {
		return b.Relay.PeerID == a.PeerID() && b.Relay.Active && !b.Mute && !b.Relay.Draining && b.Machine.Status == fleet.StatusRunning
	})
}

// relaysAt counts the relays of ours at a name that really serve.
func (s *sim) relaysAt(name string, records []dnsaddr.Record) int {
	peers := make(map[string]bool)
	for _, rec := range records {
		o, ours := rec.Owner()
		if a, err := rec.Addr(); ours && o.Fleet == s.spec.Name && err == nil && rec.Name == name && s.serves(rec.Value) {
			peers[a.PeerID()] = true
		}
	}
	return len(peers)
}

// atItsPlaces fails unless every node is at the names that its layout has, and nowhere else.
func (s *sim) atItsPlaces(t interface{ Fatalf(string, ...any) }) {
	layout := s.spec.Layout()
	got := make(map[string][]string)
	records, err := s.zone.Records(context.Background(), s.spec.DNS.RecordName())
	if err != nil {
		t.Fatalf("read the zone: %v", err)
	}
	for _, rec := range records {
		if o, ours := rec.Owner(); ours && o.Fleet == s.spec.Name && !slices.Contains(got[o.Relay], rec.Name) {
			got[o.Relay] = append(got[o.Relay], rec.Name)
		}
	}
	for _, slot := range s.spec.Slots() {
		if want := layout.At(slot.Node); !slices.Equal(got[slot.Node], want) {
			t.Fatalf("%s is published at %v, want %v", slot.Node, got[slot.Node], want)
		}
		delete(got, slot.Node)
	}
	if len(got) > 0 {
		t.Fatalf("published and no node of the spec: %v", got)
	}
}

// watchNames holds every write to the promise that clients rely on: once the entry name
// has had the floor, it never has less; a record of a relay that serves, and whose node
// the spec has, leaves a name only if as many relays serve there without it, or it serves
// at another name; and what is not ours does not change. It returns what was broken.
func (s *sim) watchNames(floor int, fail func() error) func() []string {
	var mu sync.Mutex
	var broken []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		broken = append(broken, fmt.Sprintf(format, args...))
	}
	entry := s.spec.DNS.RecordName()
	s.zone.Hook(func(ctx context.Context, c zonetest.Call) error {
		if c.Op == zonetest.OpRecords || c.Op == zonetest.OpApply {
			return fail()
		}
		if err := fail(); err != nil {
			return err
		}
		if o, ours := c.Record.Owner(); !ours || o.Fleet != s.spec.Name {
			note("%s of %s, which is not ours", c.Op, c.Record.Value)
		}
		if c.Op != zonetest.OpRemove {
			return nil
		}
		o, _ := c.Record.Owner()
		now := s.peek()
		left := slices.DeleteFunc(slices.Clone(now), func(r dnsaddr.Record) bool { return r.ID == c.Record.ID })
		if before, after := s.relaysAt(entry, now), s.relaysAt(entry, left); after < before && after < floor {
			note("removing %s leaves %d relays at %s, the floor is %d", c.Record.Value, after, entry, floor)
		}
		if s.serves(c.Record.Value) && len(s.spec.Layout().At(o.Relay)) > 0 && s.relaysAt(c.Record.Name, left) < s.relaysAt(c.Record.Name, now) &&
			!slices.ContainsFunc(left, func(r dnsaddr.Record) bool { return r.Value == c.Record.Value }) {
			note("removing %s from %s leaves its relay nowhere", c.Record.Value, c.Record.Name)
		}
		return nil
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return broken
	}
}

// peek reads the zone's last state past the hook.
func (s *sim) peek() []dnsaddr.Record {
	h := s.zone.History()
	if len(h) == 0 {
		return nil
	}
	return h[len(h)-1].Records
}

func TestLayout_GrowingAndShrinkingAcrossASizeKeepsEveryName(t *testing.T) {
	for _, sizes := range [][]int{{16, 17, 16}, {80, 81, 80}, {3, 17, 3}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 1)
				s.intent.MaxDeletes = fleet.MaxNodes
				s.spec.DNS.MinRelays = 2
				broken := func() []string { return nil }
				for i, n := range sizes {
					s.resize(n, 2)
					must(t, fmt.Sprintf("up of %d", n), s.up)
					s.atItsPlaces(t)
					if i == 0 {
						broken = s.watchNames(2, func() error { return nil })
					}
					before := s.zone.Writes()
					must(t, "up again", s.up)
					if after := s.zone.Writes(); after != before {
						t.Errorf("a second up of %d made %d writes, want none", n, after-before)
					}
				}
				if b := broken(); len(b) > 0 {
					t.Errorf("%q", b)
				}
			})
		})
	}
}

func TestLayout_ARecordMovesOnlyAfterItsNewPlaceServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		s.spec.DNS.MinRelays = 2
		s.resize(16, 2)
		must(t, "up of 16", s.up)
		s.resize(17, 2)
		st, err := fleet.Observe(t.Context(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		p := fleet.Diff(s.spec, st, s.intent)
		for _, c := range p.Changes() {
			if c.Action == fleet.ActionWithdraw {
				t.Errorf("the first plan withdraws %s at %q, want the lists first", c.Ref.Node, c.Ref.Name)
			}
		}
		must(t, "up of 17", s.up)
		lists, left := 0, false
		for _, m := range s.zone.History() {
			switch entry := m.Call.Record.Name == s.spec.DNS.RecordName(); {
			case m.Call.Op == zonetest.OpAdd && !entry:
				lists++
				if left {
					t.Errorf("%s was added to a list after a record left the entry name", m.Call.Record.Value)
				}
			case m.Call.Op == zonetest.OpRemove && entry:
				left = true
			}
		}
		if lists != 17 || !left {
			t.Errorf("%d records in lists, some left the entry name: %v; want 17, true", lists, left)
		}
	})
}

// A name that clients may have been given goes empty only where the plan says so.
func TestPlan_SaysWhichNamesWillBeEmpty(t *testing.T) {
	for _, c := range []struct {
		name   string
		nodes  int
		change func(*sim)
		want   []string
	}{
		{"the compact name is taken away", 3, func(s *sim) { s.spec.DNS.Publish.Compact = "" }, []string{"_dnsaddr.few.p2p.demo.test"}},
		{"the compact name is another", 3, func(s *sim) { s.spec.DNS.Publish.Compact = "tiny" }, []string{"_dnsaddr.few.p2p.demo.test"}},
		{"the lists go", 17, func(s *sim) { s.resize(16, 2) }, []string{"_dnsaddr.ra.p2p.demo.test", "_dnsaddr.rb.p2p.demo.test"}},
		{"lists come", 16, func(s *sim) { s.resize(17, 2) }, nil},
		{"a node goes", 4, func(s *sim) { s.resize(3, 2) }, nil},
		{"the fleet goes", 3, func(s *sim) { s.intent.Down = true }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 1)
				s.intent.MaxDeletes = fleet.MaxNodes
				s.spec.DNS.MinRelays, s.spec.DNS.Publish.Compact = 1, "few"
				s.resize(c.nodes, 2)
				must(t, "up", s.up)
				c.change(s)
				empty := make(map[string]bool)
				said := make(map[string]bool)
				for settled := false; !settled; {
					st, err := fleet.Observe(t.Context(), s.b, s.spec)
					if err != nil {
						t.Fatal(err)
					}
					p := fleet.Diff(s.spec, st, s.intent)
					for _, name := range fleet.Emptied(s.spec, st, p) {
						empty[name] = true
					}
					s.tell = func(e fleet.Event) {
						for _, name := range c.want {
							if strings.HasSuffix(e.Change.Reason, "; nobody is left at "+name) {
								said[name] = true
							}
						}
					}
					o, err := s.up()
					if err != nil {
						t.Fatal(err)
					}
					settled = o.Settled()
				}
				if got := slices.Sorted(maps.Keys(empty)); !slices.Equal(got, c.want) {
					t.Errorf("names that will be empty: got %q, want %q", got, c.want)
				}
				if len(said) != len(c.want) {
					t.Errorf("a reason says so of %v, want of %q", said, c.want)
				}
			})
		})
	}
}

// errWrite is a write that failed.
var errWrite = errors.New("429")

// TestProperty_LayoutsChangeWithoutAGap moves fleets across the sizes at which the layout
// changes, among records of others, with writes that fail at random and runs that are
// killed or run twice at once.
func TestProperty_LayoutsChangeWithoutAGap(t *testing.T) {
	const most = 30 // whole fleets take a while under -race
	ran, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{3, 12, 15, 16, 17, 18}), 2, 2).Draw(rt, "sizes")
		regions := rapid.IntRange(1, 4).Draw(rt, "regions")
		floor := rapid.IntRange(1, 3).Draw(rt, "floor")
		every := rapid.SampledFrom([]int{0, 3, 7, 13}).Draw(rt, "every n-th call fails")
		killed := rapid.SampledFrom([]int{-1, 0, 1, 4, 9, 20, 35}).Draw(rt, "first run killed at this call")
		twice := rapid.Bool().Draw(rt, "two runs at once")
		strangers := rapid.SliceOfN(rapid.SampledFrom([]string{
			"v=spf1 -all", "heritage=external-dns", "dnsaddr=/dnsaddr/other.test", "dnsaddr=junk",
			"dnsaddr=/ip4/192.0.2.50/tcp/1/p2p/" + fleettest.PeerID("another fleet"),
		}), 0, 5).Draw(rt, "strangers")
		if ran++; ran > most && !failed {
			return
		}
		var problem string
		synctest.Test(t, func(*testing.T) {
			problem = crossSizes(rt, sizes, regions, floor, every, killed, twice, strangers)
		})
		if problem != "" {
			failed = true
			rt.Fatalf("%s", problem)
		}
	})
	t.Logf("%d fleets", min(ran, most))
}

func crossSizes(rt *rapid.T, sizes []int, regions, floor, every, killed int, twice bool, strangers []string) string {
	s := newSim(rt, 1)
	s.spec.DNS.MinRelays = floor
	s.intent.MaxDeletes = fleet.MaxNodes
	for i, value := range slices.Compact(slices.Sorted(slices.Values(strangers))) {
		name := []string{s.spec.DNS.RecordName(), "_dnsaddr.ra." + s.spec.DNS.Domain}[i%2]
		rec := dnsaddr.Record{Name: name, Value: value, TTL: s.spec.DNS.TTL}
		if i%3 == 0 {
			rec.Comment = dnsaddr.Owner{Fleet: "other", Relay: "ra-1"}.Comment()
		}
		s.zone.Put(s.spec.DNS.RecordName(), rec)
	}
	foreign := s.foreign()
	s.resize(sizes[0], regions)
	if _, err := s.up(); err != nil {
		return "first up: " + err.Error()
	}
	calls := 0
	var mu sync.Mutex
	broken := s.watchNames(floor, func() error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; every > 0 && calls%every == 0 || killed >= 0 && calls > killed {
			return errWrite
		}
		return nil
	})
	fairWeather := func() {
		mu.Lock()
		defer mu.Unlock()
		every = 0
	}
	revive := func() {
		mu.Lock()
		defer mu.Unlock()
		killed = -1
	}
	for _, n := range sizes[1:] {
		s.resize(n, regions)
		_, _ = s.up()
		revive()
		for settled, tries := false, 0; !settled; tries++ {
			if tries == 60 {
				return fmt.Sprintf("up of %d does not settle", n)
			}
			if twice {
				var other sync.WaitGroup
				other.Go(func() { _, _ = s.up() })
				_, _ = s.up()
				other.Wait()
			}
			if tries == 4 {
				fairWeather()
			}
			o, err := s.up()
			settled = err == nil && o.Settled()
		}
	}
	s.zone.Hook(nil)
	writes := s.zone.Writes()
	if o, err := s.up(); err != nil || !o.Settled() || s.zone.Writes() != writes {
		return fmt.Sprintf("one more up: %v, %d writes, want none", err, s.zone.Writes()-writes)
	}
	s.atItsPlaces(rt)
	if now := s.foreign(); !slices.Equal(now, foreign) {
		return fmt.Sprintf("records of others: got %v, want %v", now, foreign)
	}
	if b := broken(); len(b) > 0 {
		return fmt.Sprintf("%q", b)
	}
	return ""
}

// foreign lists what is not ours.
func (s *sim) foreign() []dnsaddr.Record {
	records, err := s.zone.Records(context.Background(), s.spec.DNS.RecordName())
	if err != nil {
		panic(err)
	}
	return slices.DeleteFunc(records, func(r dnsaddr.Record) bool {
		o, ours := r.Owner()
		return ours && o.Fleet == s.spec.Name
	})
}
