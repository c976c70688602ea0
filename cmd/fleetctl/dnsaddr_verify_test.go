package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

// peers of the relays below.
func testPeers() []string {
	return []string{"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", "12D3KooWJLVzPo9MmrW3uhhaFbXK7HRjHvHtB9pDDjPyUktkExv4", "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"}
}

// namedProber finds every address serving but those that it names.
type namedProber struct {
	verdicts map[string]fleet.Verdict // by the address without its peer ID
	fails    string                   // the address whose probe cannot be made
}

func (p namedProber) Probe(_ context.Context, a dnsaddr.Addr) (fleet.Probe, error) {
	if a.Dial() == p.fails {
		return fleet.Probe{}, errors.New("no host could be made")
	}
	out := fleet.Probe{Addr: a, Verdict: fleet.Serving}
	if v, ok := p.verdicts[a.Dial()]; ok {
		out.Verdict, out.Steps = v, []fleet.ProbeStep{{Name: "dial", Err: "connection refused"}}
	}
	return out, nil
}

const (
	testDomain = "p2p.verify.test"
	testEntry  = "_dnsaddr." + testDomain
)

// testValue is the record of the n-th relay.
func testValue(n int) string {
	return fmt.Sprintf("dnsaddr=/ip4/192.0.2.%d/tcp/9100/p2p/%s", n, testPeers()[n%len(testPeers())])
}

// testSession is a session on a fleet of two whose zone holds their records.
func testSession(t *testing.T, p fleet.Prober) (*session, *zonetest.Memory) {
	t.Helper()
	a, _, _ := testApp(t)
	spec := fleet.Spec{Name: "demo", Nodes: []fleet.NodeSpec{{Region: "nyc1", Count: 2}}}
	spec.DNS = fleet.DNSSpec{Zone: fleet.ZoneLocal, Domain: testDomain}
	zone := zonetest.NewMemory()
	for n := 1; n <= 2; n++ {
		owner := dnsaddr.Owner{Fleet: "demo", Relay: fmt.Sprintf("nyc1-%d", n)}
		zone.Put(testEntry, dnsaddr.Record{Name: testEntry, Value: testValue(n), TTL: time.Minute, Comment: owner.Comment()})
	}
	return &session{app: a, spec: spec, zone: zone, b: fleet.Backends{Zone: zone, Prober: p}}, zone
}

// testZone is what servers of it answer.
func testZone(values ...string) resolvetest.Zone {
	zone := resolvetest.NewZone(testDomain + ". 60 IN SOA ns." + testDomain + ". root." + testDomain + ". 7 1 1 1 1")
	return append(zone, resolvetest.Texts(testEntry, 42, values...)...)
}

func verifyWith(t *testing.T, p fleet.Prober, require int, authority, resolver resolvetest.Answerer) (namesView, int) {
	t.Helper()
	s, _ := testSession(t, p)
	var ask servers
	if authority != nil {
		ask.authorities = []string{resolvetest.Start(t, authority).Addr}
	}
	if resolver != nil {
		ask.resolvers = []string{resolvetest.Start(t, resolver).Addr}
	}
	v, err := s.verifyNames(t.Context(), ask, require)
	if err != nil {
		t.Fatalf("verifyNames: %v", err)
	}
	code := exitOK
	if err := v.verdict(); err != nil {
		code = exitCode(err)
	}
	if v.OK != (code == exitOK) {
		t.Errorf("ok is %v, and the exit code %d", v.OK, code)
	}
	return v, code
}

func TestDNSAddrVerify_EveryServerInSyncAndEveryRelayServing(t *testing.T) {
	good := testZone(testValue(1), testValue(2))
	v, code := verifyWith(t, namedProber{}, 2, good.Authority, good.Recursive)
	if code != exitOK || v.Verified != 2 || v.Records != 2 || len(v.Addresses) != 2 || v.DNSSEC != string(resolve.Unsigned) {
		t.Errorf("got exit %d, %+v; want 0, and two verified relays", code, v)
	}
	if len(v.Servers) != 3 || v.Servers[0].Serial == nil || *v.Servers[0].Serial != 7 || v.Servers[2].Transport != "tcp" {
		t.Errorf("got servers %+v, want the name server with serial 7, and the resolver by UDP and TCP", v.Servers)
	}
	if text, err := json.Marshal(v); err != nil || strings.Count(string(text), ":null") != 2 || strings.Count(string(text), `"serial":null`) != 2 {
		t.Errorf("got %s, error %v; want no list that is null, and the resolver's serial alone unknown", text, err)
	}
	if a := v.Addresses[0]; a.Node != "nyc1-1" || !a.Ours || len(a.Servers) != 3 {
		t.Errorf("got %+v, want the relay of nyc1-1, from three servers", a)
	}
}

func TestDNSAddrVerify_SaysWhichResolverServesWhichOldRecordAndForHowLong(t *testing.T) {
	good, stale := testZone(testValue(1), testValue(2)), testZone(testValue(1), testValue(9))
	v, code := verifyWith(t, namedProber{verdicts: map[string]fleet.Verdict{"/ip4/192.0.2.9/tcp/9100": fleet.Unreachable}}, 0, good.Authority, stale.Recursive)
	if code != exitUnverified || len(v.Errors) != 1 {
		t.Fatalf("got exit %d, errors %q; want 4 and one error of the resolver, not of each way to it", code, v.Errors)
	}
	for _, want := range []string{"resolve: 127.0.0.1:", "lacks " + testValue(2), "still serves " + testValue(9), "for 42s"} {
		if !strings.Contains(v.Errors[0], want) {
			t.Errorf("got error %q, want %q in it", v.Errors[0], want)
		}
	}
	old := v.Addresses[slices.IndexFunc(v.Addresses, func(r addressRow) bool { return r.Old })]
	if old.Ours || old.Verdict != fleet.Unreachable || !strings.Contains(strings.Join(v.Warnings, "\n"), "no longer in the zone") {
		t.Errorf("got %+v, warnings %q; want the old address dialed and told", old, v.Warnings)
	}
}

func TestDNSAddrVerify_NamesAddressStepAndResolver(t *testing.T) {
	good := testZone(testValue(1), testValue(2))
	p := namedProber{verdicts: map[string]fleet.Verdict{"/ip4/192.0.2.2/tcp/9100": fleet.Unreachable}}
	v, code := verifyWith(t, p, 0, good.Authority, nil)
	if code != exitUnverified || len(v.Errors) != 1 || !strings.HasPrefix(v.Errors[0], `nyc1-2: /ip4/192.0.2.2/tcp/9100: unreachable at step "dial": connection refused (resolved by 127.0.0.1:`) {
		t.Errorf("got exit %d, errors %q; want 4 with node, address, step and resolver", code, v.Errors)
	}
	if v, code := verifyWith(t, namedProber{}, 3, good.Authority, nil); code != exitUnverified || !strings.Contains(v.Errors[0], "2 relays are verified, 3 are required") {
		t.Errorf("--require 3: got exit %d, errors %q; want 4", code, v.Errors)
	}
}

func TestDNSAddrVerify_UnknownIsNotWrong(t *testing.T) {
	good := testZone(testValue(1), testValue(2))
	for what, c := range map[string]struct {
		p                   fleet.Prober
		authority, resolver resolvetest.Answerer
		code                int
		says                string
	}{
		"resolver fails":          {namedProber{}, good.Authority, resolvetest.Rcode(dns.RcodeServerFailure), exitPartial, "is unknown"},
		"name server fails":       {namedProber{}, resolvetest.Rcode(dns.RcodeServerFailure), good.Recursive, exitPartial, "is unknown"},
		"nobody to ask":           {namedProber{}, nil, nil, exitPartial, "no DNS server could be asked"},
		"no probe":                {namedProber{fails: "/ip4/192.0.2.1/tcp/9100"}, good.Authority, nil, exitPartial, "no host could be made"},
		"lame":                    {namedProber{}, resolvetest.Rcode(dns.RcodeRefused), nil, exitUnverified, "is lame"},
		"wrong signatures":        {namedProber{}, good.Authority, bogus(good), exitUnverified, "is bogus"},
		"unknown and wrong, both": {namedProber{}, testZone().Authority, resolvetest.Rcode(dns.RcodeServerFailure), exitUnverified, "lacks"},
	} {
		t.Run(what, func(t *testing.T) {
			v, code := verifyWith(t, c.p, 0, c.authority, c.resolver)
			if code != c.code || !strings.Contains(strings.Join(v.Errors, "\n"), c.says) {
				t.Errorf("got exit %d, errors %q; want %d and %q", code, v.Errors, c.code, c.says)
			}
		})
	}
}

// bogus is a resolver to which the zone's signatures are wrong.
func bogus(z resolvetest.Zone) resolvetest.Answerer {
	return func(q *dns.Msg, by string) *dns.Msg {
		if !q.CheckingDisabled {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		return z.Recursive(q, by)
	}
}

func TestDNSAddrVerify_AWayToAResolverThatIsClosedIsAWarning(t *testing.T) {
	good := testZone(testValue(1), testValue(2))
	noTCP := func(q *dns.Msg, by string) *dns.Msg {
		if by == "tcp" {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		return good.Recursive(q, by)
	}
	v, code := verifyWith(t, namedProber{}, 0, good.Authority, noTCP)
	if code != exitOK || len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "not available") {
		t.Errorf("got exit %d, errors %q, warnings %q; want 0 and a warning of TCP", code, v.Errors, v.Warnings)
	}
}

func TestDNSAddrVerify_PointersAreFollowedAndOthersRelaysDoNotCount(t *testing.T) {
	s, zone := testSession(t, namedProber{verdicts: map[string]fleet.Verdict{"/ip4/192.0.2.30/tcp/9100": fleet.Unreachable}})
	const pointer = "dnsaddr=/dnsaddr/friend.test"
	zone.Put(testEntry, dnsaddr.Record{Name: testEntry, Value: pointer, TTL: time.Minute, Comment: "a friend's"})
	all := append(testZone(testValue(1), testValue(2), pointer), resolvetest.Texts("_dnsaddr.friend.test", 42, testValue(30))...)
	v, err := s.verifyNames(t.Context(), servers{resolvers: []string{resolvetest.Start(t, all.Recursive).Addr}}, 0)
	if err != nil || !v.OK || v.Verified != 2 || len(v.Addresses) != 3 {
		t.Fatalf("got %+v, error %v; want ok, 2 verified and 3 addresses", v, err)
	}
	if !strings.Contains(strings.Join(v.Warnings, "\n"), "/ip4/192.0.2.30/tcp/9100, not ours: unreachable") {
		t.Errorf("got warnings %q, want one of the friend's relay", v.Warnings)
	}
}

func TestSources_PublicResolversAreForPublicZonesOnly(t *testing.T) {
	for _, c := range []struct {
		zone, domain, api string
		want              bool
	}{
		{fleet.ZoneCloudflare, "p2p.relayfleet.com", "", true},
		{fleet.ZoneRFC2136, "p2p.relayfleet.com", "", true},
		{fleet.ZoneLocal, "p2p.relayfleet.com", "", false},
		{fleet.ZoneCloudflare, "p2p.relayfleet.com", "http://127.0.0.1:1", false},
		{fleet.ZoneRFC2136, "p2p.fleet.test", "", false},
		{fleet.ZoneRFC2136, "fleet.internal", "", false},
	} {
		s, _ := testSession(t, namedProber{})
		s.spec.DNS.Zone, s.spec.DNS.Domain = c.zone, c.domain
		s.app.env = func(string) (string, bool) { return c.api, c.api != "" }
		if got := s.public(); got != c.want {
			t.Errorf("%s, %s, API %q: got %v, want %v", c.zone, c.domain, c.api, got, c.want)
		}
	}
	server, err := resolve.ParseServer(publicResolvers()[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := ways(server, true, false); len(got) != 4 {
		t.Errorf("got %v, want UDP, TCP, TLS and HTTPS", got)
	}
}

func TestSources_ABadServerIsNamedWithTheForms(t *testing.T) {
	s, _ := testSession(t, namedProber{})
	_, err := s.verifyNames(t.Context(), servers{resolvers: []string{"ftp://a"}}, 0)
	if !errors.Is(err, resolve.ErrBadServer) || !strings.Contains(fleet.Hint(err), "tls://") {
		t.Errorf("got error %v, hint %q; want ErrBadServer and the forms", err, fleet.Hint(err))
	}
}
