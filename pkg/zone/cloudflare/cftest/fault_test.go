package cftest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestFault_HitsTheBatchBeforeOrAfterItsEffect(t *testing.T) {
	for _, c := range []struct {
		what    string
		how     cftest.How
		status  int // 0: no answer at all
		records int
	}{
		{"429 once", cftest.Busy, 429, 0},
		{"429 for five minutes", cftest.RateLimited, 429, 0},
		{"500 before", cftest.ErrorBefore, 500, 0},
		{"500 after", cftest.ErrorAfter, 500, 1},
		{"502 before", cftest.BadGatewayBefore, 502, 0},
		{"502 after", cftest.BadGatewayAfter, 502, 1},
		{"reset before", cftest.ResetBefore, 0, 0},
		{"reset after", cftest.ResetAfter, 0, 1},
		{"403", cftest.Unauthorised, 403, 0},
		{"half an answer", cftest.Garbled, 200, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := serve(t, cftest.Config{})
			s.Fail(cftest.Fault{Path: "/zones/{zone_id}/dns_records/batch", How: c.how})
			r := s.do(t, "POST", "/batch", `{"posts":[`+txt("a", "one", "")+`]}`)
			if r.status != c.status || r.body.Success {
				t.Errorf("got %d %s, want status %d and no success", r.status, r.raw, c.status)
			}
			if n := len(s.Records(cftest.DefaultZone)); n != c.records {
				t.Errorf("got %d records, want %d", n, c.records)
			}
			if c.status == 502 && !strings.HasPrefix(r.raw, "<html>") {
				t.Errorf("got %s, want HTML", r.raw)
			}
			if c.status == 429 && (r.code() != 10300 || r.header.Get("Retry-After") == "") {
				t.Errorf("got %s, Retry-After %s; want 10300", r.raw, r.header.Get("Retry-After"))
			}
			after := s.do(t, "GET", "", "")
			if want := 200; (after.status == want) == (c.how == cftest.RateLimited) {
				t.Errorf("the next request: got %d, want it refused only for five minutes", after.status)
			}
			s.Heal()
			s.want(t, "POST", "/batch", `{"posts":[`+txt("b", "two", "")+`]}`)
			if done := s.Requests(); len(done) != 3 || done[0].Status != c.status || !done[0].Write() || done[1].Write() {
				t.Errorf("got requests %+v, want the first to have ended with %d", done, c.status)
			}
		})
	}
}

func TestFault_HangsUntilTheClientGivesUp(t *testing.T) {
	for how, records := range map[cftest.How]int{cftest.HangBefore: 0, cftest.HangAfter: 1} {
		s := serve(t, cftest.Config{})
		s.Fail(cftest.Fault{Writes: true, How: how})
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", s.url+s.at(""), strings.NewReader(txt("a", "one", "")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+cftest.DefaultToken)
		req.Header.Set("Content-Type", "application/json")
		ended := make(chan error, 1)
		go func() {
			_, err := http.DefaultTransport.RoundTrip(req)
			ended <- err
		}()
		wait := time.NewTicker(time.Millisecond)
		for len(s.Requests()) == 0 {
			<-wait.C
		}
		wait.Stop()
		if n := len(s.Records(cftest.DefaultZone)); n != records {
			t.Errorf("got %d records, want %d", n, records)
		}
		cancel()
		if err := <-ended; err == nil {
			t.Error("got an answer, want none")
		}
	}
}

func TestFault_IsForTheRequestsThatItNames(t *testing.T) {
	s := serve(t, cftest.Config{})
	s.Fail(cftest.Fault{Writes: true, Nth: 2, Times: 2, How: cftest.ErrorBefore})
	s.Fail(cftest.Fault{Method: "GET", Path: cftest.BasePath + "/zones/*/dns_records/usage", Times: -1, How: cftest.BadGatewayBefore})
	for n, want := range []int{200, 500, 500, 200} {
		s.want(t, "GET", "", "")
		if r := s.do(t, "POST", "", txt("a", strings.Repeat("x", n+1), "")); r.status != want {
			t.Errorf("write %d: got %d, want %d", n+1, r.status, want)
		}
		if r := s.do(t, "GET", "/usage", ""); r.status != 502 {
			t.Errorf("usage: got %d, want 502", r.status)
		}
	}
	if got := s.Calls(); got["POST /zones/{zone_id}/dns_records"] != 4 || got["GET /zones/{zone_id}/dns_records/usage"] != 4 {
		t.Errorf("got calls %v, want four of each", got)
	}
	s.ResetCalls()
	if n := len(s.Calls()) + len(s.Requests()); n != 0 {
		t.Errorf("after a reset: got %d calls, want none", n)
	}
}

func TestAround_StandsBeforeAndAfterTheEffect(t *testing.T) {
	s := serve(t, cftest.Config{})
	records := func() int { return len(s.Records(cftest.DefaultZone)) }
	s.Around(func(n int, r *http.Request, commit func()) bool {
		before := records()
		if n == 1 {
			return false // the effect never comes
		}
		commit()
		if records() != before+1 {
			t.Errorf("request %d: got %d records after the commit, want %d", n, records(), before+1)
		}
		return n != 2
	})
	for n, want := range []struct{ status, records int }{{0, 0}, {0, 1}, {200, 2}} {
		r := s.do(t, "POST", "", txt("a", strings.Repeat("x", n+1), ""))
		if r.status != want.status || records() != want.records {
			t.Errorf("request %d: got %d and %d records, want %d and %d", n+1, r.status, records(), want.status, want.records)
		}
	}
	s.Around(nil)
	s.create(t, "a", "more")
}

func TestClose_TheCloudAnswersNoMore(t *testing.T) {
	s := serve(t, cftest.Config{})
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := s.do(t, "GET", "", ""); r.status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", r.status)
	}
}
