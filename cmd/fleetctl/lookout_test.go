package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

func TestLookout_IsWhatClientsAreGivenAndNotWhatTheZoneHolds(t *testing.T) {
	s, zone := testSession(t, namedProber{})
	if s.lookout() != nil {
		t.Error("a local zone: got a lookout, want none: it is the only server")
	}
	behind := resolvetest.Start(t, testZone(testValue(1), testValue(9), "dnsaddr=/dnsaddr/friend.test").Recursive)
	current := resolvetest.Start(t, testZone(testValue(1), testValue(2)).Authority)
	silent := resolvetest.Start(t, resolvetest.Rcode(2)).Addr
	s.spec.DNS.Zone, s.spec.DNS.Resolvers = fleet.ZoneRFC2136, []string{behind.Addr, silent}
	s.zone = knownZone{zone, []string{current.Addr}}
	look, err := s.lookout().Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range look.Seen {
		got = append(got, one.Addr.Value()+" by "+one.Server)
	}
	want := []string{
		testValue(1) + " by " + behind.Addr, testValue(1) + " by " + current.Addr, testValue(2) + " by " + current.Addr, testValue(9) + " by " + behind.Addr,
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if look.Heard != 2 || len(look.Unheard) == 0 || !strings.Contains(look.Unheard[0].Error(), silent) {
		t.Errorf("got %d heard, not heard %v; want 2, and %s", look.Heard, look.Unheard, silent)
	}
	for _, one := range look.Seen {
		if a, err := dnsaddr.ParseValue(testValue(9)); err == nil && one.Addr == a && one.Left.Seconds() != 42 {
			t.Errorf("got %s left, want 42s", one.Left)
		}
	}
}

func TestLookout_WhereNobodyAnswersItSaysSo(t *testing.T) {
	s, zone := testSession(t, namedProber{})
	primary, resolver := resolvetest.Start(t, resolvetest.Rcode(5)).Addr, resolvetest.Start(t, resolvetest.Rcode(2)).Addr
	s.spec.DNS.Zone, s.spec.DNS.Resolvers = fleet.ZoneRFC2136, []string{resolver}
	s.zone = knownZone{zone, []string{primary}}
	look, err := s.lookout().Look(t.Context())
	if err != nil || look.Heard != 0 || len(look.Seen) != 0 {
		t.Fatalf("got %+v, %v; want nothing heard and nothing seen", look, err)
	}
	text := errors.Join(look.Unheard...).Error()
	for _, server := range []string{primary, resolver, "tcp://" + resolver} {
		if !strings.Contains(text, server) {
			t.Errorf("got %q, want %s named: it was asked", text, server)
		}
	}
}
