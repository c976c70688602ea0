package dotest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestFault_HitsTheCreateBeforeOrAfterItsEffect(t *testing.T) {
	for _, c := range []struct {
		what     string
		how      dotest.How
		status   int // 0: no answer at all
		droplets int
	}{
		{"429 with retry-after", dotest.Busy, 429, 0},
		{"429 without", dotest.Exhausted, 429, 0},
		{"500 before", dotest.ErrorBefore, 500, 0},
		{"500 after", dotest.ErrorAfter, 500, 1},
		{"502 before", dotest.BadGatewayBefore, 502, 0},
		{"502 after", dotest.BadGatewayAfter, 502, 1},
		{"reset before", dotest.ResetBefore, 0, 0},
		{"reset after", dotest.ResetAfter, 0, 1},
		{"hang before", dotest.HangBefore, 0, 0},
		{"hang after", dotest.HangAfter, 0, 1},
		{"sold out", dotest.SoldOut, 422, 0},
		{"over the limit", dotest.OverLimit, 422, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := serve(t, dotest.Config{})
			s.Fail(dotest.Fault{Method: "POST", Path: "/v2/droplets", How: c.how})
			g := s.client(t, dotest.DefaultToken)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.how == dotest.HangBefore || c.how == dotest.HangAfter {
				go func() { // the client gives up when the request is there
					for s.Calls()["POST /v2/droplets"] == 0 || len(s.Requests()) == 0 {
						select {
						case <-time.After(time.Millisecond):
						case <-ctx.Done():
							return
						}
					}
					cancel()
				}()
			}
			_, resp, err := g.Droplets.Create(ctx, order("a"))
			if err == nil || status(err) != c.status {
				t.Errorf("got %v, want status %d", err, c.status)
			}
			if c.status == 429 && (resp.Header.Get("Retry-After") != "") != (c.how == dotest.Busy) {
				t.Errorf("got retry-after %q, want one: %v", resp.Header.Get("Retry-After"), c.how == dotest.Busy)
			}
			if n := len(s.Droplets(dotest.DefaultToken)); n != c.droplets {
				t.Errorf("got %d droplets, want %d", n, c.droplets)
			}
			create(t, g, order("b")) // the fault was for one request
			if done := s.Requests(); done[0].Status != c.status || done[1].Status != 202 {
				t.Errorf("got requests %+v, want them to have ended with %d and 202", done, c.status)
			}
		})
	}
}

func TestFault_LimitIsReachedAtTheThirdDroplet(t *testing.T) {
	s := serve(t, dotest.Config{})
	s.Fail(dotest.Fault{Method: "POST", Path: "/v2/droplets", Nth: 3, Times: -1, How: dotest.OverLimit})
	g := s.client(t, dotest.DefaultToken)
	create(t, g, order("a"))
	create(t, g, order("b"))
	for range 2 {
		_, _, err := g.Droplets.Create(t.Context(), order("c"))
		wantStatus(t, "third droplet", err, 422)
	}
	s.Heal()
	create(t, g, order("c"))
}

func TestFault_IsForTheRequestsThatItNames(t *testing.T) {
	s := serve(t, dotest.Config{})
	s.Fail(dotest.Fault{Method: "GET", Path: "/v2/droplets/{droplet_id}", Nth: 2, Times: 2, How: dotest.ErrorBefore})
	s.Fail(dotest.Fault{Path: "/v2/firewalls/*", Times: -1, How: dotest.BadGatewayBefore})
	g := s.client(t, dotest.DefaultToken)
	d := create(t, g, order("a"))
	for n, want := range []int{0, 500, 500, 0} {
		_, _, err := g.Droplets.Get(t.Context(), d.ID)
		if status(err) != want {
			t.Errorf("get %d: got %v, want %d", n+1, err, want)
		}
	}
	_, _, err := g.Firewalls.List(t.Context(), nil)
	wantStatus(t, "list, which the pattern does not match", err, 0)
	_, err = g.Firewalls.Delete(t.Context(), "c1f6a7a6-2b3f-4f0a-9d0c-000000000000")
	wantStatus(t, "delete, which it does", err, 502)
}

func TestFault_DropletsThatDoNotBehave(t *testing.T) {
	for _, c := range []struct {
		what   string
		how    dotest.How
		exists bool
		status string
		tags   int
	}{
		{"cannot be placed", dotest.Misplaced, false, "", 0},
		{"never active", dotest.NeverActive, true, "new", 1},
		{"never tagged", dotest.NeverTagged, true, "active", 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := serve(t, dotest.Config{})
			s.Fail(dotest.Fault{Method: "POST", Path: "/v2/droplets", How: c.how})
			g := s.client(t, dotest.DefaultToken)
			req := order("a")
			req.Tags = []string{"x"}
			made := create(t, g, req)
			for range 3 {
				d, _, err := g.Droplets.Get(t.Context(), made.ID)
				if !c.exists {
					wantStatus(t, "get", err, http.StatusNotFound)
					continue
				}
				if err != nil || d.Status != c.status || len(d.Tags) != c.tags {
					t.Errorf("got %s with %q, %v; want %s with %d tags", d.Status, d.Tags, err, c.status, c.tags)
				}
			}
		})
	}
}

func TestFault_TagOfANeverTaggedDropletCanBePutOnLater(t *testing.T) {
	s := serve(t, dotest.Config{})
	s.Fail(dotest.Fault{Method: "POST", Path: "/v2/droplets", How: dotest.NeverTagged})
	g := s.client(t, dotest.DefaultToken)
	req := order("a")
	req.Tags = []string{"x", "y"}
	made := create(t, g, req)
	if _, err := g.Tags.TagResources(t.Context(), "x", &godo.TagResourcesRequest{Resources: resource(made.ID)}); err != nil {
		t.Fatal(err)
	}
	if d, _, err := g.Droplets.Get(t.Context(), made.ID); err != nil || len(d.Tags) != 1 || d.Tags[0] != "x" {
		t.Errorf("got %q, %v; want x", d.Tags, err)
	}
}

func TestFault_DeletedDropletThatStays(t *testing.T) {
	s := serve(t, dotest.Config{})
	s.Fail(dotest.Fault{Method: "DELETE", Path: "/v2/droplets/{droplet_id}", How: dotest.NeverGone})
	g := s.client(t, dotest.DefaultToken)
	d := create(t, g, order("a"))
	if resp, err := g.Droplets.Delete(t.Context(), d.ID); err != nil || resp.StatusCode != 204 {
		t.Errorf("delete: got %v, want 204", err)
	}
	for range 5 {
		if d, _, err := g.Droplets.Get(t.Context(), d.ID); err != nil || d.Status != "active" {
			t.Errorf("got %v, %v; want it to live on", d, err)
		}
	}
	if _, err := g.Droplets.Delete(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err := g.Droplets.Get(t.Context(), d.ID)
	wantStatus(t, "get after the second delete", err, 404)
}

// errKilled ends a client as a crash does.
var errKilled = errors.New("killed")

func TestAround_EndsTheClientBeforeOrAfterTheEffectOfTheNthRequest(t *testing.T) {
	for _, effect := range []bool{false, true} {
		s := serve(t, dotest.Config{})
		ctx, kill := context.WithCancelCause(t.Context())
		s.Around(func(n int, _ *http.Request, commit func()) bool {
			if n != 2 {
				return true
			}
			if effect {
				commit()
			}
			kill(errKilled)
			return false
		})
		g := s.client(t, dotest.DefaultToken)
		create(t, g, order("a"))
		if _, _, err := g.Droplets.Create(ctx, order("b")); err == nil {
			t.Errorf("effect %v: got an answer, want none", effect)
		}
		want := 1
		if effect {
			want = 2
		}
		if n := len(s.Droplets(dotest.DefaultToken)); n != want {
			t.Errorf("effect %v: got %d droplets, want %d", effect, n, want)
		}
		s.Around(nil)
		create(t, g, order("c"))
	}
}

func TestClose_EndsRequestsThatHang(t *testing.T) {
	s := serve(t, dotest.Config{})
	s.Fail(dotest.Fault{How: dotest.HangBefore})
	ended := make(chan error, 1)
	g := s.client(t, dotest.DefaultToken)
	go func() {
		_, _, err := g.Account.Get(context.WithoutCancel(t.Context()))
		ended <- err
	}()
	for len(s.Requests()) == 0 {
		<-time.After(time.Millisecond)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("got an answer, want none")
	}
	_, _, err := g.Account.Get(t.Context())
	wantStatus(t, "request to a closed cloud", err, http.StatusServiceUnavailable)
}
