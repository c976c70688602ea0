package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	name = "_dnsaddr.p2p.resolve.test"
	peer = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
)

// value is the n-th relay's record.
func value(n int) string { return fmt.Sprintf("dnsaddr=/ip4/192.0.2.%d/tcp/9100%s", n, peer) }

func values(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = value(i + 1)
	}
	return out
}

// client does not wait long for packets that nobody answers.
func client(s *resolvetest.Server) *resolve.Client {
	return &resolve.Client{Packet: 10 * time.Second, Stream: 20 * time.Second, RootCAs: s.RootCAs}
}

func server(t *testing.T, text string) resolve.Server {
	t.Helper()
	s, err := resolve.ParseServer(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAsk_BringsTheSameByEveryTransport(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Texts(name, 60, values(40)...).Authority)
	for text, by := range map[string]resolve.Transport{
		s.Addr: resolve.TCP, "tcp://" + s.Addr: resolve.TCP, "tls://" + s.TLS: resolve.TLS, s.URL: resolve.HTTPS,
	} {
		a, err := client(s).Ask(t.Context(), server(t, text), resolve.Question{Name: name})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := a.Values(); len(got) != 40 || !slices.Contains(got, value(7)) || a.Rcode != "NOERROR" || !a.Authoritative {
			t.Errorf("%s: got %d values, %s, AA %v; want 40, NOERROR, true", text, len(got), a.Rcode, a.Authoritative)
		}
		if a.Transport != by || a.TTL() != time.Minute || a.Bytes < 40*len(value(1)) || a.Took <= 0 {
			t.Errorf("%s: got %s, TTL %s, %d bytes, took %s; want %s and 1m", text, a.Transport, a.TTL(), a.Bytes, a.Took, by)
		}
		if cut := text == s.Addr; a.Truncated != cut || (a.UDPBytes > 0) != cut || a.UDPBytes > resolve.EDNS {
			t.Errorf("%s: got truncated %v, %d bytes by UDP; want %v, and at most %d", text, a.Truncated, a.UDPBytes, cut, resolve.EDNS)
		}
	}
	get := client(s)
	get.Get = true
	if a, err := get.Ask(t.Context(), server(t, s.URL), resolve.Question{Name: name}); err != nil || len(a.Records) != 40 {
		t.Errorf("GET: got %d records, error %v; want 40", len(a.Records), err)
	}
}

func TestAsk_UDPAloneIsCutOffAtWhatTheClientTakes(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Texts(name, 60, values(40)...).Authority)
	for _, plain := range []bool{true, false} {
		a, err := client(s).Ask(t.Context(), server(t, "udp://"+s.Addr), resolve.Question{Name: name, NoEDNS: plain})
		most := resolve.EDNS
		if plain {
			most = dns.MinMsgSize
		}
		if err != nil || !a.Truncated || a.Bytes > most || len(a.Records) >= 40 {
			t.Errorf("without EDNS %v: got %d bytes, truncated %v, error %v; want at most %d, cut off", plain, a.Bytes, a.Truncated, err, most)
		}
	}
}

func TestAsk_WithTCPBlockedTellsWhatCameByUDP(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Only("udp", resolvetest.Texts(name, 60, values(40)...).Authority))
	c := client(s)
	c.Stream = time.Second
	a, err := c.Ask(t.Context(), server(t, s.Addr), resolve.Question{Name: name})
	if !errors.Is(err, resolve.ErrNoAnswer) || !a.Truncated || a.UDPBytes == 0 || a.Queries != 2 {
		t.Errorf("got error %v, truncated %v, %d bytes, %d queries; want ErrNoAnswer, true, some and 2", err, a.Truncated, a.UDPBytes, a.Queries)
	}
}

func TestAsk_TriesAgainByUDPOnly(t *testing.T) {
	for text, want := range map[string]int{"udp": 3, "tcp": 1} {
		s := resolvetest.Start(t, resolvetest.Silent)
		c := &resolve.Client{Packet: 50 * time.Millisecond, Stream: time.Second}
		a, err := c.Ask(t.Context(), server(t, text+"://"+s.Addr), resolve.Question{Name: name})
		if !errors.Is(err, resolve.ErrNoAnswer) || a.Queries != want {
			t.Errorf("%s: got error %v after %d queries, want ErrNoAnswer after %d", text, err, a.Queries, want)
		}
	}
}

func TestAsk_EndsWithItsContext(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Silent)
	for _, text := range []string{s.Addr, "tcp://" + s.Addr, "tls://" + s.TLS} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := client(s).Ask(ctx, server(t, text), resolve.Question{Name: name})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, resolve.ErrNoAnswer) {
			t.Errorf("%s: got error %v, want that of the context alone", text, err)
		}
		cancel()
	}
}

func TestAsk_TellsWhatServersSayBesideRecords(t *testing.T) {
	zone := append(resolvetest.Texts(name, 60, value(1)), resolvetest.NewZone(
		"p2p.resolve.test. 60 IN SOA ns.resolve.test. root.resolve.test. 42 1 1 1 1",
		name+". 60 IN RRSIG TXT 13 4 60 20300101000000 20200101000000 1 p2p.resolve.test. AAAA",
		"alias.resolve.test. 60 IN CNAME second.resolve.test.", "second.resolve.test. 60 IN CNAME "+name+".",
	)...)
	s := resolvetest.Start(t, resolvetest.ClaimingAD(zone.Recursive))
	ask := func(q resolve.Question) resolve.Answer {
		t.Helper()
		a, err := client(s).Ask(t.Context(), server(t, s.Addr), q)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask(resolve.Question{Name: name, DNSSEC: true}); !a.Signed || !a.Authenticated || a.Authoritative || len(a.Records) != 1 {
		t.Errorf("DNSSEC: got signed %v, AD %v, AA %v, %d records; want true, true, false, 1", a.Signed, a.Authenticated, a.Authoritative, len(a.Records))
	}
	if a := ask(resolve.Question{Name: name}); a.Signed {
		t.Error("without DNSSEC: got signatures, want none")
	}
	if a := ask(resolve.Question{Name: "p2p.resolve.test.", Type: resolve.SOA}); len(a.Records) != 1 || a.Records[0].Serial != 42 {
		t.Errorf("SOA: got %+v, want serial 42", a.Records)
	}
	if a := ask(resolve.Question{Name: "alias.resolve.test"}); !slices.Equal(a.Aliases, []string{"second.resolve.test", name}) || len(a.Records) != 1 {
		t.Errorf("alias: got %q and %d records, want the way to %s and its record", a.Aliases, len(a.Records), name)
	}
	if a := ask(resolve.Question{Name: "none.resolve.test"}); a.Rcode != "NXDOMAIN" || a.Err() != nil || len(a.Values()) != 0 {
		t.Errorf("no such name: got %s, error %v", a.Rcode, a.Err())
	}
	s.Answer(resolvetest.Rcode(dns.RcodeServerFailure))
	if a := ask(resolve.Question{Name: name}); a.Err() == nil || !strings.Contains(a.Err().Error(), "SERVFAIL") {
		t.Errorf("SERVFAIL: got error %v, want one that says so", a.Err())
	}
}

func TestAsk_IsNotFooledByAnAnswerToAnotherQuestion(t *testing.T) {
	zone := resolvetest.Texts(name, 60, value(1))
	for what, spoil := range map[string]func(*dns.Msg){
		"ID":       func(m *dns.Msg) { m.Id++ },
		"question": func(m *dns.Msg) { m.Question[0].Name = "other.test." },
		"query":    func(m *dns.Msg) { m.Response = false },
	} {
		s := resolvetest.Start(t, func(q *dns.Msg, by string) *dns.Msg {
			m := zone.Authority(q, by)
			spoil(m)
			return m
		})
		c := &resolve.Client{Packet: 50 * time.Millisecond, RootCAs: s.RootCAs}
		for _, text := range []string{s.Addr, "tcp://" + s.Addr, s.URL} {
			if a, err := c.Ask(t.Context(), server(t, text), resolve.Question{Name: name}); !errors.Is(err, resolve.ErrNoAnswer) {
				t.Errorf("%s, %s: got %v, error %v; want ErrNoAnswer", what, text, a.Values(), err)
			}
		}
	}
}

func TestAsk_TrustsNoStrangerByTLS(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Texts(name, 60, value(1)).Authority)
	for _, text := range []string{"tls://" + s.TLS, s.URL} {
		if _, err := new(resolve.Client).Ask(t.Context(), server(t, text), resolve.Question{Name: name}); !errors.Is(err, resolve.ErrNoAnswer) {
			t.Errorf("%s: got error %v, want ErrNoAnswer: nobody vouches for it", text, err)
		}
	}
}

func TestValues_AreOneServersAnswerAsAClientSeesIt(t *testing.T) {
	odd := append(resolvetest.Texts(name, 60, value(2)), &dns.TXT{
		Hdr: dns.RR_Header{Name: name + ".", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 7},
		Txt: []string{"a", `\"b\\`, `\065\000\255`},
	})
	s := resolvetest.Start(t, odd.Authority)
	got, ttl, err := resolve.Values(t.Context(), s.Addr, name)
	if want := []string{"a\"b\\A\x00\xff", value(2)}; err != nil || !slices.Equal(got, want) || ttl != 7*time.Second {
		t.Errorf("got %q, TTL %s, error %v; want %q and 7s", got, ttl, err, want)
	}
	s.Answer(resolvetest.Rcode(dns.RcodeRefused))
	if _, _, err := resolve.Values(t.Context(), s.Addr, name); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("got error %v, want one that says REFUSED", err)
	}
}
