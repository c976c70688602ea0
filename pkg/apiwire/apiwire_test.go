package apiwire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/pkg/apiwire"
)

const secret = "a-token-that-nobody-prints"

// api is an API of one function.
type api func(n int, r *http.Request) (*http.Response, error)

// rig sends requests to an API, and knows how many tries came there.
type rig struct {
	*apiwire.Transport
	tries int
	heard []int
	log   bytes.Buffer
}

func newRig(answer api, change func(*apiwire.Config)) *rig {
	r := &rig{}
	cfg := apiwire.Config{
		Base: roundTrip(func(q *http.Request) (*http.Response, error) {
			r.tries++
			return answer(r.tries, q)
		}),
		Host:   "api.test",
		Secret: func(context.Context) (string, string, error) { return secret, "THE_VARIABLE", nil },
		Wait:   func(ctx context.Context) error { return ctx.Err() },
		Heard:  func(status int, _ http.Header, _ time.Time) { r.heard = append(r.heard, status) },
		Again:  func(q *http.Request, _ error) bool { return q.Method == http.MethodGet },
		Tries:  3, Busy: 2, Answer: 64, Call: time.Minute, Pause: time.Second, RequestID: "X-Id",
		Log: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})),
	}
	if change != nil {
		change(&cfg)
	}
	r.Transport = apiwire.New(cfg)
	return r
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (r *rig) do(t *testing.T, method, url string) (*http.Response, error) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("asked"))
	if err != nil {
		t.Fatal(err)
	}
	return r.RoundTrip(q) //nolint:bodyclose // an Answer, with nothing open
}

func says(status int, text string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"X-Id": {"q\x1b1"}}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func TestTransport_SendsAgainWhatTheRuleAllowsAndNothingElse(t *testing.T) {
	status := func(code int) api { return func(int, *http.Request) (*http.Response, error) { return says(code, "") } }
	fails := func(err error) api { return func(int, *http.Request) (*http.Response, error) { return nil, err } }
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for what, c := range map[string]struct {
		method string
		api    api
		tries  int
	}{
		"read, 200":      {http.MethodGet, status(200), 1},
		"read, 404":      {http.MethodGet, status(404), 1},
		"read, 500":      {http.MethodGet, status(500), 3},
		"read, reset":    {http.MethodGet, fails(io.ErrUnexpectedEOF), 3},
		"read, too long": {http.MethodGet, func(int, *http.Request) (*http.Response, error) { return says(200, strings.Repeat("x", 65)) }, 1},
		"write, 500":     {http.MethodPost, status(500), 1},
		"write, reset":   {http.MethodPost, fails(io.ErrUnexpectedEOF), 1},
		"write, 429":     {http.MethodPost, status(429), 2},
		"read, 429":      {http.MethodGet, status(429), 2},
		"read, then well": {http.MethodGet, func(n int, _ *http.Request) (*http.Response, error) {
			return says(map[bool]int{true: 503, false: 200}[n == 1], "")
		}, 2},
		"no connection": {http.MethodDelete, fails(refused), 1},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(c.api, nil)
				_, err := r.do(t, c.method, "https://api.test/x")
				if r.tries != c.tries || r.Sent() != int64(c.tries) {
					t.Errorf("got %d tries, sent %d, want %d", r.tries, r.Sent(), c.tries)
				}
				var never *apiwire.Unsent
				if what == "no connection" && !errors.As(err, &never) {
					t.Errorf("got %v, want an Unsent", err)
				}
				if want := map[bool]uint64{true: 1}[c.method != http.MethodGet]; r.Writes() != want {
					t.Errorf("got %d writes, want %d", r.Writes(), want)
				}
			})
		})
	}
}

func TestTransport_TheTokenGoesToTheHostAloneAndIntoNoLog(t *testing.T) {
	r := newRig(func(_ int, q *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(q.Body)
		if q.Header.Get("Authorization") != "Bearer "+secret || string(body) != "asked" || err != nil {
			t.Errorf("got header %q, body %q, %v; want the token and the body", q.Header.Get("Authorization"), body, err)
		}
		return says(200, "answered")
	}, nil)
	resp, err := r.do(t, http.MethodPost, "https://api.test/x?y=z")
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := resp.Body.(apiwire.Answer); !ok || string(a.Text) != "answered" || r.From() != "THE_VARIABLE" {
		t.Errorf("got body %v, token from %q; want the answer, from THE_VARIABLE", resp.Body, r.From())
	}
	if log := r.log.String(); strings.Contains(log, secret) || strings.Contains(log, "asked") || !strings.Contains(log, "path=/x?y=z") && !strings.Contains(log, `path="/x?y=z"`) || !strings.Contains(log, "request_id=q1") {
		t.Errorf("got log %q, want the path and a clean ID, and no token and no body", log)
	}
	_, err = r.do(t, http.MethodGet, "https://evil.test/x")
	var never *apiwire.Unsent
	if !errors.As(err, &never) || r.tries != 1 {
		t.Errorf("another host: got %v after %d tries, want an Unsent and none more", err, r.tries)
	}
}

func TestTransport_ATokenThatCouldNotBeReadIsReadAgain(t *testing.T) {
	reads := 0
	r := newRig(func(int, *http.Request) (*http.Response, error) { return says(200, "") }, func(c *apiwire.Config) {
		c.Secret = func(context.Context) (string, string, error) {
			if reads++; reads == 1 {
				return "", "the safe", errors.New("locked")
			}
			return secret, "the safe", nil
		}
	})
	var never *apiwire.Unsent
	if _, err := r.do(t, http.MethodGet, "https://api.test/"); !errors.As(err, &never) || r.From() != "the safe" || r.tries != 0 {
		t.Fatalf("got %v from %q after %d tries, want an Unsent from the safe", err, r.From(), r.tries)
	}
	for range 2 {
		if _, err := r.do(t, http.MethodGet, "https://api.test/"); err != nil || reads != 2 {
			t.Errorf("got %v after %d reads of the token, want none and 2", err, reads)
		}
	}
}

func TestTransport_PausesDoubleUpToABound(t *testing.T) {
	r := newRig(nil, nil)
	for try, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 9: 10 * time.Second} {
		if d := r.Delay(try); d < most/2 || d > most {
			t.Errorf("pause %d: got %s, want %s to %s", try, d, most/2, most)
		}
	}
}
