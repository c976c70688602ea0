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

const entryName = "_dnsaddr." + domain

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
		for _, f := range dnsaddr.Lint(entryName, dnsaddr.Answers{entryName: c.answer}) {
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
		for _, f := range dnsaddr.Lint(entry, dnsaddr.Answers{entry: texts(tcp(0))}) {
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
			if l.Fix(v.Family) == "" {
				t.Errorf("%s over %s: no way out of %+v", v.Family, v.Network, l)
			}
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
		for _, f := range dnsaddr.Lint(entryName, dnsaddr.Answers{entryName: a}) {
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
