package rfc2136_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

// fleetOf is a large fleet as the layout publishes it.
func fleetOf(relays int) []dnsaddr.Record {
	var nodes []dnsaddr.Node
	for i := range relays {
		region := fmt.Sprintf("region%d", i%5)
		nodes = append(nodes, dnsaddr.Node{Name: fmt.Sprintf("%s-%d", region, i/5+1), Region: region, Number: i/5 + 1})
	}
	l := dnsaddr.NewLayout(domain, nodes, "")
	var out []dnsaddr.Record
	for i, n := range nodes {
		for _, at := range l.At(n.Name) {
			r := relay(fmt.Sprintf("192.0.%d.%d", i/250, i%250))
			r.Name, r.Comment = at, dnsaddr.Owner{Fleet: "demo", Relay: n.Name}.Comment()
			out = append(out, r)
		}
	}
	return out
}

func TestZone_ThousandRelaysAreAHandfulOfMessages(t *testing.T) {
	const most = 12
	for _, transfers := range []bool{true, false} {
		s := rfctest.Start(t, apex)
		s.RefuseTransfers(!transfers)
		z := open(t, config(s))
		want := fleetOf(1000)
		if err := syncTo(t, z, want); err != nil {
			t.Fatal(err)
		}
		if n := s.Updates(); n > most {
			t.Errorf("transfers %t: got %d updates, want at most %d", transfers, n, most)
		}
		if c := dnsaddr.Diff("demo", list(t, z), want); !c.Empty() {
			t.Errorf("transfers %t: second run: got %d changes, want none", transfers, len(c.Add)+len(c.Update)+len(c.Remove))
		}
		s.Fail(nil)
		if err := syncTo(t, z, want); err != nil || s.Updates() != 0 {
			t.Errorf("transfers %t: second run: got %d updates, %v; want none", transfers, s.Updates(), err)
		}
		if err := syncTo(t, z, nil); err != nil {
			t.Fatal(err)
		}
		for at := range s.History()[len(s.History())-1] {
			t.Errorf("transfers %t: left behind at %s: %q", transfers, at, s.TXT(at))
		}
	}
}

func TestZone_ListsAreFoundByQueries(t *testing.T) {
	s := rfctest.Start(t, apex)
	want := fleetOf(17)
	if err := syncTo(t, open(t, config(s)), want); err != nil {
		t.Fatal(err)
	}
	s.RefuseTransfers(true)
	if got := list(t, open(t, config(s))); len(got) != len(want) {
		t.Errorf("got %d records, want %d", len(got), len(want))
	}
}

func TestZone_CompanionNameThatIsTooLongIsRefused(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 59)+".", 4) + "test" // 244 bytes
	s := rfctest.Start(t, "test")
	cfg := config(s)
	cfg.Domain, cfg.Zone = long, "test"
	err := open(t, cfg).Apply(t.Context(), dnsaddr.Name(long), dnsaddr.Changes{Add: []dnsaddr.Record{{Value: "x", TTL: time.Minute, Comment: "c"}}})
	if !errors.Is(err, dnsaddr.ErrBadRecord) {
		t.Errorf("got %v, want %v", err, dnsaddr.ErrBadRecord)
	}
}
