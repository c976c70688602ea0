package cftest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func (s *served) wantSeen(t *testing.T, server int, want ...string) {
	t.Helper()
	if got := s.Resolve(server, "a.example.test"); !slices.Equal(got, want) {
		t.Errorf("server %d: got %q, want %q", server, got, want)
	}
}

func TestEdge_ABatchIsSeenRecordByRecordWhereItIsHeld(t *testing.T) {
	s := serve(t, cftest.Config{})
	old := s.create(t, "a", "old")
	s.Hold(0)
	s.want(t, "POST", "/batch", `{"deletes":[{"id":"`+old.ID+`"}],"posts":[`+txt("a", "new", "")+`]}`)
	s.wantSeen(t, 0, "old")
	s.wantSeen(t, 1, "new")
	waiting := s.Waiting(0)
	if len(waiting) != 2 || !waiting[0].Gone || waiting[1].Record.Content != "new" {
		t.Fatalf("got %+v, want the delete and the post", waiting)
	}
	if n := s.Propagate(0, old.ID); n != 1 {
		t.Errorf("got %d propagated, want 1", n)
	}
	s.wantSeen(t, 0) // the hole that a replacement in one batch may leave
	if n := s.Propagate(0); n != 1 || len(s.Waiting(0)) != 0 {
		t.Errorf("got %d propagated and %d waiting, want 1 and none", n, len(s.Waiting(0)))
	}
	s.wantSeen(t, 0, "new")
	var moments [][]string
	for _, m := range s.History(0) {
		moments = append(moments, m.Values)
	}
	if want := [][]string{{"old"}, {}, {"new"}}; !slices.EqualFunc(moments, want, slices.Equal[[]string]) {
		t.Errorf("got moments %q, want %q", moments, want)
	}
	s.create(t, "a", "newer")
	s.wantSeen(t, 0, "new")
	s.Release(0)
	s.wantSeen(t, 0, "new", "newer")
	s.create(t, "a", "newest")
	s.wantSeen(t, 0, "new", "newer", "newest")
}

func TestEdge_ChangesComeWhenTheyAreDueButNotBeforeEarlierOnesOfTheirRecord(t *testing.T) {
	now := newClock()
	s := serve(t, cftest.Config{Now: now.Now})
	s.Delay(1, func(c cftest.Change) time.Duration {
		return map[string]time.Duration{"slow": time.Minute, "fast": time.Second, "slower": 2 * time.Minute}[c.Record.Content]
	})
	first := s.create(t, "a", "slow")
	s.create(t, "a", "fast")
	s.want(t, "PATCH", "/"+first.ID, `{"content":"quick"}`) // no delay of its own
	s.wantSeen(t, 0, "fast", "quick")
	s.wantSeen(t, 1)
	now.add(time.Second)
	s.wantSeen(t, 1, "fast")
	now.add(58 * time.Second)
	s.wantSeen(t, 1, "fast")
	now.add(time.Second)
	s.wantSeen(t, 1, "fast", "quick")
	s.create(t, "a", "slower")
	s.Delay(1, nil)
	s.create(t, "a", "at once")
	s.wantSeen(t, 1, "at once", "fast", "quick")
	if n := s.Propagate(1); n != 1 {
		t.Errorf("got %d propagated, want 1", n)
	}
	s.wantSeen(t, 1, "at once", "fast", "quick", "slower")
}

func TestEdge_ARecordThatMovesLeavesItsName(t *testing.T) {
	s := serve(t, cftest.Config{})
	made := s.create(t, "a", "text")
	s.want(t, "PATCH", "/"+made.ID, `{"name":"b"}`)
	s.wantSeen(t, 0)
	if got := s.Resolve(0, "b.example.test"); !slices.Equal(got, []string{"text"}) {
		t.Errorf("got %q, want the text", got)
	}
	if h := s.History(0); len(h) != 3 {
		t.Errorf("got %d moments, want one of the create and two of the move", len(h))
	}
}

func TestEdge_AnActiveZoneHidesThePendingOneOfItsName(t *testing.T) {
	s := serve(t, cftest.Config{Zones: []cftest.Zone{{Name: "two.test", Pending: true}, {Name: "two.test"}, {Name: "one.test", Pending: true}}})
	for _, z := range []string{"two.test", "one.test"} { // by name: the pending ones
		if _, err := s.Put(z, cftest.Record{Name: z, Content: "pending"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Resolve(0, "two.test"); len(got) != 0 {
		t.Errorf("got %q of the pending zone beside an active one, want nothing", got)
	}
	if got := s.Resolve(0, "one.test"); len(got) != 1 {
		t.Errorf("got %q of a pending zone, want its record", got)
	}
}
