package dnsaddr_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// published is what a fleet of these nodes looks like in DNS.
func published(l dnsaddr.Layout, all []dnsaddr.Node) dnsaddr.Answers {
	var records []dnsaddr.Record
	for i, n := range all {
		for _, name := range l.At(n.Name) {
			for _, value := range []string{tcp(i), quic(i)}[:min(2, l.Addresses(name))] {
				records = append(records, dnsaddr.Record{Name: name, Value: value})
			}
		}
	}
	return dnsaddr.AnswersOf(records)
}

// No layout that we choose loses all relays for a family that can use EDNS or TCP; and by
// /p2p/ID, at the name of its list, such a family reaches every relay.
func TestLayout_EveryClientFamilyResolvesIt(t *testing.T) {
	sizes := []int{1, 3, 10, 11, 12, 16, 17, 18, 40, 100, 410, 1000}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) { everyFamilyResolves(t, evenly(n)) })
	}
}

func TestLayout_EveryClientFamilyResolvesAnyFleet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := make(map[string]int)
		for i := range rapid.IntRange(1, 6).Draw(t, "regions") {
			counts[fmt.Sprintf("r%d", i)] = rapid.IntRange(1, 60).Draw(t, "nodes")
		}
		everyFamilyResolves(t, nodes(counts))
	})
}

func everyFamilyResolves(t interface {
	Helper()
	Errorf(string, ...any)
}, all []dnsaddr.Node) {
	t.Helper()
	l := dnsaddr.NewLayout(domain, all, "few")
	clients := dnsaddr.NewClients(published(l, all))
	atEntry := l.Relays(l.Entry())
	for _, family := range dnsaddr.Families() {
		for _, network := range dnsaddr.Networks() {
			got := clients.Resolve(family, network, domain, "")
			fits := family.EDNS() && network.UDP == dnsaddr.MaxEDNS && (len(all) <= 11 || len(all) > dnsaddr.MaxFlat)
			switch {
			case !family.LargeAnswers():
				few := clients.Resolve(family, network, "few."+domain, "")
				if want := min(dnsaddr.CompactRelays, len(all)); len(few.Relays) != want {
					t.Errorf("%d relays: %s over %s tries %d at the compact name, want %d", len(all), family, network, len(few.Relays), want)
				}
			case (!network.NoTCP || fits) && len(got.Relays) != atEntry:
				t.Errorf("%d relays: %s over %s tries %d, want the %d of the entry name (%v)", len(all), family, network, len(got.Relays), atEntry, got.Losses)
			}
		}
		if !family.LargeAnswers() {
			continue
		}
		for i := 0; i < len(all); i += 1 + len(all)/25 { // a sample of a large fleet
			n := all[i]
			at := l.At(n.Name)
			list := at[len(at)-1]
			if len(at) > 1 && list == "_dnsaddr.few."+domain {
				list = at[len(at)-2]
			}
			got := clients.Resolve(family, dnsaddr.Networks()[0], list[len("_dnsaddr."):], peerID(i))
			if !slices.Equal(got.Relays, []string{peerID(i)}) {
				t.Errorf("%d relays: %s reaches %s at %s by its peer ID as %v", len(all), family, n.Name, list, got.Relays)
			}
		}
	}
}

// While a fleet grows or shrinks, every client that can receive large answers finds two
// relays at least, whichever writes were made already: adds first, then removes.
func TestLayout_EveryClientFindsRelaysAtEveryWriteBetweenTwoSizes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.OneOf(rapid.IntRange(2, 40), rapid.SampledFrom([]int{10, 11, 12, 15, 16, 17, 18}))
		from, to := evenly(sizes.Draw(t, "from")), evenly(sizes.Draw(t, "to"))
		before, after := fleetRecords(from), fleetRecords(to)
		c := dnsaddr.Diff("demo", before, after)
		state := slices.Clone(before)
		add, remove := rapid.Permutation(c.Add).Draw(t, "add"), rapid.Permutation(c.Remove).Draw(t, "remove")
		least := min(2, len(from), len(to))
		everyClientFinds(t, least, state)
		for _, r := range add {
			state = append(state, r)
			everyClientFinds(t, least, state)
		}
		for _, r := range remove {
			state = slices.DeleteFunc(state, func(have dnsaddr.Record) bool { return have.Name == r.Name && have.Value == r.Value })
			everyClientFinds(t, least, state)
		}
	})
}

// fleetRecords are those of these nodes at the entry name; the same node has the same relay
// in every fleet.
func fleetRecords(all []dnsaddr.Node) []dnsaddr.Record {
	l := dnsaddr.NewLayout(domain, all, "")
	var out []dnsaddr.Record
	for _, n := range all {
		region := 0
		_, _ = fmt.Sscanf(n.Region, "r%d", &region)
		if name := l.At(n.Name)[0]; name == l.Entry() {
			out = append(out, dnsaddr.Record{Name: name, Value: tcp(100*region + n.Number), TTL: time.Minute, Comment: dnsaddr.Owner{Fleet: "demo", Relay: n.Name}.Comment()})
		}
	}
	return out
}

func everyClientFinds(t *rapid.T, least int, state []dnsaddr.Record) {
	clients := dnsaddr.NewClients(dnsaddr.AnswersOf(state))
	for _, family := range dnsaddr.Families() {
		for _, network := range dnsaddr.Networks() {
			if !family.LargeAnswers() || network.NoTCP {
				continue
			}
			if got := clients.Resolve(family, network, domain, ""); len(got.Relays) < least {
				t.Fatalf("%s over %s finds %d relays in a zone of %d records (%v), want %d", family, network, len(got.Relays), len(state), got.Losses, least)
			}
		}
	}
}

// Whatever stands in DNS, a model ends, within bounds, and counts each relay once.
func TestClient_AnyAnswersAreBounded(t *testing.T) {
	someText := rapid.OneOf(
		rapid.Just("v=spf1 -all"), rapid.String(),
		rapid.Custom(func(t *rapid.T) string { return tcp(rapid.IntRange(0, 300).Draw(t, "relay")) }),
		rapid.Custom(func(t *rapid.T) string { return quic(rapid.IntRange(0, 300).Draw(t, "relay")) }),
		rapid.Custom(func(t *rapid.T) string {
			p := fmt.Sprintf("dnsaddr=/dnsaddr/n%d.%s", rapid.IntRange(0, 3).Draw(t, "name"), domain)
			if rapid.Bool().Draw(t, "pinned") {
				p += "/p2p/" + peerID(rapid.IntRange(0, 300).Draw(t, "relay"))
			}
			return p
		}),
	)
	rapid.Check(t, func(t *rapid.T) {
		answers := make(dnsaddr.Answers)
		for i := range rapid.IntRange(1, 4).Draw(t, "names") {
			var a dnsaddr.Answer
			for range rapid.IntRange(0, 30).Draw(t, "texts") {
				a.Texts = append(a.Texts, rapid.SliceOfN(someText, 1, 2).Draw(t, "strings"))
			}
			answers[dnsaddr.Name(fmt.Sprintf("n%d.%s", i, domain))] = a
		}
		id := ""
		if rapid.Bool().Draw(t, "by ID") {
			id = peerID(rapid.IntRange(0, 300).Draw(t, "relay"))
		}
		clients := dnsaddr.NewClients(answers)
		for _, family := range dnsaddr.Families() {
			for _, network := range dnsaddr.Networks() {
				got := clients.Resolve(family, network, "n0."+domain, id)
				if got.Queries < 1 || got.Queries > 1001 || got.Bytes < 1 {
					t.Fatalf("%s: %d queries, %d bytes", family, got.Queries, got.Bytes)
				}
				if got.Failed != "" && len(got.Addrs) > 0 {
					t.Fatalf("%s failed for %q and tries %v", family, got.Failed, got.Addrs)
				}
				sorted := slices.Sorted(slices.Values(got.Relays))
				if len(slices.Compact(sorted)) != len(got.Relays) {
					t.Fatalf("%s: a relay is counted twice in %v", family, got.Relays)
				}
				if id != "" && len(slices.DeleteFunc(got.Relays, func(r string) bool { return r == id })) > 0 {
					t.Fatalf("%s: asked for %s and tries %v", family, id, got.Relays)
				}
			}
		}
	})
}
