package dnsaddr_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

const domain = "p2p.example"

// nodes of a fleet, by region.
func nodes(counts map[string]int) []dnsaddr.Node {
	var out []dnsaddr.Node
	for region, n := range counts {
		for i := range n {
			out = append(out, dnsaddr.Node{Name: fmt.Sprintf("%s-%d", region, i+1), Region: region, Number: i + 1})
		}
	}
	return out
}

// evenly spreads n nodes over ten regions.
func evenly(n int) []dnsaddr.Node {
	counts := make(map[string]int)
	for i := range n {
		counts[fmt.Sprintf("r%d", i%10)]++
	}
	return nodes(counts)
}

func TestLayout_EntryNameHoldsWhatClientsLookAt(t *testing.T) {
	for _, c := range []struct{ relays, entry, names, addresses int }{
		{0, 0, 1, 0}, {1, 1, 1, 4}, {2, 2, 1, 2}, {3, 3, 1, 1}, {4, 4, 1, 1}, {5, 5, 1, 2}, {6, 6, 1, 1}, {11, 11, 1, 1}, {16, 16, 1, 1},
		{17, 10, 11, 1}, {100, 10, 11, 1}, {400, 10, 11, 1}, {410, 10, 21, 1}, {1000, 10, 31, 1},
	} {
		l := dnsaddr.NewLayout(domain, evenly(c.relays), "")
		if got := l.Relays(l.Entry()); got != c.entry {
			t.Errorf("%d relays: %d at the entry name, want %d", c.relays, got, c.entry)
		}
		if got := l.Addresses(l.Entry()); got != c.addresses {
			t.Errorf("%d relays: %d addresses of each at the entry name, want %d", c.relays, got, c.addresses)
		}
		if got := l.Names(); len(got) != c.names || got[0] != "_dnsaddr.p2p.example" {
			t.Errorf("%d relays: names %v, want %d", c.relays, got, c.names)
		}
	}
}

func TestLayout_ListsAreNeverTooLongAndHoldEveryNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := nodes(map[string]int{"nyc1": rapid.IntRange(1, 130).Draw(t, "nyc1"), "fra1": rapid.IntRange(1, 60).Draw(t, "fra1"), "Sgp1": rapid.IntRange(0, 3).Draw(t, "sgp1")})
		l := dnsaddr.NewLayout(domain, all, "few")
		for _, n := range all {
			if len(l.At(n.Name)) == 0 {
				t.Fatalf("%s is published nowhere", n.Name)
			}
		}
		for _, name := range l.Names() {
			if got := l.Relays(name); got > dnsaddr.ListRelays {
				t.Fatalf("%s holds %d relays", name, got)
			}
			if !dnsaddr.OfFleet(l.Entry(), name) {
				t.Fatalf("%s is no name of the fleet", name)
			}
		}
		if got := l.Relays("_dnsaddr.few." + domain); got != min(4, len(all)) {
			t.Fatalf("%d relays at the compact name", got)
		}
	})
}

// Growing by one node moves no node between lists, and at the entry name no more than one
// for each region.
func TestLayout_OneNodeMoreMovesFewRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := map[string]int{"nyc1": rapid.IntRange(6, 90).Draw(t, "nyc1"), "fra1": rapid.IntRange(6, 90).Draw(t, "fra1"), "sgp1": rapid.IntRange(6, 90).Draw(t, "sgp1")}
		before := dnsaddr.NewLayout(domain, nodes(counts), "")
		counts[rapid.SampledFrom([]string{"nyc1", "fra1", "sgp1"}).Draw(t, "grows")]++
		all := nodes(counts)
		after := dnsaddr.NewLayout(domain, all, "")
		moved := 0
		for _, n := range all {
			was, is := before.At(n.Name), after.At(n.Name)
			if was == nil {
				continue
			}
			if was[len(was)-1] != is[len(is)-1] {
				t.Fatalf("%s moved from list %v to %v", n.Name, was, is)
			}
			if len(was) != len(is) {
				moved++
			}
		}
		if moved > 2 {
			t.Fatalf("%d nodes came to the entry name or left it, want at most 1 each way", moved)
		}
	})
}

func TestLayout_EntryIsSpreadOverRegions(t *testing.T) {
	l := dnsaddr.NewLayout(domain, nodes(map[string]int{"nyc1": 300, "fra1": 4, "sgp1": 2}), "")
	got := map[string]int{}
	for _, n := range nodes(map[string]int{"nyc1": 300, "fra1": 4, "sgp1": 2}) {
		if slices.Contains(l.At(n.Name), l.Entry()) {
			got[n.Region]++
		}
	}
	if got["nyc1"] != 4 || got["fra1"] != 4 || got["sgp1"] != 2 {
		t.Errorf("got %v at the entry name, want as many of each region as there are", got)
	}
}
