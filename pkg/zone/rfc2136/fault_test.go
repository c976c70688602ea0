package rfc2136_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

// faults are what can go wrong with an update.
func faults() map[string]rfctest.Fault {
	return map[string]rfctest.Fault{
		"refused":              {Rcode: dns.RcodeRefused},
		"server failure":       {Rcode: dns.RcodeServerFailure},
		"overtaken":            {Rcode: dns.RcodeNXRrset},
		"lost":                 {Lost: true},
		"made and not said":    {Unsaid: true},
		"made, not signed":     {Unsigned: true},
		"made, half an answer": {Truncated: true},
	}
}

// moved is a fleet of which every relay changes its address, with one more in a list.
func moved() (before, after []dnsaddr.Record) {
	for i := range 3 {
		before = append(before, relay(fmt.Sprintf("192.0.2.%d", i+1)))
		after = append(after, relay(fmt.Sprintf("198.51.100.%d", i+1)))
	}
	far := relay("198.51.100.9")
	far.Name = "_dnsaddr.nyc1.p2p.zone.test"
	return before, append(after, far)
}

// syncTo makes the records of the fleet demo those in want.
func syncTo(t *testing.T, z dnsaddr.Zone, want []dnsaddr.Record) error {
	t.Helper()
	return z.Apply(t.Context(), name, dnsaddr.Diff("demo", list(t, z), want))
}

// One write of an update and each fault at each of its messages.
func TestZone_FaultAtAnyWriteLeavesNoFewerRecordsAndTheNextRunFinishes(t *testing.T) {
	for what, fault := range faults() {
		for _, transfers := range []bool{true, false} {
			for at := 1; ; at++ {
				reached := true
				t.Run(fmt.Sprintf("%s at %d, transfers %t", what, at, transfers), func(t *testing.T) {
					reached = faultAt(t, fault, at, transfers)
				})
				if !reached || t.Failed() {
					break
				}
			}
		}
	}
}

// faultAt reports whether there was a message with that number.
func faultAt(t *testing.T, fault rfctest.Fault, at int, transfers bool) bool {
	s := rfctest.Start(t, apex)
	s.RefuseTransfers(!transfers)
	s.Put(t, name+`. 60 TXT "dnsaddr=/dnsaddr/friend.test"`)
	z := open(t, config(s))
	before, after := moved()
	if err := syncTo(t, z, before); err != nil {
		t.Fatalf("sync: %v", err)
	}
	start := len(s.History())
	s.Fail(func(n int) rfctest.Fault {
		if n == at {
			return fault
		}
		return rfctest.Fault{}
	})
	err := syncTo(t, z, after)
	reached := s.Updates() >= at
	if fault.Rcode == dns.RcodeRefused && reached && !errors.Is(err, dnsaddr.ErrAuth) {
		t.Errorf("got %v, want %v", err, dnsaddr.ErrAuth)
	}
	s.Fail(nil)
	if err := syncTo(t, z, after); err != nil {
		t.Fatalf("the next run: %v", err)
	}
	for i, moment := range s.History()[start:] {
		if n := len(moment[name]); n < len(before)+1 || !slices.Contains(moment[name], "dnsaddr=/dnsaddr/friend.test") {
			t.Errorf("after update %d: %d records, want at least %d and the friend's: %q", i+1, n, len(before)+1, moment[name])
		}
	}
	if c := dnsaddr.Diff("demo", list(t, z), after); !c.Empty() {
		t.Errorf("after the next run: got %v, want no changes", c)
	}
	if got := s.TXT(companion); len(got) != 4 { // three relays and a list
		t.Errorf("companion: got %q, want 4 records", got)
	}
	return reached
}

func TestZone_UpdateWithoutAnAnswerIsNotSentAgainIfItWasMade(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	s.Fail(func(n int) rfctest.Fault { return rfctest.Fault{Unsaid: n == 1} })
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	if n := s.Updates(); n != 1 {
		t.Errorf("got %d updates, want 1", n)
	}
	if got := list(t, z); len(got) != 1 || got[0].Value != relay("192.0.2.1").Value {
		t.Errorf("got %v, want the record", got)
	}
}

func TestZone_SecondConflictStops(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	s.Fail(func(n int) rfctest.Fault {
		s.Put(t, fmt.Sprintf(`%s. 60 TXT "dnsaddr=/dnsaddr/stranger%d.test"`, name, n))
		return rfctest.Fault{}
	})
	err := z.Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	if !errors.Is(err, rfc2136.ErrConflict) {
		t.Errorf("got %v, want %v", err, rfc2136.ErrConflict)
	}
	if got := s.TXT(name); s.Updates() != 2 || len(got) != 2 {
		t.Errorf("%d updates, records %q: want two refused ones, and the stranger's records alone", s.Updates(), got)
	}
}

func TestZone_UpdateThatTheServerOnlyClaimsToMakeRemovesNothing(t *testing.T) {
	s := rfctest.Start(t, apex)
	cfg := config(s)
	cfg.Waits.Visible = 1 // passes at once
	z := open(t, config(s))
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	s.Fail(func(int) rfctest.Fault { return rfctest.Fault{Ignored: true} })
	z = open(t, cfg)
	err := syncTo(t, z, []dnsaddr.Record{relay("192.0.2.2")})
	if err == nil {
		t.Error("got no error, want one")
	}
	if got := s.TXT(name); s.Updates() != 1 || len(got) != 1 {
		t.Errorf("%d updates, records %q: want one, and the old record", s.Updates(), got)
	}
}
