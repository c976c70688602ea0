package digitalocean

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// reads makes n reads that nobody shares.
func reads(t *testing.T, p *Provider, n int) error {
	t.Helper()
	var g errgroup.Group
	for range n {
		g.Go(func() error {
			_, err := p.account(t.Context())
			return err
		})
	}
	return g.Wait()
}

func TestRate_FourASecondAfterABurstForAllGoroutines(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		begin := time.Now()
		must(t, "60 reads", reads(t, r.provider(nil), 60))
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("60 requests took %s, want 5s: 40 at once, 20 at 4 a second", d)
		}
		if !strings.Contains(r.log.String(), "waiting for the API") {
			t.Error("nobody was told what is waited for")
		}
	})
}

// A burst and the steady pace after it are less than the API's 250 a minute, whenever the
// minute begins.
func TestRate_IsBelowTheDocumentedOneInAnyMinute(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.provider(nil)
		must(t, "600 reads", reads(t, p, 600))
		time.Sleep(20 * time.Second) // of the bubble: the burst is there again
		must(t, "300 reads", reads(t, p, 300))
		for i, q := range r.Requests() {
			if q.Status != http.StatusOK {
				t.Fatalf("request %d: got status %d, want 200", i, q.Status)
			}
		}
	})
}

func TestRate_ThatIsUsedUpIsWaitedForAsTheAPISays(t *testing.T) {
	bubble(t, dotest.Config{Limits: dotest.Limits{PerMinute: 10}}, func(t *testing.T, r *rig) {
		begin := time.Now()
		must(t, "12 reads", reads(t, r.provider(nil), 12))
		if d := time.Since(begin); d < 59*time.Second || d > 62*time.Second {
			t.Errorf("the 11th request was let through after %s, want a minute", d)
		}
		if got := r.count("GET /v2/account"); got > 14 {
			t.Errorf("got %d requests, want no more than 14 for 12 answers: whoever waits does not ask", got)
		}
	})
}

func TestRate_AWaitThatIsTooLongIsAnErrorThatSaysWhenItGoesOn(t *testing.T) {
	bubble(t, dotest.Config{Limits: dotest.Limits{PerMinute: 5}}, func(t *testing.T, r *rig) {
		p := r.provider(func(c *Config) { c.Waits.Hold = 20 * time.Second })
		at := time.Now().UTC().Add(time.Minute).Format("15:04:05 UTC")
		wantErr(t, "6 reads", reads(t, p, 6), fleet.ErrQuota, "it goes on at "+at, "after "+at)
	})
}

// The 429 of the hourly limit has no retry-after.
func TestBudget_AnHourlyRefusalSaysWhenItGoesOn(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.provider(nil)
		must(t, "a read", reads(t, p, 1))
		r.Fail(dotest.Fault{How: dotest.Exhausted, Times: -1})
		at := time.Now().UTC().Add(time.Hour).Format("15:04")
		wantErr(t, "a read", reads(t, p, 1), fleet.ErrQuota, "it goes on at "+at)
		if got := r.count("GET /v2/account"); got != 2 {
			t.Errorf("got %d requests, want 2: none after the refusal", got)
		}
	})
}

func TestBudget_StopsBeforeItEnds(t *testing.T) {
	bubble(t, dotest.Config{Limits: dotest.Limits{PerHour: 200, PerMinute: -1}}, func(t *testing.T, r *rig) {
		p := r.provider(nil)
		begin := time.Now()
		sent := 0
		var err error
		for ; err == nil && sent < 300; sent++ {
			err = reads(t, p, 1)
		}
		at := begin.UTC().Add(time.Hour).Format("15:04:05 UTC")
		wantErr(t, "the read beyond the budget", err, fleet.ErrQuota, "4 of 200 requests are left", "it goes on at "+at)
		if got := r.count("GET /v2/account"); got != 196 {
			t.Errorf("got %d requests, want 196 of 200: the rest is left alone", got)
		}
		time.Sleep(time.Hour) // of the bubble
		must(t, "a read after an hour", reads(t, p, 1))
	})
}

func TestRate_RefusedAgainAndAgainIsAnError(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.Fail(dotest.Fault{How: dotest.Busy, Times: -1})
		wantErr(t, "a read", reads(t, r.provider(nil), 1), fleet.ErrQuota, "429 too_many_requests")
		if got := r.count("GET /v2/account"); got != busyTries {
			t.Errorf("got %d requests, want %d", got, busyTries)
		}
	})
}

func TestRetry_ReadsAndDeletesGoOnAfterA5xxAReset(t *testing.T) {
	for _, how := range []dotest.How{dotest.ErrorBefore, dotest.BadGatewayBefore, dotest.ResetBefore, dotest.HangBefore, dotest.ErrorAfter, dotest.ResetAfter} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
				p := r.ready()
				m := create(t, p, order("nyc1-1"))
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					r.Fail(dotest.Fault{Method: method, Times: 2, How: how})
				}
				ms, err := p.Machines(t.Context())
				if err != nil || len(ms) != 1 {
					t.Fatalf("Machines: got %d machines and error %v", len(ms), err)
				}
				must(t, "Delete", p.Delete(t.Context(), m.ID))
				if got := len(r.Droplets(dotest.DefaultToken)); got != 0 {
					t.Errorf("got %d droplets, want none", got)
				}
			})
		})
	}
}

func TestRetry_EndsAndNamesTheLastAnswer(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.Fail(dotest.Fault{How: dotest.ErrorBefore, Times: -1})
		_, err := r.provider(nil).Machines(t.Context())
		wantErr(t, "Machines", err, nil, "list machines: the API answers 500 server_error: Unexpected server-side error (request ")
		if got := r.count(listDroplet); got != tries {
			t.Errorf("got %d requests, want %d", got, tries)
		}
	})
}

func TestTransport_SendsTheTokenToTheAPIAlone(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		var elsewhere atomic.Int32
		p := r.provider(func(c *Config) {
			c.Transport = roundTrip(func(q *http.Request) (*http.Response, error) {
				if q.URL.Host != "127.0.0.1:1" {
					elsewhere.Add(1)
				}
				return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://evil.example/"}}, Body: http.NoBody, Request: q}, nil
			})
		})
		_, err := p.Machines(t.Context())
		wantErr(t, "a redirect", err, nil, "302")
		if got := elsewhere.Load(); got != 0 {
			t.Errorf("got %d requests to another host, want none", got)
		}
	})
}

// roundTrip is a transport in a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport_LogsRequestsWithoutTheToken(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		must(t, "a read", reads(t, r.provider(nil), 1))
		text := r.log.String()
		if !strings.Contains(text, "path=/v2/account ") || !strings.Contains(text, "status=200") || !strings.Contains(text, "method=GET") {
			t.Errorf("got log %q, want the request in it", text)
		}
		if strings.Contains(text, "Bearer") || strings.Contains(text, "Authorization") || strings.Contains(text, "="+dotest.DefaultToken) {
			t.Errorf("got log %q, want no token in it", text)
		}
	})
}

func TestTransport_AnAnswerThatNobodyCanReadIsAnError(t *testing.T) {
	for what, body := range map[string]string{
		"no JSON": "<html>", "half of it": `{"droplets":[`, "no count": `{"droplets":[]}`, "a short list": `{"droplets":[],"meta":{"total":3}}`,
		"control characters": "{\"droplets\":[\x1b[2J", "null": "null",
	} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			p := r.provider(func(c *Config) {
				c.Transport = roundTrip(func(q *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusOK, Body: stringBody(body), Request: q}, nil
				})
			})
			ms, err := p.Machines(t.Context())
			if err == nil || ms != nil {
				t.Errorf("%s: got machines %v and error %v, want an error: unknown is not absent", what, ms, err)
			}
			if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("%s: got an escape in %q", what, err)
			}
		})
	}
}

func TestNew_RefusesAnAddressThatWouldLeakTheToken(t *testing.T) {
	for address, ok := range map[string]bool{
		"":                             true,
		"https://api.example.com":      true,
		"https://api.example.com/":     true,
		"http://127.0.0.1:8080":        true,
		"http://[::1]:8080":            true,
		"http://localhost:8080":        true,
		"http://api.digitalocean.com":  false,
		"http://127.0.0.1.example.com": false,
		"https://u:p@example.com":      false,
		"https://example.com/v2":       false,
		"ftp://127.0.0.1":              false,
		"::":                           false,
		"api.digitalocean.com":         false,
	} {
		_, err := New(Config{Spec: specOf("nyc1"), Token: tokenIs("x"), Bootstrap: bootstrap, BaseURL: address})
		if (err == nil) != ok {
			t.Errorf("%q: got error %v, want accepted %v", address, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the error shows the password: %v", address, err)
		}
	}
}
