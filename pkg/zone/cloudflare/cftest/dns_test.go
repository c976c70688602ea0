package cftest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// names starts the name servers of a cloud until the test ends.
func (s *served) names(t *testing.T) {
	t.Helper()
	d, err := s.ServeDNS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing the name servers: %v", err)
		}
	})
}

// query asks one server. An EDNS size of 0 leaves it out.
func (s *served) query(t *testing.T, server int, network, name string, kind uint16, edns uint16) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	if edns > 0 {
		q.SetEdns0(edns, false)
	}
	client := &dns.Client{Net: network, Timeout: 30 * time.Second}
	m, _, err := client.ExchangeContext(t.Context(), q, s.Servers()[server].Addr)
	if err != nil {
		t.Fatalf("%s %s by %s: %v", name, dns.TypeToString[kind], network, err)
	}
	return m
}

func TestDNS_WhatDoesNotFitIsCutOffAndWholeByTCP(t *testing.T) {
	s := serve(t, cftest.Config{})
	s.names(t)
	for n := range 12 {
		s.create(t, "_dnsaddr", fmt.Sprintf(`"dnsaddr=/ip4/192.0.2.%03d/tcp/9100/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"`, n))
	}
	const name = "_dnsaddr.example.test"
	for _, c := range []struct {
		network string
		edns    uint16
		whole   bool
		size    int
	}{{"udp", 0, false, 512}, {"udp", 1232, false, 1232}, {"udp", 4096, true, 4096}, {"tcp", 0, true, 65535}} {
		m := s.query(t, 0, c.network, name, dns.TypeTXT, c.edns)
		m.Compress = true // as it came
		if m.Truncated == c.whole || (len(m.Answer) == 12) != c.whole || m.Len() > c.size {
			t.Errorf("%s, EDNS %d: got %d records in %d bytes, truncated %v; want all of them: %v", c.network, c.edns, len(m.Answer), m.Len(), m.Truncated, c.whole)
		}
	}
}

func TestDNS_AnswersAsAnAuthority(t *testing.T) {
	s := serve(t, cftest.Config{})
	s.names(t)
	s.want(t, "POST", "", `{"type":"TXT","name":"a.b","content":"\"one\" \"\\\"two\\\"\"","ttl":600}`)
	s.want(t, "POST", "", `{"type":"TXT","name":"a.b","content":"auto","ttl":1}`)
	s.want(t, "POST", "", `{"type":"A","name":"www","content":"192.0.2.1","ttl":60}`)
	s.want(t, "POST", "", `{"type":"MX","name":"@","content":"mx.example.test","priority":10,"ttl":60}`)
	s.want(t, "POST", "", `{"type":"CNAME","name":"alias","content":"www.example.test","ttl":60}`)
	for _, c := range []struct {
		name   string
		kind   uint16
		rcode  int
		answer string // parts of it
	}{
		{"A.b.Example.Test", dns.TypeTXT, dns.RcodeSuccess, "A.b.Example.Test. 300 IN TXT|\"one\" \"\\\"two\\\"\"|\"auto\""},
		{"example.test", dns.TypeNS, dns.RcodeSuccess, "86400 IN NS ada.ns.cloudflare.example.|bob.ns.cloudflare.example."},
		{"example.test", dns.TypeSOA, dns.RcodeSuccess, "ada.ns.cloudflare.example. dns.cloudflare.example. 6 10000 2400 604800 1800"},
		{"example.test", dns.TypeMX, dns.RcodeSuccess, "10 mx.example.test."},
		{"www.example.test", dns.TypeA, dns.RcodeSuccess, "60 IN A 192.0.2.1"},
		{"alias.example.test", dns.TypeTXT, dns.RcodeSuccess, "CNAME www.example.test."},
		{"www.example.test", dns.TypeTXT, dns.RcodeSuccess, ""},
		{"b.example.test", dns.TypeTXT, dns.RcodeSuccess, ""}, // exists since a.b does
		{"c.example.test", dns.TypeTXT, dns.RcodeNameError, ""},
		{"other.test", dns.TypeTXT, dns.RcodeRefused, ""},
		{"example.test", dns.TypeAXFR, dns.RcodeRefused, ""},
	} {
		network := "udp"
		if c.kind == dns.TypeAXFR {
			network = "tcp"
		}
		m := s.query(t, 1, network, c.name, c.kind, 1232)
		var text []string
		for _, rr := range m.Answer {
			text = append(text, strings.ReplaceAll(rr.String(), "\t", " "))
		}
		all := strings.Join(text, "\n")
		if m.Rcode != c.rcode || m.Authoritative != (c.rcode != dns.RcodeRefused) || (c.answer == "") != (len(m.Answer) == 0) {
			t.Errorf("%s %s: got %v, want %s", c.name, dns.TypeToString[c.kind], m, dns.RcodeToString[c.rcode])
		}
		for part := range strings.SplitSeq(c.answer, "|") {
			if !strings.Contains(all, part) {
				t.Errorf("%s %s: got %s, want %s in it", c.name, dns.TypeToString[c.kind], all, part)
			}
		}
		if c.answer == "" && c.rcode != dns.RcodeRefused && (len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA) {
			t.Errorf("%s %s: got authority %v, want the SOA", c.name, dns.TypeToString[c.kind], m.Ns)
		}
	}
}

func TestDNS_EveryServerHasItsOwnTime(t *testing.T) {
	s := serve(t, cftest.Config{NameServers: []string{"one.test", "two.test", "three.test"}})
	s.names(t)
	s.Hold(1)
	s.create(t, "a", "text")
	for server, want := range []struct {
		records int
		serial  uint32
	}{{1, 2}, {0, 1}, {1, 2}} {
		m := s.query(t, server, "udp", "a.example.test", dns.TypeTXT, 0)
		soa, _ := s.query(t, server, "tcp", "example.test", dns.TypeSOA, 0).Answer[0].(*dns.SOA)
		if len(m.Answer) != want.records || soa == nil || soa.Serial != want.serial {
			t.Errorf("server %d: got %d records and %v, want %d and serial %d", server, len(m.Answer), soa, want.records, want.serial)
		}
	}
	if all := s.Servers(); len(all) != 3 || all[0].Host != "one.test" || all[0].Addr == all[1].Addr {
		t.Errorf("got servers %+v, want three with addresses of their own", all)
	}
}

func TestDNS_AnAddressInUseIsAnErrorAndNothingStays(t *testing.T) {
	a, b := serve(t, cftest.Config{}), serve(t, cftest.Config{})
	a.names(t)
	if _, err := b.ServeDNS(t.Context(), "127.0.0.1:0", a.Servers()[0].Addr); err == nil || !strings.Contains(err.Error(), "bob") {
		t.Errorf("got %v, want an error that names the server", err)
	}
}
