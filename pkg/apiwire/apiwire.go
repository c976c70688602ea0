// Package apiwire carries the requests of an SDK to the HTTP API of one provider: with
// the operator's token, at a pace, each try under its own deadline, and read to its end.
//
// SDKs send again what may have had its effect, wait as long as a server likes, and follow
// it elsewhere with the token. A [Transport] does none of that: which requests it sends
// again is the caller's rule ([Config.Again]), what the API asks to be waited for is the
// caller's pace, and no other host is ever asked.
package apiwire

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
	"sync"
	"sync/atomic"
	"time"
)

// levelTrace is below debug: every request.
const levelTrace = slog.LevelDebug - 4

// mostBackoff is the longest pause between two tries, in times of the first.
const mostBackoff = 10

// Config is what a [Transport] works with. Every field is needed, but for Base, Agent and
// RequestID.
type Config struct {
	// Base carries the requests; nil is a transport with usual timeouts.
	Base http.RoundTripper
	// Host is that of the API, with its port if it has one. Nothing is sent elsewhere.
	Host string
	// Secret is the token, and says where it comes from. It is read at the first request,
	// and once more at the next if that failed.
	Secret func(ctx context.Context) (token, from string, err error)
	// Wait returns when a request may be sent; Heard is told of each answer.
	Wait  func(ctx context.Context) error
	Heard func(status int, h http.Header, now time.Time)
	// Again reports whether a request may be sent once more after a status of 500 and above,
	// when err is nil, or after err. It is not asked of statuses below, and 429 surely had no
	// effect.
	Again func(r *http.Request, err error) bool

	Tries  int           // of a request that may be sent again
	Busy   int           // of any request that gets 429
	Answer int64         // bytes of an answer that are read at most
	Call   time.Duration // for the answer to one try
	Pause  time.Duration // before the second try; it doubles from there

	Agent     string // as which the API sees us, "" for what the SDK says
	RequestID string // header of answers that names a request for the provider's support
	Log       *slog.Logger
}

// Transport is an [http.RoundTripper] for one API. It is safe for concurrent use.
type Transport struct {
	cfg  Config
	sent atomic.Int64
	over atomic.Uint64

	mu    sync.Mutex
	token string // once it was read
	from  string
}

var _ http.RoundTripper = (*Transport)(nil)

// New returns a transport. It reads nothing and sends nothing yet.
func New(cfg Config) *Transport {
	if cfg.Base == nil {
		cfg.Base = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 8,
			IdleConnTimeout:     30 * time.Second,
		}
	}
	return &Transport{cfg: cfg}
}

// Unsent is an error of a request that never left: it had no effect.
type Unsent struct{ Err error }

func (u *Unsent) Error() string { return u.Err.Error() }
func (u *Unsent) Unwrap() error { return u.Err }

// ErrTooLong is of an answer that nobody reads to its end.
var ErrTooLong = errors.New("the answer is not read to its end")

// Sent is how many requests were sent so far, each try of one.
func (t *Transport) Sent() int64 { return t.sent.Load() }

// Writes is how many requests are over that may have changed something: all but GET.
func (t *Transport) Writes() uint64 { return t.over.Load() }

// From says where the token comes from, "" before it was first read.
func (t *Transport) From() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.from
}

func (t *Transport) secret(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" {
		return t.token, nil
	}
	token, from, err := t.cfg.Secret(ctx)
	t.from = from
	if err != nil {
		return "", err
	}
	t.token = token
	return token, nil
}

// RoundTrip sends a request, perhaps several times, and returns the last answer, with an
// [Answer] as its body. An error of a request that surely had no effect is an [*Unsent].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if r.URL.Host != t.cfg.Host {
		return nil, &Unsent{fmt.Errorf("the API's host is %s: nothing is sent to %s", t.cfg.Host, r.URL.Host)}
	}
	if err := ctx.Err(); err != nil {
		return nil, &Unsent{err}
	}
	token, err := t.secret(ctx)
	if err != nil {
		return nil, &Unsent{err}
	}
	var body []byte
	if r.Body != nil {
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, &Unsent{err}
		}
	}
	if r.Method != http.MethodGet {
		defer t.over.Add(1)
	}
	for try, busy := 1, 0; ; {
		if err := t.cfg.Wait(ctx); err != nil {
			return nil, &Unsent{err}
		}
		resp, err := t.send(r, body, token)
		switch {
		case ctx.Err() != nil || err == nil && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
			return resp, err
		case err == nil && resp.StatusCode == http.StatusTooManyRequests:
			if busy++; busy == t.cfg.Busy {
				return resp, nil
			}
			continue
		case errors.Is(err, ErrTooLong), try == t.cfg.Tries, !t.cfg.Again(r, err):
			return resp, err
		}
		if err := pause(ctx, t.Delay(try)); err != nil {
			return nil, err
		}
		try++
	}
}

// Delay is the pause after a try, from 1: it doubles, up to a bound, and is spread so that
// several do not come back at once.
func (t *Transport) Delay(try int) time.Duration {
	d := min(t.cfg.Pause<<(try-1), mostBackoff*t.cfg.Pause)
	return d/2 + rand.N(d/2+1) //nolint:gosec // nothing secret about a pause
}

// send sends a request once.
func (t *Transport) send(r *http.Request, body []byte, token string) (*http.Response, error) {
	t.sent.Add(1)
	ctx, cancel := context.WithTimeout(r.Context(), t.cfg.Call)
	defer cancel()
	out := r.Clone(ctx)
	// net/http rewinds a POST only if nothing of it was written to a connection that was dead.
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, out.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		out.Body, _ = out.GetBody()
	}
	out.Header.Set("Authorization", "Bearer "+token)
	if t.cfg.Agent != "" {
		out.Header.Set("User-Agent", t.cfg.Agent)
	}
	began := time.Now()
	resp, err := t.cfg.Base.RoundTrip(out)
	if err == nil {
		err = t.buffer(resp)
	}
	t.trace(ctx, r, resp, err, time.Since(began))
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return nil, &Unsent{err}
		}
		return nil, err
	}
	t.cfg.Heard(resp.StatusCode, resp.Header, time.Now())
	return resp, nil
}
