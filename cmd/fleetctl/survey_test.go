package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

// knownZone is a zone whose adapter knows its name servers.
type knownZone struct {
	dnsaddr.Zone
	servers []string
}

func (z knownZone) NameServers(context.Context) []string { return z.servers }

func (z knownZone) Status(context.Context) dnsaddr.Status {
	return dnsaddr.Status{Server: z.servers[0]}
}

// askedBy lists the sources of a session, "authoritative 192.0.2.1:53".
func askedBy(t *testing.T, s *session, f servers, brief bool) (all []string, warnings []string) {
	t.Helper()
	sources, warnings, err := s.sources(t.Context(), f, brief)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		all = append(all, string(source.Role)+" "+source.Server.String())
	}
	return all, warnings
}

func TestSources_NameServersAreThoseThatTheZoneKnowsAndThoseThatResolversFind(t *testing.T) {
	resolver := resolvetest.Start(t, resolvetest.NewZone(
		"verify.test. 60 IN NS a.ns.test.", "verify.test. 60 IN NS lost.ns.test.", "a.ns.test. 60 IN A 192.0.2.53",
	).Recursive).Addr
	for what, c := range map[string]struct {
		kind     string
		ask      servers
		want     []string
		warnings int
	}{
		"local":                      {fleet.ZoneLocal, servers{}, []string{"authoritative 192.0.2.1:53", "authoritative 192.0.2.2:53"}, 0},
		"simulated":                  {fleet.ZoneCloudflare, servers{resolvers: []string{resolver}}, []string{"authoritative 192.0.2.1:53", "authoritative 192.0.2.2:53", "resolver " + resolver, "resolver tcp://" + resolver}, 0},
		"primary and its secondary":  {fleet.ZoneRFC2136, servers{resolvers: []string{"udp://" + resolver}}, []string{"authoritative 192.0.2.1:53", "authoritative 192.0.2.2:53", "authoritative 192.0.2.53:53", "resolver udp://" + resolver}, 1},
		"named":                      {fleet.ZoneRFC2136, servers{authorities: []string{"192.0.2.9"}}, []string{"authoritative 192.0.2.9:53"}, 0},
		"named by TLS, with the own": {fleet.ZoneLocal, servers{resolvers: []string{"tls://192.0.2.7"}}, []string{"authoritative 192.0.2.1:53", "authoritative 192.0.2.2:53", "resolver tls://192.0.2.7:853"}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			s, zone := testSession(t, namedProber{})
			s.zone, s.spec.DNS.Zone = knownZone{zone, []string{"192.0.2.1:53", "192.0.2.2:53"}}, c.kind
			got, warnings := askedBy(t, s, c.ask, false)
			if !slices.Equal(got, c.want) || len(warnings) != c.warnings {
				t.Errorf("got %q, warnings %q; want %q and %d warnings", got, warnings, c.want, c.warnings)
			}
		})
	}
}

func TestSources_ThoseOfTheSpecGiveWayToTheFlags(t *testing.T) {
	s, _ := testSession(t, namedProber{})
	s.spec.DNS.Resolvers = []string{"192.0.2.1", "192.0.2.2"}
	if got, _ := askedBy(t, s, servers{}, true); strings.Join(got, ",") != "resolver 192.0.2.1:53,resolver 192.0.2.2:53" {
		t.Errorf("got %q, want the two of the spec, in one way each", got)
	}
	if got, _ := askedBy(t, s, servers{resolvers: []string{"192.0.2.3"}}, true); strings.Join(got, ",") != "resolver 192.0.2.3:53" {
		t.Errorf("got %q, want the one of the flag alone", got)
	}
}
