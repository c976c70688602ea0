package dnsaddr_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

const (
	entryName   = "_dnsaddr." + domain
	compactName = "_dnsaddr.few." + domain
)

// review is a look at a fleet without a compact name.
func review(answers dnsaddr.Answers) dnsaddr.Review {
	return dnsaddr.Review{Entry: entryName, Answers: answers}
}

func TestLint_NamesWhatClientsStumbleOver(t *testing.T) {
	atOtherHost := strings.Replace(tcp(0), "198.151.100.100", "198.151.100.200", 1)
	for _, c := range []struct {
		name   string
		answer dnsaddr.Answer
		want   string // grade and check of each finding
	}{
		{"three good ones", dnsaddr.Answer{Texts: texts(tcp(0), tcp(1), tcp(2)).Texts, TTL: 5 * time.Minute}, ""},
		{"two transports of one relay", texts(tcp(0), quic(0)), ""},
		{"nothing", dnsaddr.Answer{}, "problem empty"},
		{"no such name", dnsaddr.Answer{NoName: true}, "problem empty"},
		{"SPF", texts(tcp(0), "v=spf1 -all"), "problem foreign"},
		{"text without =", texts(tcp(0), "hello"), "warning foreign"},
		{"space before", texts(" " + tcp(0)), "warning foreign"},
		{"malformed", texts(tcp(0), "dnsaddr=/ip4/300.1.1.1/tcp/1"), "problem malformed"},
		{"no peer ID", texts(tcp(0), "dnsaddr=/ip4/198.151.100.1/tcp/9100"), "problem no-peer-id"},
		{"pointer without ID", texts(tcp(0), "dnsaddr=/dnsaddr/nyc1.p2p.example"), "problem pointer"},
		{"pointer with ID", texts(tcp(0), "dnsaddr=/dnsaddr/nyc1.p2p.example/p2p/"+peerID(1)), ""},
		{"two strings", dnsaddr.Answer{Texts: [][]string{{tcp(0)[:20], tcp(0)[20:]}}}, "problem strings"},
		{"long", dnsaddr.Answer{Texts: [][]string{{tcp(0) + strings.Repeat("/p2p-circuit", 20), ""}}}, "problem long problem no-peer-id"},
		{"twice", texts(tcp(0), tcp(0)), "warning twice"},
		{"one key at two hosts", texts(tcp(0), atOtherHost), "warning peer-id"},
		{"private", texts("dnsaddr=/ip4/10.0.0.7/tcp/9100/p2p/" + peerID(0)), "problem private"},
		{"not dialed", texts("dnsaddr=/ip4/198.151.100.1/udp/9/p2p/" + peerID(0)), "warning address"},
		{"alias", dnsaddr.Answer{Texts: texts(tcp(0)).Texts, Alias: "relays.example.net"}, "warning cname"},
		{"TTL 30", dnsaddr.Answer{Texts: texts(tcp(0)).Texts, TTL: 30 * time.Second}, "warning ttl"},
		{"TTL of two days", dnsaddr.Answer{Texts: texts(tcp(0)).Texts, TTL: 48 * time.Hour}, "warning ttl"},
		{"5", flat(5)[entryName], "note size"},
		{"12", flat(12)[entryName], "warning size"},
		{"17", flat(17)[entryName], "warning size note count"},
		{"40", flat(40)[entryName], "warning size note count"},
		{"101", flat(101)[entryName], "warning size warning content problem count"},
		{"613", flat(613)[entryName], "problem size warning content problem count"},
	} {
		var got []string
		for _, f := range review(dnsaddr.Answers{entryName: c.answer}).Findings() {
			got = append(got, string(f.Grade), f.Check)
			if f.Name != entryName || f.Detail == "" || f.Fix == "" {
				t.Errorf("%s: finding is not whole: %+v", c.name, f)
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLint_LooksAtTheNameItself(t *testing.T) {
	for name, want := range map[string]string{
		"p2p.example": "", "xn--bcher-kva.example": "punycode", "my_relays.example": "underscore",
		"bücher.example": "name", "a..example": "name",
	} {
		entry := dnsaddr.Name(name)
		got := ""
		for _, f := range (dnsaddr.Review{Entry: entry, Answers: dnsaddr.Answers{entry: texts(tcp(0))}}).Findings() {
			got += f.Check
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A verdict counts the relays that each family tries, and those it reaches by peer ID.
func TestJudge_SeventeenRelaysInOurLayout(t *testing.T) {
	all := evenly(17)
	answers := published(dnsaddr.NewLayout(domain, all, "few"), all)
	if got := answers.Relays(); len(got) != 17 || !slices.IsSorted(got) {
		t.Fatalf("Relays: got %d, want 17, sorted", len(got))
	}
	verdicts := dnsaddr.Judge(entryName, answers)
	if want := len(dnsaddr.Families()) * len(dnsaddr.Networks()); len(verdicts) != want {
		t.Fatalf("got %d verdicts, want %d", len(verdicts), want)
	}
	for _, v := range verdicts {
		tried, pinned := 10, 17
		switch {
		case v.Family == dnsaddr.NimLibp2p, !v.Family.CanReceive(v.Network):
			tried, pinned = 0, 17 // the lists are short, and the entry name is not
		}
		if len(v.Relays) != tried || v.Pinned != pinned {
			t.Errorf("%s over %s: %d tried, %d by peer ID; want %d, %d", v.Family, v.Network, len(v.Relays), v.Pinned, tried, pinned)
		}
		for _, l := range v.Losses {
			if (dnsaddr.Review{Entry: entryName, Compact: compactName, Answers: answers}).Fix(l, v.Family, v.Network) == "" {
				t.Errorf("%s over %s: no way out of %+v", v.Family, v.Network, l)
			}
		}
	}
}

func TestLint_ACompactNameAboveItsPacketIsAProblem(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		fix    string // "": no finding
	}{
		{"four by IPv4", []string{tcp(0), tcp(1), tcp(2), tcp(3)}, ""},
		{"three by IPv6", []string{tcp6(0), tcp6(1), tcp6(2)}, ""},
		{"four by IPv6", []string{tcp6(0), tcp6(1), tcp6(2), tcp6(3)}, "set dns.publish.families to [ip6], so that as few relays stand there as fit"},
		{"one of four by IPv4 alone", []string{tcp(0), tcp6(1), tcp6(2), tcp6(3)}, "give each of its relays an IPv4 address, or set dns.publish.families to one family that all have"},
		{"five by IPv4", []string{tcp(0), tcp(1), tcp(2), tcp(3), tcp(4)}, "remove what is not the fleet's, and run 'fleetctl dnsaddr sync'"},
	} {
		r := dnsaddr.Review{Entry: entryName, Compact: compactName, Answers: dnsaddr.Answers{entryName: texts(tcp(0)), compactName: texts(c.values...)}}
		fix := ""
		for _, f := range r.Findings() {
			if f.Grade != dnsaddr.Problem || f.Check != "compact" || f.Name != compactName {
				t.Errorf("%s: got %+v, want a problem with the compact name", c.name, f)
			}
			fix = f.Fix
		}
		if fix != c.fix {
			t.Errorf("%s: got %q, want %q", c.name, fix, c.fix)
		}
	}
}

// Advice is something that can be done: nobody is told to publish what is not theirs, to
// set what is set, or to publish fewer than one address.
func TestLint_AdviceCanBeFollowed(t *testing.T) {
	two := dnsaddr.Answer{}
	for i := range 12 {
		two.Texts = append(two.Texts, []string{tcp(i)}, []string{quic(i)})
	}
	few := texts(tcp(0), tcp(1))
	twelve := flat(12)[entryName]
	for _, c := range []struct {
		name   string
		review dnsaddr.Review
		want   []string // what is to be changed, of any finding and loss
	}{
		{"one address of each", review(dnsaddr.Answers{entryName: twelve}), []string{
			"tell clients that TCP/53 must be open",
			"open TCP/53 towards the resolver, or set dns.publish.compact and give such clients that name",
			"set dns.publish.compact and give such clients that name",
		}},
		{"one address of each, and a compact name", dnsaddr.Review{Entry: entryName, Compact: compactName, Answers: dnsaddr.Answers{entryName: twelve, compactName: few}}, []string{
			"tell clients that TCP/53 must be open",
			"open TCP/53 towards the resolver, or give such clients /dnsaddr/few.p2p.example",
			"give such clients /dnsaddr/few.p2p.example",
		}},
		{"five, and a compact name", dnsaddr.Review{Entry: entryName, Compact: compactName, Answers: dnsaddr.Answers{entryName: flat(5)[entryName], compactName: few}}, []string{
			"give such clients /dnsaddr/few.p2p.example",
			"open TCP/53 towards the resolver, or give such clients /dnsaddr/few.p2p.example",
		}},
		{"five, and nothing at the compact name", dnsaddr.Review{Entry: entryName, Compact: compactName, Answers: dnsaddr.Answers{entryName: flat(5)[entryName], compactName: {}}}, []string{
			"publish the compact name with 'fleetctl dnsaddr sync', and give such clients that name",
			"publish the relays: 'fleetctl dnsaddr sync'",
			"open TCP/53 towards the resolver, or publish the compact name with 'fleetctl dnsaddr sync', and give such clients that name",
		}},
		{"five, and a compact name that does not answer", dnsaddr.Review{Entry: entryName, Compact: compactName, Answers: dnsaddr.Answers{entryName: flat(5)[entryName]}}, []string{
			"give such clients /dnsaddr/few.p2p.example",
			"open TCP/53 towards the resolver, or give such clients /dnsaddr/few.p2p.example",
		}},
		{"five, and five at the compact name", dnsaddr.Review{Entry: entryName, Compact: compactName, Answers: dnsaddr.Answers{entryName: flat(5)[entryName], compactName: flat(5)[entryName]}}, []string{
			"bring the compact name below 512 bytes, and give such clients that name",
			"remove what is not the fleet's, and run 'fleetctl dnsaddr sync'",
			"open TCP/53 towards the resolver, or bring the compact name below 512 bytes, and give such clients that name",
		}},
		{"two addresses of each", review(dnsaddr.Answers{entryName: two}), []string{
			"tell clients that TCP/53 must be open, or publish fewer addresses of each relay (dns.publish.addresses)",
			"give such clients the peer ID of a relay: by /p2p/ID they find any of these",
			"open TCP/53 towards the resolver, or publish fewer addresses of each relay (dns.publish.addresses), or set dns.publish.compact and give such clients that name",
			"open TCP/53 towards the resolver, or set dns.publish.compact and give such clients that name",
			"set dns.publish.compact and give such clients that name",
			"give clients the names of the lists, or the peer ID of one relay",
		}},
		{"of somebody else", dnsaddr.Review{Entry: entryName, Foreign: true, Answers: dnsaddr.Answers{entryName: {Texts: twelve.Texts, TTL: 30 * time.Second}}}, []string{
			"set the TTL of the records to 300",
			"tell clients that TCP/53 must be open",
			"open TCP/53 towards the resolver, or give such clients the addresses themselves",
			"give such clients the addresses themselves",
		}},
		{"of somebody else, and not there", dnsaddr.Review{Entry: entryName, Foreign: true, Answers: dnsaddr.Answers{entryName: {NoName: true}}}, []string{
			"see whether the name is right",
		}},
	} {
		got := make(map[string]bool)
		for _, f := range c.review.Findings() {
			got[f.Fix] = true
		}
		for _, v := range dnsaddr.Judge(entryName, c.review.Answers) {
			for _, l := range v.Losses {
				got[c.review.Fix(l, v.Family, v.Network)] = true
			}
		}
		for _, want := range c.want {
			if !got[want] {
				t.Errorf("%s: nobody is told to %q", c.name, want)
			}
			delete(got, want)
		}
		for fix := range got {
			t.Errorf("%s: somebody is told to %q", c.name, fix)
		}
	}
}

// Texts from DNS reach a finding quoted, short and in one line.
func TestLint_FindingsAreOneShortPrintableLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a dnsaddr.Answer
		for range rapid.IntRange(0, 5).Draw(t, "texts") {
			s := rapid.String().Draw(t, "text")
			if rapid.Bool().Draw(t, "dnsaddr") {
				s = "dnsaddr=" + s
			}
			a.Texts = append(a.Texts, []string{s, strings.Repeat("x", rapid.IntRange(0, 300).Draw(t, "more"))})
		}
		a.Alias = rapid.String().Draw(t, "alias")
		for _, f := range review(dnsaddr.Answers{entryName: a}).Findings() {
			if len(f.Detail) > 1000 || strings.ContainsAny(f.Detail, "\n\r\x1b\x00") {
				t.Fatalf("detail is not one short line: %q", f.Detail)
			}
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	for _, n := range []int{3, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := evenly(n)
			answers := published(dnsaddr.NewLayout(domain, all, ""), all)
			for b.Loop() {
				dnsaddr.Judge(entryName, answers)
			}
		})
	}
}
