package cloudflare_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// replace replaces the machine of one node, as fleetctl replace-region does.
func (s *stage) replace(node string) (fleet.Outcome, error) {
	in := s.up
	for _, b := range s.world.Boxes() {
		if b.Machine.Node == node && b.Machine.Phase == fleet.PhaseActive {
			in.Replace = append(in.Replace, b.Machine.ID)
		}
	}
	return s.converge(in)
}

// TestStory_AFaultAtEveryWriteInTurnLeavesNeverFewerThanBefore replaces a relay with each
// fault at the first write, at the second, and so on until none is left to hit, over name
// servers that learn of every change in their own time. The next run finishes.
func TestStory_AFaultAtEveryWriteInTurnLeavesNeverFewerThanBefore(t *testing.T) {
	tried := 0
	for _, c := range []struct {
		what string
		how  cftest.How
	}{
		{"429 for five minutes", cftest.RateLimited},
		{"500 before", cftest.ErrorBefore},
		{"500 after", cftest.ErrorAfter},
		{"502 of a proxy after", cftest.BadGatewayAfter},
		{"reset before", cftest.ResetBefore},
		{"reset after", cftest.ResetAfter},
		{"half an answer", cftest.Garbled},
	} {
		for nth, hit := 1, true; hit; nth++ {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.Delay(1, func(ch cftest.Change) time.Duration {
					if ch.Gone {
						return time.Second // what is deleted is gone long before what is added is there
					}
					return 50 * time.Second
				})
				if _, err := s.Put(apex, cftest.Record{Name: entry, Content: stranger}); err != nil {
					t.Fatal(err)
				}
				s.begin()
				s.Fail(cftest.Fault{Writes: true, Nth: nth, How: c.how})
				_, err := s.replace("nyc1-1")
				hit = s.wrote() >= nth
				if hit {
					tried++
				}
				time.Sleep(6 * time.Minute) // in the bubble: a rate that was used up is free again
				s.Heal()
				if o, again := s.converge(s.up); again != nil || !o.Settled() {
					t.Errorf("%s at write %d: the next run: got %v, %v, %v; want it to finish", c.what, nth, again, o.Failures, o.Plan.Deferred)
				}
				time.Sleep(time.Minute) // in the bubble: the last name server has heard of it
				if got := s.result(0); got.left != 3 || got.fewest < 3 || got.strangers != 1 {
					t.Errorf("%s at write %d: first run %v: got %d relays, at some time %d, %d strangers; want never fewer than 3 and the stranger", c.what, nth, err, got.left, got.fewest, got.strangers)
				}
				s.wantSame(t)
			})
		}
	}
	t.Logf("%d faults tried", tried)
	if tried < 14 {
		t.Errorf("got %d faults tried, want every one at two writes at least", tried)
	}
}

// wantSame checks that every name server answers with what is in the zone, and that this
// is the relays that run.
func (s *stage) wantSame(t *testing.T) {
	t.Helper()
	for i := range s.Servers() {
		if got := relays(s.Resolve(i, entry)); len(got) != 3 {
			t.Errorf("name server %d: got %q, want three relays", i, got)
		}
	}
	in := s.up
	s.ResetCalls()
	if o, err := s.converge(in); err != nil || !o.Settled() || s.wrote() != 0 {
		t.Errorf("one run more: got %v and %d writes, want none", err, s.wrote())
	}
}
