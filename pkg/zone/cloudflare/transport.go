package cloudflare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relayfleet/fleetctl/pkg/credential"
)

// levelTrace is below debug: every request.
const levelTrace = slog.LevelDebug - 4

// Bounds of one call.
const (
	tries       = 4        // of a read that failed
	busyTries   = 4        // of any request that was refused for its rate
	mostBackoff = 10       // times Waits.Backoff
	mostAnswer  = 16 << 20 // bytes
)

// transport sends requests with the token, at the zone's pace, each under its own
// deadline. It sends a read again after a 5xx or when no answer came, and a write only if
// it surely had no effect: after a 429, or if no connection was made.
type transport struct {
	base    http.RoundTripper
	host    string
	source  credential.Source
	pace    *pace
	log     *slog.Logger
	call    time.Duration
	backoff time.Duration

	sent atomic.Int64 // requests, each try of one

	mu    sync.Mutex
	token string // once it was read
	from  string
}

func newTransport(cfg Config, base *url.URL) *transport {
	t := &transport{
		base: cfg.Transport, host: base.Host, source: cfg.Token, log: cfg.Log,
		pace: newPace(cfg.Waits, cfg.Log), call: cfg.Waits.Call, backoff: cfg.Waits.Backoff,
	}
	if t.base == nil {
		t.base = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		}
	}
	return t
}

// unsent is an error of a request that never left.
type unsent struct{ error }

func (u *unsent) Unwrap() error { return u.error }

// secret is the token. It is read once, unless that failed.
func (t *transport) secret(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" {
		return t.token, nil
	}
	token, from, err := t.source(ctx)
	t.from = from
	if err == nil {
		err = checkToken(token, from)
	}
	if err != nil {
		return "", noToken(err)
	}
	t.token = token
	return token, nil
}

// where says where the token comes from.
func (t *transport) where() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.from
}

// RoundTrip sends a request, perhaps several times, and returns the last answer, read to
// its end.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if r.URL.Host != t.host {
		return nil, &unsent{fmt.Errorf("the API's host is %s: nothing is sent to %s", t.host, r.URL.Host)}
	}
	token, err := t.secret(ctx)
	if err != nil {
		return nil, &unsent{err}
	}
	var body []byte
	if r.Body != nil {
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, &unsent{err}
		}
	}
	for try, busy := 1, 0; ; {
		if err := t.pace.wait(ctx); err != nil {
			return nil, &unsent{err}
		}
		resp, err := t.send(r, body, token)
		var never *unsent
		switch {
		case ctx.Err() != nil || err == nil && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
			return resp, err
		case err == nil && resp.StatusCode == http.StatusTooManyRequests:
			if busy++; busy == busyTries {
				return resp, nil
			}
			continue
		case r.Method != http.MethodGet && !errors.As(err, &never), errors.Is(err, errTooLong), try == tries:
			return resp, err
		}
		if err := pause(ctx, t.delay(try)); err != nil {
			return nil, err
		}
		try++
	}
}

// delay doubles, up to a bound, and is spread so that several do not come back at once.
func (t *transport) delay(try int) time.Duration {
	d := min(t.backoff<<(try-1), mostBackoff*t.backoff)
	return d/2 + rand.N(d/2+1) //nolint:gosec // nothing secret about a pause
}

// send sends a request once.
func (t *transport) send(r *http.Request, body []byte, token string) (*http.Response, error) {
	t.sent.Add(1)
	ctx, cancel := context.WithTimeout(r.Context(), t.call)
	defer cancel()
	out := r.Clone(ctx)
	// net/http rewinds a POST only if nothing of it was written to a connection that was dead.
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, out.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		out.Body, _ = out.GetBody()
	}
	out.Header.Set("Authorization", "Bearer "+token)
	out.Header.Set("User-Agent", "fleetctl")
	began := time.Now()
	resp, err := t.base.RoundTrip(out)
	if err == nil {
		err = buffer(resp)
	}
	t.trace(ctx, r, resp, err, time.Since(began))
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return nil, &unsent{err}
		}
		return nil, err
	}
	t.pace.heard(resp.StatusCode, resp.Header, time.Now())
	return resp, nil
}

// trace logs a request: never a header that was sent, never a body.
func (t *transport) trace(ctx context.Context, r *http.Request, resp *http.Response, err error, took time.Duration) {
	if !t.log.Enabled(ctx, levelTrace) {
		return
	}
	facts := []any{slog.String("method", r.Method), slog.String("path", r.URL.RequestURI()), slog.Duration("took", took.Round(time.Millisecond))}
	if err != nil {
		facts = append(facts, slog.Any("error", err))
	} else {
		facts = append(facts, slog.Int("status", resp.StatusCode), slog.String("ray", clean(resp.Header.Get("Cf-Ray"))))
	}
	t.log.Log(ctx, levelTrace, "request", facts...)
}

// answer is a body that was read already and can be read again.
type answer struct {
	*bytes.Reader
	text []byte
}

func (answer) Close() error { return nil }

// errTooLong is of an answer that nobody will read.
var errTooLong = fmt.Errorf("the answer is longer than %d bytes", mostAnswer)

// buffer reads an answer to its end, so that its deadline holds for all of it.
func buffer(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	_ = resp.Body.Close()
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case len(text) > mostAnswer:
		return errTooLong
	}
	resp.Body = answer{bytes.NewReader(text), text}
	return nil
}
