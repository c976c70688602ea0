package resolve_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

const (
	listName = "_dnsaddr.nyc1.p2p.resolve.test"
	soa      = "resolve.test. 60 IN SOA ns.resolve.test. root.resolve.test. 42 1 1 1 5"
	rrsig    = name + ". 60 IN RRSIG TXT 13 4 60 20300101000000 20200101000000 1 resolve.test. AAAA"
)

// want is two records at the entry name and one in a list.
func want() resolve.Wanted {
	return resolve.WantedOf(name, []dnsaddr.Record{
		{Name: name, Value: value(2)}, {Name: name, Value: value(1)}, {Name: strings.ToUpper(listName), Value: value(1)},
	})
}

// current is a zone that holds it.
func current(more ...string) resolvetest.Zone {
	zone := append(resolvetest.Texts(name, 60, value(1), value(2)), resolvetest.Texts(listName, 60, value(1))...)
	return append(append(zone, resolvetest.NewZone(soa)...), resolvetest.NewZone(more...)...)
}

// survey asks one server, by UDP and TCP.
func survey(t *testing.T, role resolve.Role, answer resolvetest.Answerer) resolve.Reading {
	t.Helper()
	s := resolvetest.Start(t, answer)
	return client(s).Survey(t.Context(), []resolve.Source{{Name: "one", Role: role, Server: server(t, s.Addr)}}, want())[0]
}

func TestSurvey_ServerThatServesTheSetIsInSync(t *testing.T) {
	for _, role := range []resolve.Role{resolve.Authoritative, resolve.Resolver} {
		answer := current().Authority
		if role == resolve.Resolver {
			answer = current().Recursive
		}
		r := survey(t, role, answer)
		if r.State != resolve.InSync || r.Err != nil || len(r.Answers) != 2 || len(r.Found) != 3 || r.DNSSEC != resolve.Unsigned {
			t.Errorf("%s: got %s, error %v, %d answers, %d addresses, %s; want in sync, 2, 3, unsigned", role, r.State, r.Err, len(r.Answers), len(r.Found), r.DNSSEC)
		}
		if (r.Serial != nil) != (role == resolve.Authoritative) || r.Serial != nil && *r.Serial != 42 {
			t.Errorf("%s: got serial %v, want 42 of the name server alone", role, r.Serial)
		}
	}
}

func TestSurvey_StaleResolverIsNamedWithWhatItServesAndForHowLong(t *testing.T) {
	stale := append(resolvetest.Texts(name, 17, value(1), value(9)), resolvetest.NewZone(soa)...)
	r := survey(t, resolve.Resolver, func(q *dns.Msg, by string) *dns.Msg {
		m := stale.Recursive(q, by)
		if len(m.Answer) == 0 {
			m.Ns = resolvetest.NewZone(soa)
		}
		return m
	})
	if r.State != resolve.Behind || r.Err != nil {
		t.Fatalf("got %s, error %v; want behind", r.State, r.Err)
	}
	if want := []resolve.Difference{{name, value(9), 17 * time.Second}}; !slices.Equal(r.Old, want) {
		t.Errorf("old: got %v, want %v", r.Old, want)
	}
	if want := []resolve.Difference{{name, value(2), 17 * time.Second}, {listName, value(1), 5 * time.Second}}; !slices.Equal(r.Missing, want) {
		t.Errorf("missing: got %v, want %v: as long as the set is kept, or that there is none", r.Missing, want)
	}
}

func TestSurvey_TellsWhatDoesNotSpeakFromWhatDoesNotAnswer(t *testing.T) {
	unsigned := func(q *dns.Msg, by string) *dns.Msg { // a resolver to which the signatures are wrong
		if !q.CheckingDisabled {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		return current().Recursive(q, by)
	}
	for what, test := range map[string]struct {
		role   resolve.Role
		answer resolvetest.Answerer
		want   resolve.State
		says   string
	}{
		"lame, refuses":       {resolve.Authoritative, resolvetest.Rcode(dns.RcodeRefused), resolve.Lame, "REFUSED"},
		"lame, from a cache":  {resolve.Authoritative, current().Recursive, resolve.Lame, "does not speak for the zone"},
		"server failure":      {resolve.Authoritative, resolvetest.Rcode(dns.RcodeServerFailure), resolve.Unknown, "SERVFAIL"},
		"resolver fails":      {resolve.Resolver, resolvetest.Rcode(dns.RcodeServerFailure), resolve.Unknown, "SERVFAIL"},
		"resolver refuses":    {resolve.Resolver, resolvetest.Rcode(dns.RcodeRefused), resolve.Unknown, "REFUSED"},
		"bogus":               {resolve.Resolver, unsigned, resolve.Bogus, "signatures"},
		"list does not come":  {resolve.Resolver, failingAt(listName), resolve.Unknown, listName},
		"entry does not come": {resolve.Authoritative, failingAt(name), resolve.Unknown, name},
	} {
		t.Run(what, func(t *testing.T) {
			r := survey(t, test.role, test.answer)
			if r.State != test.want || r.Err == nil || !strings.Contains(r.Err.Error(), test.says) {
				t.Errorf("got %s, error %v; want %s and %q", r.State, r.Err, test.want, test.says)
			}
		})
	}
}

func TestSurvey_PrimaryThatKeepsToItsSecondariesIsUnknown(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Rcode(dns.RcodeRefused))
	source := resolve.Source{Name: "one", Role: resolve.Authoritative, Server: server(t, s.Addr), Primary: true}
	r := client(s).Survey(t.Context(), []resolve.Source{source}, want())[0]
	if r.State != resolve.Unknown || r.Err == nil || !strings.Contains(r.Err.Error(), "REFUSED") {
		t.Errorf("got %s, error %v; want unknown and REFUSED", r.State, r.Err)
	}
}

// failingAt answers SERVFAIL for one name.
func failingAt(name string) resolvetest.Answerer {
	return func(q *dns.Msg, by string) *dns.Msg {
		if strings.EqualFold(q.Question[0].Name, name+".") {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		return current().Authority(q, by)
	}
}

func TestSurvey_SilentServerIsUnknownAndAskedForOneNameOnly(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Silent)
	c := &resolve.Client{Packet: 20 * time.Millisecond}
	r := c.Survey(t.Context(), []resolve.Source{{Name: "one", Role: resolve.Resolver, Server: server(t, s.Addr)}}, want())[0]
	if r.State != resolve.Unknown || r.Err == nil || len(s.Asked()) > 3 {
		t.Errorf("got %s, error %v after %q; want unknown after three packets at most", r.State, r.Err, s.Asked())
	}
}

func TestSurvey_DoesNotTakeAWordForSignatures(t *testing.T) {
	for what, test := range map[string]struct {
		answer resolvetest.Answerer
		want   resolve.DNSSEC
	}{
		"signed and checked":     {resolvetest.ClaimingAD(current(rrsig).Recursive), resolve.Secure},
		"signed":                 {current(rrsig).Recursive, resolve.Signed},
		"neither":                {current().Recursive, resolve.Unsigned},
		"checked what is not so": {resolvetest.ClaimingAD(current().Recursive), resolve.Claimed},
	} {
		if r := survey(t, resolve.Resolver, test.answer); r.DNSSEC != test.want || r.State != resolve.InSync {
			t.Errorf("%s: got %s, %s; want %s", what, r.DNSSEC, r.State, test.want)
		}
	}
}

func TestSurvey_AsksEverySourceInItsOwnWay(t *testing.T) {
	s := resolvetest.Start(t, resolvetest.Only("udp", current().Recursive))
	c := &resolve.Client{Packet: 10 * time.Second, Stream: 100 * time.Millisecond, RootCAs: s.RootCAs}
	var sources []resolve.Source
	for _, text := range []string{s.Addr, "tcp://" + s.Addr, "tls://" + s.TLS, s.URL} {
		sources = append(sources, resolve.Source{Name: "one", Role: resolve.Resolver, Server: server(t, text)})
	}
	var states []string
	for i, r := range c.Survey(t.Context(), sources, want()) {
		states = append(states, string(r.State))
		if r.Source != sources[i] {
			t.Errorf("reading %d is of %v, want %v", i, r.Source, sources[i])
		}
	}
	if want := []string{"in sync", "unknown", "unknown", "unknown"}; !slices.Equal(states, want) {
		t.Errorf("got %q, want %q", states, want)
	}
}

func TestSurvey_OfManyNamesFindsPointersOnce(t *testing.T) {
	zone := current()
	zone = append(zone, resolvetest.Texts(name, 60, "dnsaddr=/dnsaddr/friend.resolve.test")...)
	zone = append(zone, resolvetest.Texts("_dnsaddr.friend.resolve.test", 60, value(7))...)
	r := survey(t, resolve.Resolver, zone.Recursive)
	var found []string
	for _, f := range r.Found {
		found = append(found, fmt.Sprintf("%s %d", f.Record.Value, f.Depth))
	}
	if !slices.Contains(found, value(7)+" 1") || len(found) != 4 {
		t.Errorf("got %q, want the friend's relay by a pointer and our three", found)
	}
	if len(r.Old) != 1 || !strings.Contains(r.Old[0].Value, "/dnsaddr/friend") {
		t.Errorf("got %v, want the pointer, which the zone does not hold", r.Old)
	}
}

func TestDifference_TextOfAnyLengthIsCutForPeople(t *testing.T) {
	d := resolve.Difference{Name: name, Value: strings.Repeat("x", 65000)}
	if got := d.String(); len(got) > 400 || !strings.HasSuffix(got, "… at "+name) {
		t.Errorf("got %d bytes, want a beginning and the name", len(got))
	}
}
