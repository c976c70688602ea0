package cftest_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestBatch_DeletesPatchesPutsAndPostsInThatOrder(t *testing.T) {
	s := serve(t, cftest.Config{})
	one, two, three := s.create(t, "a", "one"), s.create(t, "a", "two"), s.create(t, "a", "three")
	// Each operation would be refused if the one before it were not done: by 81058.
	r := s.want(t, "POST", "/batch", fmt.Sprintf(`{"posts":[%s],"puts":[{"id":"%s",%s],"patches":[{"id":"%s","content":"one"}],"deletes":[{"id":"%s"}]}`,
		txt("a", "three", ""), three.ID, txt("a", "two", "")[1:], two.ID, one.ID))
	got := decode[map[string][]record](t, r)
	for list, want := range map[string]string{"deletes": "one", "patches": "one", "puts": "two", "posts": "three"} {
		if len(got[list]) != 1 || got[list][0].Content != want {
			t.Errorf("%s: got %+v, want %s", list, got[list], want)
		}
	}
	if n := len(s.Records(cftest.DefaultZone)); n != 3 {
		t.Errorf("got %d records, want 3", n)
	}
}

func TestBatch_IsDoneWholeOrNotAtAll(t *testing.T) {
	s := serve(t, cftest.Config{})
	a := s.create(t, "a", "one")
	gone := s.create(t, "a", "gone")
	s.want(t, "DELETE", "/"+gone.ID, "")
	before := s.Resolve(0, "a.example.test")
	for what, c := range map[string]struct {
		body string
		code int
	}{
		"delete of what is gone": {`{"deletes":[{"id":"` + a.ID + `"},{"id":"` + gone.ID + `"}]}`, 81044},
		"patch of what is gone":  {`{"deletes":[{"id":"` + a.ID + `"}],"patches":[{"id":"` + gone.ID + `","ttl":60}]}`, 81044},
		"twin at the end":        {`{"posts":[` + txt("a", "two", "") + `,` + txt("a", "one", "") + `]}`, 81058},
	} {
		if r := s.do(t, "POST", "/batch", c.body); r.code() != c.code {
			t.Errorf("%s: got %d %s, want %d", what, r.status, r.raw, c.code)
		}
		if got := s.Resolve(0, "a.example.test"); len(got) != 1 || got[0] != before[0] {
			t.Errorf("%s: got %q, want %q as before", what, got, before)
		}
	}
}

func TestBatch_AnswersAsTheConfigurationSays(t *testing.T) {
	s := serve(t, cftest.Config{BatchStatus: 409, NullLists: true})
	if r := s.do(t, "POST", "/batch", `{"deletes":[{"id":"0123456789abcdef0123456789abcdef"}]}`); r.status != 409 || r.code() != 81044 {
		t.Errorf("got %d %s, want 409 with 81044", r.status, r.raw)
	}
	r := s.want(t, "POST", "/batch", `{"posts":[`+txt("a", "one", "")+`]}`)
	if got := decode[map[string][]record](t, r); len(got["posts"]) != 1 || got["deletes"] != nil {
		t.Errorf("got %s, want null deletes", r.raw)
	}
}

// TestBatch_OfTwoWritersOneIsRefused is what a client can build a compare-and-swap on.
func TestBatch_OfTwoWritersOneIsRefused(t *testing.T) {
	s := serve(t, cftest.Config{})
	old := s.create(t, "a", "old")
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for n := range 8 {
		wg.Go(func() {
			r := s.do(t, "POST", "/batch", fmt.Sprintf(`{"deletes":[{"id":"%s"}],"posts":[%s]}`, old.ID, txt("a", fmt.Sprint(n), "")))
			s.Records(cftest.DefaultZone)
			s.Resolve(1, "a.example.test")
			s.Calls()
			mu.Lock()
			defer mu.Unlock()
			codes[r.code()]++
		})
	}
	wg.Wait()
	if codes[0] != 1 || codes[81044] != 7 {
		t.Errorf("got codes %v, want one success and seven times 81044", codes)
	}
	if n := len(s.Records(cftest.DefaultZone)); n != 1 {
		t.Errorf("got %d records, want 1", n)
	}
}
