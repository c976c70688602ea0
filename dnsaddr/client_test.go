package dnsaddr_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mr-tron/base58"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// measured is the name at which clients were measured: of twenty bytes.
const measured = "p2p.example"

// open is a network that lets everything through.
func open() dnsaddr.Network { return dnsaddr.Network{UDP: dnsaddr.MaxEDNS} }

// peerID of the n-th relay, that of an Ed25519 key.
func peerID(n int) string {
	key := sha256.Sum256([]byte(fmt.Sprint("relay ", n)))
	return base58.Encode(append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, key[:]...))
}

// tcp is the record of the n-th relay, at an address of fifteen characters.
func tcp(n int) string {
	return fmt.Sprintf("dnsaddr=/ip4/198.151.%d.%d/tcp/9100/p2p/%s", 100+n/100, 100+n%100, peerID(n))
}

func quic(n int) string {
	return fmt.Sprintf("dnsaddr=/ip4/198.151.%d.%d/udp/9101/quic-v1/p2p/%s", 100+n/100, 100+n%100, peerID(n))
}

// tcp6 is the record of the n-th relay, at an IPv6 address of the greatest length.
func tcp6(n int) string {
	return fmt.Sprintf("dnsaddr=/ip6/2600:1f18:1111:2222:3333:4444:5555:%x/tcp/9100/p2p/%s", 0x1000+n, peerID(n))
}

// flat has n relays at one name, one record each.
func flat(n int) dnsaddr.Answers {
	var a dnsaddr.Answer
	for i := range n {
		a.Texts = append(a.Texts, []string{tcp(i)})
	}
	return dnsaddr.Answers{dnsaddr.Name(measured): a}
}

func texts(values ...string) dnsaddr.Answer {
	var a dnsaddr.Answer
	for _, v := range values {
		a.Texts = append(a.Texts, []string{v})
	}
	return a
}

// What go-libp2p did against a real server, measured at these numbers of relays.
func TestClient_GoDoesWhatWasMeasured(t *testing.T) {
	for _, c := range []struct {
		n, wire, queries, unpinned int
		resolves, connects         bool // the last relay, by /p2p/ID: for who matches the suffix, and for the swarm
	}{
		{3, 370, 1, 3, true, true}, {4, 477, 1, 4, true, true}, {11, 1226, 1, 11, true, true},
		{12, 1333, 2, 12, true, true}, {40, 4329, 2, 40, true, true}, {100, 10749, 2, 100, true, true},
		{101, 10856, 2, 100, true, false}, {200, 21449, 2, 100, true, false}, {600, 64249, 2, 100, true, false},
		{615, 65854, 2, 100, false, false}, {1000, 107049, 2, 100, false, false},
	} {
		answers := flat(c.n)
		if got := answers[dnsaddr.Name(measured)].Size(dnsaddr.Name(measured), true); got != c.wire {
			t.Errorf("%d relays: %d bytes, want %d", c.n, got, c.wire)
		}
		clients := dnsaddr.NewClients(answers)
		got := clients.Resolve(dnsaddr.GoLibp2p, open(), measured, "")
		if len(got.Relays) != c.unpinned || got.Queries != c.queries {
			t.Errorf("%d relays: %d tried in %d queries, want %d in %d", c.n, len(got.Relays), got.Queries, c.unpinned, c.queries)
		}
		last := peerID(c.n - 1)
		if got := len(clients.Resolve(dnsaddr.Kubo, open(), measured, last).Relays) == 1; got != c.resolves {
			t.Errorf("%d relays: kubo resolves the last one: %v, want %v", c.n, got, c.resolves)
		}
		if got := len(clients.Resolve(dnsaddr.GoLibp2p, open(), measured, last).Relays) == 1; got != c.connects {
			t.Errorf("%d relays: the swarm connects to the last one: %v, want %v", c.n, got, c.connects)
		}
	}
}

// The first number of relays at which each family sees none, or not all of them.
func TestClient_FlatNameBreaksWhereItWasMeasured(t *testing.T) {
	noTCP := dnsaddr.Network{UDP: dnsaddr.MaxEDNS, NoTCP: true}
	for _, c := range []struct {
		family      dnsaddr.Family
		network     dnsaddr.Network
		good, worse int // the last number of which all are tried, and how many are of one more
	}{
		{dnsaddr.GoLibp2p, open(), 100, 100},
		{dnsaddr.Kubo, open(), 100, 100},
		{dnsaddr.JSLibp2p, open(), 25, 25},
		{dnsaddr.RustLibp2p, open(), 16, 16},
		{dnsaddr.RustOld, open(), 16, 16},
		{dnsaddr.NimLibp2p, open(), 4, 0},
		{dnsaddr.TXTReader, open(), 612, 612},
		{dnsaddr.GoLibp2p, noTCP, 11, 0},
		{dnsaddr.GoLibp2p, dnsaddr.Network{UDP: 4096, NoTCP: true}, 11, 0}, // it asks for 1,232
		{dnsaddr.GoLibp2p, dnsaddr.Network{UDP: dnsaddr.MaxUDP, NoTCP: true}, 4, 0},
		{dnsaddr.JSLibp2p, noTCP, 4, 0},
		{dnsaddr.RustLibp2p, noTCP, 11, 0},
		{dnsaddr.RustOld, noTCP, 4, 0},
		{dnsaddr.NimLibp2p, noTCP, 4, 0},
		{dnsaddr.TXTReader, noTCP, 4, 0},
	} {
		for n, want := range map[int]int{c.good: c.good, c.good + 1: c.worse} {
			got := dnsaddr.NewClients(flat(n)).Resolve(c.family, c.network, measured, "")
			if len(got.Relays) != want {
				t.Errorf("%s over %s, %d relays: %d tried, want %d", c.family, c.network, n, len(got.Relays), want)
			}
			if want == 0 && got.Failed != dnsaddr.LostTruncated {
				t.Errorf("%s over %s, %d relays: failed for %q, want %q", c.family, c.network, n, got.Failed, dnsaddr.LostTruncated)
			}
		}
	}
}

// How many relays of two to four addresses each fit, of the name that was measured.
func TestClient_MoreAddressesOfEachRelayLeaveRoomForFewer(t *testing.T) {
	const domain = "p2p.bitterbot.ai"
	name := dnsaddr.Name(domain)
	fits := func(limit int, values func(int) []string) int {
		n := 0
		for ; ; n++ {
			var a dnsaddr.Answer
			for i := range n + 1 {
				a.Texts = append(a.Texts, texts(values(i)...).Texts...)
			}
			if a.Size(name, true) > limit {
				return n
			}
		}
	}
	ip6 := func(value string) string {
		_, rest, _ := strings.Cut(strings.TrimPrefix(value, "dnsaddr=/ip4/"), "/")
		return "dnsaddr=/ip6/2001:db8:1111:2222:3333:4444:5555:6666/" + rest
	}
	for _, c := range []struct {
		name      string
		values    func(int) []string
		udp, edns int
	}{
		{"tcp4", func(n int) []string { return []string{tcp(n)} }, 4, 11},
		{"tcp4, quic4", func(n int) []string { return []string{tcp(n), quic(n)} }, 2, 5},
		{"both with v6", func(n int) []string { return []string{tcp(n), quic(n), ip6(tcp(n)), ip6(quic(n))} }, 0, 2},
		{"pointers to regions", func(int) []string { return []string{"dnsaddr=/dnsaddr/nyc1.p2p.bitterbot.ai"} }, 8, 23},
	} {
		if got := fits(dnsaddr.MaxUDP, c.values); got != c.udp {
			t.Errorf("%s: %d in %d bytes, want %d", c.name, got, dnsaddr.MaxUDP, c.udp)
		}
		if got := fits(dnsaddr.MaxEDNS, c.values); got != c.edns {
			t.Errorf("%s: %d in %d bytes, want %d", c.name, got, dnsaddr.MaxEDNS, c.edns)
		}
	}
}

// nested has regions behind pointers without a peer ID.
func nested(regions, each int) dnsaddr.Answers {
	answers := make(dnsaddr.Answers)
	var root dnsaddr.Answer
	for r := range regions {
		region := fmt.Sprintf("r%d.%s", r, measured)
		root.Texts = append(root.Texts, []string{"dnsaddr=/dnsaddr/" + region})
		var a dnsaddr.Answer
		for i := range each {
			a.Texts = append(a.Texts, []string{tcp(r*each + i)})
		}
		answers[dnsaddr.Name(region)] = a
	}
	answers[dnsaddr.Name(measured)] = root
	return answers
}

func TestClient_PointersWithoutIDsAtTheRoot(t *testing.T) {
	for _, c := range []struct {
		regions, each, lookups int
		tried                  map[dnsaddr.Family]int
	}{
		{10, 4, 11, map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 40, dnsaddr.JSLibp2p: 25, dnsaddr.RustLibp2p: 16, dnsaddr.Kubo: 0, dnsaddr.TXTReader: 0}},
		{10, 10, 11, map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 100, dnsaddr.JSLibp2p: 25, dnsaddr.RustLibp2p: 16, dnsaddr.Kubo: 0, dnsaddr.TXTReader: 0}},
		{10, 85, 11, map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 100}},
		{16, 16, 17, map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 100, dnsaddr.RustLibp2p: 16}},
		{12, 84, 13, map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 100}},
	} {
		clients := dnsaddr.NewClients(nested(c.regions, c.each))
		for family, want := range c.tried {
			got := clients.Resolve(family, open(), measured, "")
			if len(got.Relays) != want {
				t.Errorf("%d×%d, %s: %d tried, want %d (%v)", c.regions, c.each, family, len(got.Relays), want, got.Losses)
			}
		}
		id := peerID(0)
		if got := clients.Resolve(dnsaddr.Kubo, open(), measured, id); len(got.Relays) != 0 {
			t.Errorf("%d×%d: the root by /p2p/ID leads to %v, want nothing", c.regions, c.each, got.Relays)
		}
		for _, family := range []dnsaddr.Family{dnsaddr.GoLibp2p, dnsaddr.Kubo, dnsaddr.JSLibp2p, dnsaddr.RustLibp2p} {
			if got := clients.Resolve(family, open(), "r0."+measured, id); len(got.Relays) != 1 {
				t.Errorf("%d×%d, %s: the region by /p2p/ID leads to %v, want one relay", c.regions, c.each, family, got.Relays)
			}
		}
	}
}

// rust-libp2p looks first at what it found last: with 16 regions of 16 only the last.
func TestClient_RustTriesTheLastRegionOnly(t *testing.T) {
	got := dnsaddr.NewClients(nested(16, 16)).Resolve(dnsaddr.RustLibp2p, open(), measured, "")
	want := make([]string, 0, 16)
	for i := range 16 {
		want = append(want, peerID(255-i))
	}
	if !slices.Equal(got.Relays, want) {
		t.Errorf("got %v, want the sixteen of region r15, the last first", got.Relays)
	}
}

// js-libp2p gives up on a name with a stranger's text, as long as it asks for no peer ID.
func TestClient_OtherTextsAtTheName(t *testing.T) {
	good := tcp(0)
	long := "dnsaddr=/dns4/" + strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60) + ".example/tcp/9100/p2p/" + peerID(1)
	other := peerID(2)
	for _, c := range []struct {
		name   string
		texts  [][]string
		id     string
		tried  map[dnsaddr.Family]int
		failed map[dnsaddr.Family]dnsaddr.Reason
	}{
		{
			"SPF", [][]string{{good}, {"v=spf1 -all"}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 1, dnsaddr.Kubo: 1, dnsaddr.RustLibp2p: 1, dnsaddr.NimLibp2p: 1, dnsaddr.TXTReader: 1, dnsaddr.JSLibp2p: 0},
			map[dnsaddr.Family]dnsaddr.Reason{dnsaddr.JSLibp2p: dnsaddr.LostForeign},
		},
		{
			"heritage=", [][]string{{"heritage=external-dns,external-dns/owner=default"}, {good}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 1, dnsaddr.JSLibp2p: 0},
			map[dnsaddr.Family]dnsaddr.Reason{dnsaddr.JSLibp2p: dnsaddr.LostForeign},
		},
		{
			"SPF, pinned", [][]string{{good}, {"v=spf1 -all"}}, peerID(0),
			map[dnsaddr.Family]int{dnsaddr.JSLibp2p: 1, dnsaddr.GoLibp2p: 1, dnsaddr.RustLibp2p: 1, dnsaddr.NimLibp2p: 1}, nil,
		},
		{
			"text without =", [][]string{{good}, {"hello"}}, "",
			map[dnsaddr.Family]int{dnsaddr.JSLibp2p: 1, dnsaddr.GoLibp2p: 1, dnsaddr.RustLibp2p: 1}, nil,
		},
		{
			"malformed", [][]string{{good}, {"dnsaddr=/ip4/300.1.2.3/tcp/1/p2p/" + other}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 1, dnsaddr.RustLibp2p: 1, dnsaddr.TXTReader: 1, dnsaddr.JSLibp2p: 0, dnsaddr.NimLibp2p: 0},
			map[dnsaddr.Family]dnsaddr.Reason{dnsaddr.JSLibp2p: dnsaddr.LostMalformed, dnsaddr.NimLibp2p: dnsaddr.LostMalformed},
		},
		{
			"leading space", [][]string{{" " + good}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 0, dnsaddr.RustLibp2p: 0, dnsaddr.TXTReader: 0, dnsaddr.JSLibp2p: 1}, nil,
		},
		{
			"quotes within", [][]string{{`"` + good + `"`}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 0, dnsaddr.RustLibp2p: 0, dnsaddr.JSLibp2p: 1}, nil,
		},
		{
			"capitals in the prefix", [][]string{{"DNSADDR" + strings.TrimPrefix(good, "dnsaddr")}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 0, dnsaddr.RustLibp2p: 0, dnsaddr.JSLibp2p: 1}, nil,
		},
		{
			"two strings", [][]string{{long[:200], long[200:]}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 1, dnsaddr.Kubo: 1, dnsaddr.TXTReader: 1, dnsaddr.NimLibp2p: 1, dnsaddr.RustLibp2p: 0, dnsaddr.JSLibp2p: 0}, nil,
		},
		{
			"no peer ID", [][]string{{"dnsaddr=/ip4/198.51.100.1/tcp/9100"}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 0, dnsaddr.Kubo: 0, dnsaddr.TXTReader: 0}, nil,
		},
		{
			"QUIC alone", [][]string{{quic(0)}}, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 1, dnsaddr.RustLibp2p: 1, dnsaddr.JSLibp2p: 0, dnsaddr.NimLibp2p: 0}, nil,
		},
		{
			"nothing", nil, "",
			map[dnsaddr.Family]int{dnsaddr.GoLibp2p: 0, dnsaddr.JSLibp2p: 0},
			map[dnsaddr.Family]dnsaddr.Reason{dnsaddr.GoLibp2p: dnsaddr.LostMissing, dnsaddr.JSLibp2p: dnsaddr.LostMissing},
		},
	} {
		clients := dnsaddr.NewClients(dnsaddr.Answers{dnsaddr.Name(measured): {Texts: c.texts}})
		for family, want := range c.tried {
			got := clients.Resolve(family, open(), measured, c.id)
			if len(got.Relays) != want || got.Failed != c.failed[family] {
				t.Errorf("%s, %s: %d tried, failed for %q; want %d, %q (%v)", c.name, family, len(got.Relays), got.Failed, want, c.failed[family], got.Losses)
			}
		}
	}
}

func TestClient_NamesInACircleEndForEveryFamily(t *testing.T) {
	answers := make(dnsaddr.Answers)
	for i := range 3 {
		var a dnsaddr.Answer
		for j := range 40 {
			a.Texts = append(a.Texts, []string{fmt.Sprintf("dnsaddr=/dnsaddr/n%d.%s", j%3, measured)})
		}
		answers[dnsaddr.Name(fmt.Sprintf("n%d.%s", i, measured))] = a
	}
	clients := dnsaddr.NewClients(answers)
	for _, family := range dnsaddr.Families() {
		got := clients.Resolve(family, open(), "n0."+measured, "")
		if len(got.Relays) != 0 || got.Queries > 1001 {
			t.Errorf("%s: %d relays in %d queries, want none in a bounded number", family, len(got.Relays), got.Queries)
		}
	}
}
