package cloudflare

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// The API allows 1,200 requests in five minutes.
const (
	burst   = 40 // requests that need not wait, after a while of silence
	reserve = 5  // of the rate, left to others: one too many locks the account's tokens for minutes
)

// pace holds requests back: for the rate, and for what the API asks for.
type pace struct {
	limiter *rate.Limiter
	every   time.Duration
	longest time.Duration // what is waited for at most; beyond it is an error
	log     *slog.Logger

	mu    sync.Mutex
	until time.Time // nothing is sent before
	why   string
}

func newPace(w Waits, log *slog.Logger) *pace {
	return &pace{limiter: rate.NewLimiter(rate.Every(w.Every), burst), every: w.Every, longest: w.Hold, log: log}
}

// wait returns when a request may be sent. What cannot be waited for is [dnsaddr.ErrFull].
func (g *pace) wait(ctx context.Context) error {
	for {
		until, why := g.held()
		d := time.Until(until)
		if d <= 0 {
			break
		}
		deadline, bounded := ctx.Deadline()
		if d > g.longest || bounded && deadline.Before(until) {
			return usedUp(why, until)
		}
		g.log.InfoContext(ctx, "waiting for the API", slog.String("why", why), slog.Duration("for", d.Round(time.Millisecond)))
		if err := pause(ctx, d); err != nil {
			return err
		}
	}
	turn := g.limiter.Reserve()
	d := turn.Delay()
	if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) < d {
		turn.Cancel()
		return fmt.Errorf("wait for its turn, one request every %s: %w", g.every, context.DeadlineExceeded)
	}
	if err := pause(ctx, d); err != nil {
		turn.Cancel()
		return err
	}
	return nil
}

func (g *pace) held() (time.Time, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until, g.why
}

// heard learns from an answer how much is left, and until when to be silent.
func (g *pace) heard(status int, h http.Header, now time.Time) {
	if status == http.StatusTooManyRequests {
		silence := time.Second
		if secs, err := strconv.Atoi(h.Get("Retry-After")); err == nil && secs >= 0 && secs < 1<<30 {
			silence = time.Duration(secs) * time.Second
		}
		g.hold(now.Add(silence), "the rate of requests is used up")
		return
	}
	if left, reset, ok := rateLeft(h.Get("Ratelimit")); ok && left <= reserve {
		g.hold(now.Add(reset), fmt.Sprintf("%d requests are left of the token's rate", left))
	}
}

// hold sends nothing before a time. The later of two wishes counts.
func (g *pace) hold(until time.Time, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.until) {
		g.until, g.why = until, why
	}
}

// rateLeft reads a header such as `"default";r=50;t=30`: 50 requests are left, and the
// count begins anew in 30 seconds. Of several limits the one with the least left counts.
func rateLeft(header string) (left int, reset time.Duration, ok bool) {
	for limit := range strings.SplitSeq(header, ",") {
		r, t := -1, -1
		for part := range strings.SplitSeq(limit, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > 1<<30 {
				continue
			}
			switch name {
			case "r":
				r = n
			case "t":
				t = n
			}
		}
		if r >= 0 && t >= 0 && (!ok || r < left) {
			left, reset, ok = r, time.Duration(t)*time.Second, true
		}
	}
	return left, reset, ok
}

// usedUp says when it goes on.
func usedUp(why string, until time.Time) error {
	at := until.UTC().Format("15:04:05 UTC")
	return fleet.WithHint(fmt.Errorf("%w: %s; it goes on at %s", dnsaddr.ErrFull, why, at),
		"run the same command again after "+at+": it goes on from what is there")
}
