package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/probe"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

func TestColdStart_NamesTheNodesOfItsRelays(t *testing.T) {
	s, _ := testSession(t, namedProber{})
	first, second := parsedValue(t, testValue(1)).PeerID(), parsedValue(t, testValue(2)).PeerID()
	v := coldView{Tried: []coldTry{}}
	v.take(probe.Cold{
		Addresses: 3, Relays: []string{first, second}, Resolved: time.Millisecond, Connected: 2 * time.Millisecond, Reserved: 3 * time.Millisecond,
		PeerID: first, Agent: "bitterbot/1.0/management", Tried: []probe.Try{{PeerID: second, Step: "dial", Err: "refused"}, {PeerID: "stranger", Step: "dial", Err: "refused"}},
	}, nil)
	v.name(s.nodesByPeer(t.Context()))
	if !v.OK || v.verdict() != nil || v.Node != "nyc1-1" || v.Tier != "management" || *v.Reserved != 3 {
		t.Errorf("got %+v, want nyc1-1 of tier management after 3 ms", v)
	}
	if v.Tried[0].Node != "nyc1-2" || v.Tried[1].Node != "" {
		t.Errorf("got %+v, want nyc1-2 and a stranger", v.Tried)
	}
}

func TestColdStart_WithoutAReservationIsNotVerified(t *testing.T) {
	s, _ := testSession(t, namedProber{})
	v, err := s.coldStart(t.Context(), probe.New(probe.Config{}), resolvetest.Start(t, testZone().Recursive).Addr)
	if err != nil || v.OK || v.Resolved != nil || v.Connected != nil || exitCode(v.verdict()) != exitUnverified {
		t.Fatalf("got %+v, error %v; want a start that found no relay, exit 4", v, err)
	}
	var out bytes.Buffer
	if err := render.Write(&out, v, render.Options{Format: render.FormatJSON}); err != nil || !strings.Contains(out.String(), `"connected_ms": null`) || !strings.Contains(out.String(), `"tried": []`) {
		t.Errorf("got %s, error %v; want null for what was not reached", out.String(), err)
	}
	if _, err := s.coldStart(t.Context(), probe.New(probe.Config{}), "tls://192.0.2.1"); !errors.Is(err, resolve.ErrBadServer) {
		t.Errorf("got error %v, want ErrBadServer: a cold start asks by UDP and TCP", err)
	}
}

// A start asks whom verify asks, where this computer's own resolver may know nothing of
// the zone.
func TestColdStart_AsksTheResolversOfTheSpecOrTheZonesOwnServer(t *testing.T) {
	named, own := resolvetest.Start(t, testZone().Recursive).Addr, resolvetest.Start(t, testZone().Recursive).Addr
	failing := resolvetest.Start(t, resolvetest.Rcode(dns.RcodeServerFailure)).Addr
	for what, c := range map[string]struct {
		resolvers []string
		want      string
	}{
		"dns.resolvers":              {[]string{named, "192.0.2.1"}, named},
		"the first plain one":        {[]string{"https://192.0.2.1/dns-query", "tls://192.0.2.1", named}, named},
		"the next of one that fails": {[]string{failing, named}, named},
		"none":                       {nil, own},
		"none that is plain":         {[]string{"tls://192.0.2.1"}, own},
	} {
		s, zone := testSession(t, namedProber{})
		s.spec.DNS.Zone, s.spec.DNS.Resolvers = fleet.ZoneRFC2136, c.resolvers
		s.zone = servedZone{zone, own}
		v, err := s.coldStart(t.Context(), probe.New(probe.Config{}), "")
		if err != nil || v.Resolver != c.want {
			t.Errorf("%s: asked %q, error %v; want %q", what, v.Resolver, err, c.want)
		}
		if err := v.verdict(); !strings.Contains(fleet.Hint(err), "--resolver") {
			t.Errorf("%s: the hint %q does not name --resolver", what, fleet.Hint(err))
		}
	}
}

// servedZone is a zone that a name server answers for.
type servedZone struct {
	*zonetest.Memory
	server string
}

func (z servedZone) NameServers(context.Context) []string { return []string{z.server} }

func parsedValue(t *testing.T, value string) dnsaddr.Addr {
	t.Helper()
	a, err := dnsaddr.ParseValue(value)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
