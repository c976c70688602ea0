package cftest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// TestRate_Beyond1200EverythingIsRefusedForFiveMinutes asserts the numbers that the
// comments name.
func TestRate_Beyond1200EverythingIsRefusedForFiveMinutes(t *testing.T) {
	now := newClock()
	s := serve(t, cftest.Config{
		Now: now.Now, Limits: cftest.Limits{PerSecond: -1},
		Tokens: []cftest.Token{{Value: "busy"}, {Value: "other"}},
	})
	ask := func(token string) *http.Response {
		r := s.send(t, token, "GET", "/user/tokens/verify", "")
		return &http.Response{StatusCode: r.status, Header: r.header}
	}
	first := ask("busy")
	if got := first.Header.Get("Ratelimit"); got != `"default";r=1199;t=300` {
		t.Errorf("got %s, want 1199 left, for 300 seconds", got)
	}
	if got := first.Header.Get("Ratelimit-Policy"); got != `"default";q=1200;w=300` {
		t.Errorf("got %s, want 1200 in 300 seconds", got)
	}
	if first.Header.Get("Cf-Ray") == "" || first.Header.Get("Retry-After") != "" {
		t.Errorf("got headers %v, want a ray and no Retry-After", first.Header)
	}
	for range 1199 {
		if r := ask("busy"); r.StatusCode != http.StatusOK {
			t.Fatalf("got %d within the limit, want 200", r.StatusCode)
		}
	}
	if r := ask("busy"); r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "300" {
		t.Errorf("got %d, Retry-After %s; want 429 and 300", r.StatusCode, r.Header.Get("Retry-After"))
	}
	if r := ask("other"); r.StatusCode != http.StatusOK {
		t.Errorf("another token: got %d, want 200", r.StatusCode)
	}
	now.add(299 * time.Second)
	if r := ask("busy"); r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "1" || r.Header.Get("Ratelimit") != `"default";r=0;t=1` {
		t.Errorf("got %d with %v; want 429 for a second more", r.StatusCode, r.Header)
	}
	now.add(time.Second)
	if r := ask("busy"); r.StatusCode != http.StatusOK {
		t.Errorf("after five minutes: got %d, want 200", r.StatusCode)
	}
}

func TestRate_200InOneSecondOfAllTokensTogether(t *testing.T) {
	now := newClock()
	s := serve(t, cftest.Config{Now: now.Now, Tokens: []cftest.Token{{Value: "a"}, {Value: "b"}}})
	for n := range 201 {
		want := http.StatusOK
		if n == 200 {
			want = http.StatusTooManyRequests
		}
		if r := s.send(t, []string{"a", "b"}[n%2], "GET", "/user/tokens/verify", ""); r.status != want {
			t.Fatalf("request %d: got %d %s, want %d", n+1, r.status, r.raw, want)
		}
	}
	now.add(time.Second)
	if r := s.send(t, "a", "GET", "/user/tokens/verify", ""); r.status != http.StatusOK {
		t.Errorf("a second later: got %d, want 200", r.status)
	}
}
