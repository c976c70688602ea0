package main

import (
	"slices"
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
	seen, err := s.lookout().Sightings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range seen {
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
	for _, one := range seen {
		if a, err := dnsaddr.ParseValue(testValue(9)); err == nil && one.Addr == a && one.Left.Seconds() != 42 {
			t.Errorf("got %s left, want 42s", one.Left)
		}
	}
}
