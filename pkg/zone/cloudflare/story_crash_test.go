package cloudflare_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// errKilled ends a run as a crash does.
var errKilled = errors.New("killed")

// TestStory_ARunThatIsKilledAtAnyRequestIsFinishedByTheNext ends a replacement at its first
// request to the API, before or after its effect, at its second, and so on.
func TestStory_ARunThatIsKilledAtAnyRequestIsFinishedByTheNext(t *testing.T) {
	kills := 0
	for _, after := range []bool{false, true} {
		for nth, killed := 1, true; killed; nth++ {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				if _, err := s.Put(apex, cftest.Record{Name: entry, Content: stranger}); err != nil {
					t.Fatal(err)
				}
				s.begin()
				if killed = s.replaceUntil(nth, after); killed {
					kills++
				}
				if o, err := s.converge(s.up); err != nil || !o.Settled() {
					t.Errorf("killed at request %d, after its effect %v: the next run: got %v, %v, %v; want it to finish", nth, after, err, o.Failures, o.Plan.Deferred)
				}
				if got := s.result(0); got.left != 3 || got.fewest < 3 || got.strangers != 1 {
					t.Errorf("killed at request %d, after its effect %v: got %d relays, at some time %d, %d strangers; want never fewer than 3 and the stranger", nth, after, got.left, got.fewest, got.strangers)
				}
				s.wantSame(t)
			})
		}
	}
	t.Logf("%d kills", kills)
	if kills < 20 {
		t.Errorf("got %d kills, want one before and one after each of ten requests at least", kills)
	}
}

// replaceUntil replaces a relay and is killed at the nth request; false if it did not come
// to that.
func (s *stage) replaceUntil(nth int, after bool) (killed bool) {
	ctx, kill := context.WithCancelCause(s.t.Context())
	defer kill(nil)
	seen := 0
	s.Around(func(_ int, _ *http.Request, commit func()) bool {
		if seen++; seen != nth {
			return true
		}
		if after {
			commit()
		}
		kill(errKilled)
		return false
	})
	defer s.Around(nil)
	in := s.up
	for _, b := range s.world.Boxes() {
		if b.Machine.Node == "fra1-1" {
			in.Replace = []string{b.Machine.ID}
		}
	}
	st, err := fleet.Observe(ctx, s.b, s.spec)
	if err != nil {
		return seen >= nth
	}
	_, _ = fleet.Converge(ctx, s.b, s.spec, in, st, fleet.Diff(s.spec, st, in), nil) // how it ended is what the next run finds
	return seen >= nth
}

// TestStory_TwoRunsAtOnceRepairWhatSomebodyEdited has a record deleted, another's TTL and a
// third's comment edited by hand, and two operators who run sync at the same time.
func TestStory_TwoRunsAtOnceRepairWhatSomebodyEdited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		all := s.Cloud.Records(apex)
		s.Remove(apex, all[0].ID)
		all[1].TTL, all[2].Comment = time.Hour, ""
		if _, err := s.Put(apex, all[1], all[2], cftest.Record{Name: entry, Content: stranger}); err != nil {
			t.Fatal(err)
		}
		s.begin()
		other := *s
		other.b = s.world.Backends(s.rig.zone(nil))
		var wg sync.WaitGroup
		for _, run := range []*stage{s, &other} {
			wg.Go(func() { run.ours() }) // either may find the work of the other, and say so
		}
		wg.Wait()
		if exit := s.ours(); exit != 0 {
			t.Errorf("a run after both: got exit %d, want 0", exit)
		}
		if got := s.result(0); got.left != 3 || got.fewest < 2 || got.strangers != 1 {
			t.Errorf("got %+v, want three relays, never fewer than the two that were left, and the stranger", got)
		}
		for _, r := range s.Cloud.Records(apex) {
			if r.Value() != stranger && (r.TTL != s.spec.DNS.TTL || r.Comment == "") {
				t.Errorf("got %+v, want it repaired", r)
			}
		}
		s.wantSame(t)
	})
}
