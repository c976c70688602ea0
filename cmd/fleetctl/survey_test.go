package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve"
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
func askedBy(t *testing.T, s *session, f servers, brief bool) (all []string, unfound []error) {
	t.Helper()
	sources, unfound, err := s.sources(t.Context(), f, brief)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		all = append(all, string(source.Role)+" "+source.Server.String())
	}
	return all, unfound
}

func TestSources_NameServersAreThoseThatTheZoneKnowsAndThoseThatResolversFind(t *testing.T) {
	resolver := resolvetest.Start(t, resolvetest.NewZone(
		"verify.test. 60 IN NS a.ns.test.", "verify.test. 60 IN NS lost.ns.test.", "a.ns.test. 60 IN A 192.0.2.53",
	).Recursive).Addr
	for what, c := range map[string]struct {
		kind    string
		ask     servers
		want    []string
		unfound int
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
			got, unfound := askedBy(t, s, c.ask, false)
			if !slices.Equal(got, c.want) || len(unfound) != c.unfound {
				t.Errorf("got %q, unfound %v; want %q and %d unfound", got, unfound, c.want, c.unfound)
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

// A name server that nobody could ask may serve anything.
func TestVerify_NameServersThatAreNotFoundAreUnknown(t *testing.T) {
	good := testZone(testValue(1), testValue(2))
	for what, more := range map[string][]string{
		"no name servers":         nil,
		"one without an address":  {"verify.test. 60 IN NS lost.ns.test."},
		"one whose address fails": {"verify.test. 60 IN NS fails.ns.test."},
	} {
		t.Run(what, func(t *testing.T) {
			resolver := resolvetest.Start(t, func(q *dns.Msg, by string) *dns.Msg {
				if strings.HasPrefix(q.Question[0].Name, "fails.") {
					return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
				}
				return append(resolvetest.NewZone(more...), good...).Recursive(q, by)
			}).Addr
			s, stderr := watchSession(t)
			s.zone = knownZone{s.zone, []string{resolvetest.Start(t, good.Authority).Addr}}
			s.spec.DNS.Zone = fleet.ZoneRFC2136
			ask := servers{resolvers: []string{resolver}}
			names, err := s.verifyNames(t.Context(), ask, 0)
			if code := exitCode(names.verdict()); err != nil || code != exitPartial || names.OK || len(names.Errors) != 1 || !strings.Contains(names.Errors[0], "a name server is unknown") {
				t.Errorf("dnsaddr verify: got exit %d, errors %q, %v; want 3 and that a name server is unknown", code, names.Errors, err)
			}
			all, err := s.verify(t.Context(), ask)
			if code := exitCode(all.verdict()); err != nil || code != exitPartial || all.OK {
				t.Errorf("verify: got exit %d, errors %q, %v; want 3", code, all.Errors, err)
			}
			w := watching{servers: ask, timeout: time.Minute, interval: time.Second}
			seen, err := s.watch(t.Context(), w)
			if code := exitCode(seen.verdict()); err != nil || code != exitPartial || seen.OK || seen.Waited > 30 {
				t.Errorf("dnsaddr watch: got exit %d after %v s, %v, %q; want 3 at once: nobody learns more by waiting", code, seen.Waited, err, stderr.String())
			}
		})
	}
}

// A primary that keeps to its secondaries is asked by no client.
func TestSurvey_PrimaryThatClientsDoNotKnowIsNoProblem(t *testing.T) {
	reading := func(name string, state resolve.State, primary bool) resolve.Reading {
		r := resolve.Reading{Source: resolve.Source{Name: name, Role: resolve.Authoritative, Primary: primary}, State: state}
		if state == resolve.Unknown {
			r.Err = errors.New("it answers REFUSED")
		}
		return r
	}
	primary := reading("primary", resolve.Unknown, true)
	for what, c := range map[string]struct {
		readings []resolve.Reading
		problems int
	}{
		"beside a name server":                 {[]resolve.Reading{primary, reading("ns", resolve.InSync, false)}, 0},
		"beside one that says nothing":         {[]resolve.Reading{primary, reading("ns", resolve.Unknown, false)}, 2},
		"alone":                                {[]resolve.Reading{primary}, 1},
		"name server, beside a hidden primary": {[]resolve.Reading{reading("primary", resolve.InSync, true), reading("ns", resolve.Unknown, false)}, 1},
	} {
		v := survey{readings: c.readings}
		if got := v.problems(); len(got) != c.problems {
			t.Errorf("%s: got problems %v, want %d", what, got, c.problems)
		}
		if notes := v.notes(); c.problems == 0 && len(notes) != 1 {
			t.Errorf("%s: got notes %q, want one of the primary", what, notes)
		}
	}
}

func TestSurvey_OfASilentServerTheHintSaysWhereAnotherIsNamed(t *testing.T) {
	for role, want := range map[resolve.Role]string{resolve.Resolver: "dns.resolvers", resolve.Authoritative: "--authority"} {
		v := survey{readings: []resolve.Reading{{Source: resolve.Source{Name: "ns", Role: role}, State: resolve.Unknown, Err: resolve.ErrNoAnswer}}}
		problems := v.problems()
		if err := errors.Join(problems...); !strings.Contains(fleet.Hint(err), want) || exitCode(err) != exitPartial {
			t.Errorf("%s: got %v, hint %q, want one that names %s", role, err, fleet.Hint(err), want)
		}
		if got := fleet.Hint(watchView{problems: problems}.verdict()); !strings.Contains(got, want) {
			t.Errorf("%s, watched: got hint %q, want one that names %s", role, got, want)
		}
	}
	behind := errors.New("resolve: ns lacks a record")
	if got := fleet.Hint(watchView{problems: []error{behind}}.verdict()); !strings.Contains(got, "wait as long as it says") {
		t.Errorf("behind, watched: got hint %q, want to wait", got)
	}
}

// Nothing was found out about a relay whose probe could not be made.
func TestVerify_ProbeThatCannotBeMadeIsUnknown(t *testing.T) {
	for fails, want := range map[string]int{"": exitOK, "/ip4/192.0.2.1/tcp/9100": exitPartial} {
		s, _ := testSession(t, namedProber{fails: fails})
		v, err := s.verify(t.Context(), servers{authorities: []string{resolvetest.Start(t, testZone(testValue(1), testValue(2)).Authority).Addr}})
		code := exitOK
		if err := v.verdict(); err != nil {
			code = exitCode(err)
		}
		if err != nil || code != want || v.OK != (want == exitOK) {
			t.Errorf("probe that fails %q: got exit %d, ok %v, %v; want %d", fails, code, v.OK, err, want)
		}
	}
}
