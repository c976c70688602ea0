package resolve_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

const otherPeer = "/p2p/12D3KooWJLVzPo9MmrW3uhhaFbXK7HRjHvHtB9pDDjPyUktkExv4"

func walk(t *testing.T, zones ...resolvetest.Zone) (resolve.Walked, []string) {
	t.Helper()
	var all resolvetest.Zone
	for _, z := range zones {
		all = append(all, z...)
	}
	s := resolvetest.Start(t, all.Recursive)
	w, err := client(s).Walk(t.Context(), server(t, "tcp://"+s.Addr), name)
	if err != nil {
		t.Fatalf("Walk: %v", err)
	}
	return w, s.Asked()
}

func found(w resolve.Walked) []string {
	out := []string{}
	for _, f := range w.Found {
		out = append(out, f.Record.Value)
	}
	slices.Sort(out)
	return out
}

func TestWalk_FollowsPointersAndKeepsWhatEndsAsTheySay(t *testing.T) {
	w, _ := walk(t,
		resolvetest.Texts(name, 60, value(1), "dnsaddr=/dnsaddr/list.resolve.test", "dnsaddr=/dnsaddr/pinned.resolve.test"+otherPeer, "v=spf1 -all", "dnsaddr=/nonsense"),
		resolvetest.Texts("_dnsaddr.list.resolve.test", 30, value(1), value(2)),
		resolvetest.Texts("_dnsaddr.pinned.resolve.test", 30, value(3), "dnsaddr=/ip4/192.0.2.4/tcp/1"+otherPeer),
	)
	if want := []string{value(1), value(2), "dnsaddr=/ip4/192.0.2.4/tcp/1" + otherPeer}; !slices.Equal(found(w), want) {
		t.Errorf("got %q, want %q: each address once, and none of another peer", found(w), want)
	}
	if len(w.Skipped) != 3 || len(w.Answers) != 3 || w.Answers[0].TTL() != time.Minute {
		t.Errorf("got %d skipped, %d answers; want 3 (SPF, nonsense, another peer) and 3, the first name's first", len(w.Skipped), len(w.Answers))
	}
}

func TestWalk_EndsInSpiteOfLoopsAndDepth(t *testing.T) {
	chain := []resolvetest.Zone{resolvetest.Texts(name, 60, "dnsaddr=/dnsaddr/p2p.resolve.test", "dnsaddr=/dnsaddr/1.resolve.test")}
	for i := 1; i <= 8; i++ {
		chain = append(chain, resolvetest.Texts(fmt.Sprintf("_dnsaddr.%d.resolve.test", i), 60, value(i), fmt.Sprintf("dnsaddr=/dnsaddr/%d.resolve.test", i+1)))
	}
	w, asked := walk(t, chain...)
	if want := values(resolve.MaxDepth - 1); !slices.Equal(found(w), want) || len(asked) != resolve.MaxDepth {
		t.Errorf("got %q after %d questions, want %q after %d", found(w), len(asked), want, resolve.MaxDepth)
	}
	reasons := ""
	for _, s := range w.Skipped {
		reasons += s.Reason + "\n"
	}
	if !strings.Contains(reasons, "asked already") || !strings.Contains(reasons, "no more than 4 names") {
		t.Errorf("got reasons %q, want those of a loop and of the depth", reasons)
	}
}

func TestWalk_StopsAtAHundredAddressesAndAtManyNames(t *testing.T) {
	w, _ := walk(t, resolvetest.Texts(name, 60, values(130)...))
	if len(w.Found) != resolve.MaxResults || len(w.Skipped) != 30 || len(w.Answers[0].Records) != 130 {
		t.Errorf("got %d found, %d skipped, %d records; want 100, 30, 130", len(w.Found), len(w.Skipped), len(w.Answers[0].Records))
	}
	var pointers []string
	for i := range 100 {
		pointers = append(pointers, fmt.Sprintf("dnsaddr=/dnsaddr/%d.resolve.test", i))
	}
	if _, asked := walk(t, resolvetest.Texts(name, 60, pointers...)); len(asked) != 64 {
		t.Errorf("got %d questions, want 64", len(asked))
	}
}

func TestWalk_TellsAnUnknownNameFromAnEmptyOne(t *testing.T) {
	entry := resolvetest.Texts(name, 60, value(1), "dnsaddr=/dnsaddr/bad.resolve.test", "dnsaddr=/dnsaddr/gone.resolve.test")
	s := resolvetest.Start(t, func(q *dns.Msg, by string) *dns.Msg {
		if strings.Contains(q.Question[0].Name, "bad") {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		return entry.Recursive(q, by)
	})
	w, err := client(s).Walk(t.Context(), server(t, s.Addr), name)
	if err != nil || len(w.Found) != 1 || len(w.Failed) != 1 || !strings.Contains(w.Failed[0].Error(), "SERVFAIL") {
		t.Errorf("got %d found, failed %v, error %v; want 1, and the name that answers SERVFAIL", len(w.Found), w.Failed, err)
	}
	s.Answer(resolvetest.Rcode(dns.RcodeServerFailure))
	if _, err := client(s).Walk(t.Context(), server(t, s.Addr), name); err == nil {
		t.Error("the first name answers SERVFAIL: got no error")
	}
}

func TestAuthorities_AreThoseOfTheClosestZone(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.NewZone(
		"test. 60 IN NS wrong.test.",
		"resolve.test. 60 IN NS b.ns.test.", "resolve.test. 60 IN NS A.ns.test.", "resolve.test. 60 IN NS lost.ns.test.",
		"a.ns.test. 60 IN A 192.0.2.1", "a.ns.test. 60 IN AAAA 2001:db8::1", "b.ns.test. 60 IN AAAA 2001:db8::2",
		"p2p.resolve.test. 60 IN CNAME elsewhere.test.", "elsewhere.test. 60 IN NS wrong.test.",
	).Recursive)
	zone, got, err := client(s).Authorities(t.Context(), server(t, s.Addr), name)
	if err != nil || zone != "resolve.test" || len(got) != 3 {
		t.Fatalf("got zone %q, %+v, error %v; want resolve.test and three servers", zone, got, err)
	}
	if got[0].Name != "a.ns.test" || len(got[0].Servers) != 1 || got[0].Servers[0].String() != "192.0.2.1:53" || got[1].Servers[0].String() != "[2001:db8::2]:53" || got[2].Err == nil {
		t.Errorf("got %+v, want a by IPv4, b by IPv6, and an error for the one that is lost", got)
	}
	if _, _, err := client(s).Authorities(t.Context(), server(t, s.Addr), "nobody.example"); !errors.Is(err, resolve.ErrNoZone) {
		t.Errorf("got error %v, want ErrNoZone", err)
	}
}

func TestParseServer_ReadsWhatItWrites(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "dns.example": "dns.example:53", "2001:db8::1": "[2001:db8::1]:53",
		"[2001:db8::1]:5353": "[2001:db8::1]:5353", "udp://192.0.2.1": "udp://192.0.2.1:53", "tcp://192.0.2.1:54": "tcp://192.0.2.1:54",
		"tls://dns.example": "tls://dns.example:853", "https://dns.example": "https://dns.example/dns-query",
		"https://[2001:db8::1]:444/q": "https://[2001:db8::1]:444/q",
	} {
		s, err := resolve.ParseServer(text)
		if err != nil || s.String() != want {
			t.Errorf("%s: got %s, error %v; want %s", text, s, err, want)
			continue
		}
		if again, err := resolve.ParseServer(s.String()); err != nil || again != s {
			t.Errorf("%s: got %+v, error %v; want %+v again", s, again, err, s)
		}
	}
	for _, text := range []string{"", ":53", "192.0.2.1:0", "192.0.2.1:x", "ftp://a", "https://user:pass@a/", "https://a/?q", "a b", "tls://", "1.1.1.1:53:53", "https://"} {
		if s, err := resolve.ParseServer(text); !errors.Is(err, resolve.ErrBadServer) {
			t.Errorf("%q: got %+v, error %v; want ErrBadServer", text, s, err)
		}
	}
	plain := server(t, "192.0.2.1")
	if got := plain.By(resolve.TLS).String() + " " + plain.By(resolve.HTTPS).String() + " " + plain.By(resolve.TCP).String(); got != "tls://192.0.2.1:853 https://192.0.2.1/dns-query tcp://192.0.2.1:53" {
		t.Errorf("By: got %s", got)
	}
}
