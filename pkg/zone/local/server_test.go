package local_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/zone/local"
)

// query asks once, without following a truncated answer.
func query(t *testing.T, network, server string, q *dns.Msg) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: dns.MaxMsgSize}
	m, _, err := c.ExchangeContext(t.Context(), q, server)
	if err != nil {
		t.Fatalf("%s %v: %v", network, q.Question, err)
	}
	return m
}

func question(name string, qtype uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name+".", qtype) }

func TestServer_AnswersAsAnAuthorityDoes(t *testing.T) {
	z, _, server := served(t)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	deep := "_dnsaddr.fra1.east." + apex
	far := relay("192.0.2.2")
	far.Name = deep
	if err := z.Apply(t.Context(), deep, dnsaddr.Changes{Add: []dnsaddr.Record{far}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what    string
		q       *dns.Msg
		rcode   int
		answers int
		aa      bool
	}{
		{"TXT", question(name, dns.TypeTXT), dns.RcodeSuccess, 1, true},
		{"name in capitals", question(strings.ToUpper(name), dns.TypeTXT), dns.RcodeSuccess, 1, true},
		{"any type", question(name, dns.TypeANY), dns.RcodeSuccess, 1, true},
		{"another type", question(name, dns.TypeA), dns.RcodeSuccess, 0, true},
		{"SOA", question(apex, dns.TypeSOA), dns.RcodeSuccess, 1, true},
		{"NS", question(apex, dns.TypeNS), dns.RcodeSuccess, 1, true},
		{"address of the name server", question("ns."+apex, dns.TypeA), dns.RcodeSuccess, 1, true},
		{"no such name", question("nobody."+apex, dns.TypeTXT), dns.RcodeNameError, 0, true},
		{"name between two others", question("east."+apex, dns.TypeTXT), dns.RcodeSuccess, 0, true},
		{"another zone", question("example.net", dns.TypeTXT), dns.RcodeRefused, 0, false},
		{"a zone that ends alike", question("x"+apex, dns.TypeTXT), dns.RcodeRefused, 0, false},
		{"a label that ends alike", question(`x\.`+apex, dns.TypeTXT), dns.RcodeRefused, 0, false},
		{"the root", new(dns.Msg).SetQuestion(".", dns.TypeNS), dns.RcodeRefused, 0, false},
		{"AXFR", question(apex, dns.TypeAXFR), dns.RcodeRefused, 0, false},
		{"IXFR", question(apex, dns.TypeIXFR), dns.RcodeRefused, 0, false},
		{"update", new(dns.Msg).SetUpdate(apex + "."), dns.RcodeNotImplemented, 0, false},
		{"notify", new(dns.Msg).SetNotify(apex + "."), dns.RcodeRefused, 0, false},
		{"version", chaos("version.bind."), dns.RcodeRefused, 0, false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(c.what+" by "+network, func(t *testing.T) {
				m := query(t, network, server, c.q.Copy())
				if m.Rcode != c.rcode || len(m.Answer) != c.answers || m.Authoritative != c.aa || m.RecursionAvailable {
					t.Errorf("got %s, %d answers, AA %v, RA %v; want %s, %d, %v, false", dns.RcodeToString[m.Rcode], len(m.Answer),
						m.Authoritative, m.RecursionAvailable, dns.RcodeToString[c.rcode], c.answers, c.aa)
				}
				if c.aa && c.answers == 0 && (len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA) {
					t.Errorf("got authority %v, want the SOA record, so that absence can be cached", m.Ns)
				}
			})
		}
	}
}

func chaos(name string) *dns.Msg {
	q := new(dns.Msg).SetQuestion(name, dns.TypeTXT)
	q.Question[0].Qclass = dns.ClassCHAOS
	return q
}

// fill publishes n relays.
func fill(t *testing.T, z *local.Zone, n int) {
	t.Helper()
	var all []dnsaddr.Record
	for i := range n {
		all = append(all, relay(fmt.Sprintf("192.0.%d.%d", i/200, 10+i%200)))
	}
	apply(t, z, dnsaddr.Changes{Add: all})
}

func TestServer_CutsAnswersAtTheSizeOfTheClient(t *testing.T) {
	z, _, server := served(t)
	fill(t, z, 40)
	for size, most := range map[uint16]int{0: 512, 100: 512, 512: 512, 1232: 1232, 4096: 4096, 8192: 8192} {
		q := question(name, dns.TypeTXT)
		if size > 0 {
			q.SetEdns0(size, false)
		}
		m := query(t, "udp", server, q)
		m.Compress = true // as it was sent, for Len
		if all := len(m.Answer) == 40; m.Truncated == all || m.Len() > most {
			t.Errorf("size %d: got %d bytes, %d answers, TC %v; want at most %d bytes, and TC unless all fit", size, m.Len(), len(m.Answer), m.Truncated, most)
		}
		if hasOpt := m.IsEdns0() != nil; hasOpt != (size > 0) {
			t.Errorf("size %d: EDNS in the answer is %v", size, hasOpt)
		}
	}
	if m := query(t, "tcp", server, question(name, dns.TypeTXT)); m.Truncated || len(m.Answer) != 40 {
		t.Errorf("TCP: got %d answers, TC %v, want 40 and false", len(m.Answer), m.Truncated)
	}
}

func TestServer_RefusesAnUnknownVersionOfEDNS(t *testing.T) {
	_, _, server := served(t)
	q := question(name, dns.TypeTXT).SetEdns0(1232, false)
	q.IsEdns0().SetVersion(1)
	if m := query(t, "udp", server, q); m.Rcode != dns.RcodeBadVers {
		t.Errorf("got %s, want BADVERS", dns.RcodeToString[m.Rcode])
	}
}

func TestResolve_FollowsATruncatedAnswerByTCP(t *testing.T) {
	z, _, server := served(t)
	fill(t, z, 300)
	got, ttl, err := resolve.Values(t.Context(), server, name)
	if err != nil || len(got) != 300 || ttl != 2*time.Second {
		t.Errorf("got %d values, TTL %s, error %v; want 300, 2s", len(got), ttl, err)
	}
}

func TestResolve_ReturnsValuesAsTheyWereWrittenAndTheShortestTTL(t *testing.T) {
	z, _, server := served(t)
	odd := dnsaddr.Record{Value: `v=spf1 "a" \ \065;()`, TTL: time.Minute}
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{odd, relay("192.0.2.1")}})
	got, ttl, err := resolve.Values(t.Context(), server, name)
	if err != nil || len(got) != 2 || got[1] != odd.Value || ttl != 2*time.Second {
		t.Errorf("got %q, TTL %s, error %v; want %q last and 2s", got, ttl, err, odd.Value)
	}
}

func TestResolve_NameWithoutRecordsHasNoValuesAndNoError(t *testing.T) {
	_, _, server := served(t)
	for _, n := range []string{name, "nobody." + apex} {
		if got, _, err := resolve.Values(t.Context(), server, n); err != nil || got == nil || len(got) != 0 {
			t.Errorf("%s: got %#v, %v, want an empty slice", n, got, err)
		}
	}
	if _, _, err := resolve.Values(t.Context(), server, "example.net"); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("another zone: got error %v, want one that says REFUSED", err)
	}
}

func TestServer_KeepsItsPort(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "zone")
	first, stop := serve(t, dir)
	stop()
	second, _ := serve(t, dir)
	if first != second {
		t.Errorf("got %s after a restart, want %s", second, first)
	}
	var port int
	if _, err := fmt.Sscanf(first, "127.0.0.1:%d", &port); err != nil || port < 16000 || port > 19999 {
		t.Errorf("got %s, want a port of loopback from 16000 to 19999", first)
	}
}

func TestServer_PortInUseIsAnErrorWithAHint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "zone")
	_, _ = serve(t, dir)
	_, err := local.NewServer(dir, apex, slog.New(slog.DiscardHandler)).Listen(t.Context())
	var h interface{ Hint() string }
	if !errors.Is(err, local.ErrPortInUse) || !errors.As(err, &h) || h.Hint() == "" {
		t.Errorf("got error %v, want ErrPortInUse with a hint", err)
	}
}

func TestServer_PortHeldByUDPOnlyIsInUse(t *testing.T) {
	dir := t.TempDir()
	held, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	_, port, err := net.SplitHostPort(held.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "port"), []byte(port), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.NewServer(dir, apex, slog.New(slog.DiscardHandler)).Listen(t.Context()); !errors.Is(err, local.ErrPortInUse) {
		t.Errorf("got error %v, want ErrPortInUse", err)
	}
}

func TestServer_SurvivesWhatIsNoQuery(t *testing.T) {
	_, _, server := served(t)
	for _, network := range []string{"udp", "tcp"} {
		c, err := net.Dial(network, server)
		if err != nil {
			t.Fatal(err)
		}
		for _, junk := range []string{"", "\x00", strings.Repeat("\xff", 600), "\x00\x0c" + strings.Repeat("\x00", 12)} {
			_, _ = c.Write([]byte(junk)) // the server may have hung up
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	answers(t, server)
}
