package digitalocean

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/relayfleet/fleetctl/fleet"
)

// The API allows 250 requests a minute and 5,000 an hour.
const (
	burst   = 40  // requests that need not wait, after a while of silence: an up of three droplets
	most    = 240 // in as long as so many take at the steady pace, which is a minute
	reserve = 50  // one part in so many of the hourly budget is left alone
)

// pace holds requests back: for the rate, for what the API asks for, and for the end of
// the hourly budget.
type pace struct {
	limiter *rate.Limiter
	every   time.Duration
	longest time.Duration // what is waited for at most; beyond it is an error
	log     *slog.Logger

	mu     sync.Mutex
	turns  [most]time.Time // when the last requests were, or will be, sent
	next   int             // the oldest of them
	until  time.Time       // the API asked for silence until then
	left   int             // of the hourly budget
	budget int             // 0: not known
	reset  time.Time       // when the budget grows again
}

func newPace(w Waits, log *slog.Logger) *pace {
	return &pace{limiter: rate.NewLimiter(rate.Every(w.Every), burst), every: w.Every, longest: w.Hold, log: log}
}

// wait returns when a request may be sent. What cannot be waited for is [fleet.ErrQuota].
func (g *pace) wait(ctx context.Context) error {
	for {
		until, why := g.held(time.Now())
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
	d, err := g.turn(ctx, time.Now())
	if err != nil {
		return err
	}
	if d > 2*time.Second {
		g.log.InfoContext(ctx, "waiting for the API", slog.String("why", "one request every "+g.every.String()), slog.Duration("for", d.Round(time.Millisecond)))
	}
	return pause(ctx, d)
}

// turn takes the next request's turn, and says how long it is until then. A burst is paid
// back within the minute: with it, the steady pace would be more than the API allows. A turn
// that comes too late for ctx is not taken; one that is taken and not used is lost.
func (g *pace) turn(ctx context.Context, now time.Time) (time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	turn := g.limiter.ReserveN(now, 1)
	at := now.Add(turn.DelayFrom(now))
	if free := g.turns[g.next].Add(most * g.every); free.After(at) {
		at = free
	}
	if deadline, bounded := ctx.Deadline(); bounded && deadline.Before(at) {
		turn.CancelAt(now)
		return 0, fmt.Errorf("wait for its turn, one request every %s: %w", g.every, context.DeadlineExceeded)
	}
	g.turns[g.next], g.next = at, (g.next+1)%most
	return at.Sub(now), nil
}

// held says until when nothing is sent, and why.
func (g *pace) held(now time.Time) (time.Time, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until.After(now) {
		return g.until, "the rate of requests is used up"
	}
	if g.budget > 0 && g.left <= g.budget/reserve && g.reset.After(now) {
		return g.reset, fmt.Sprintf("%d of %d requests are left for this hour", g.left, g.budget)
	}
	return time.Time{}, ""
}

// heard learns from an answer how much is left, and until when to be silent.
func (g *pace) heard(status int, h http.Header, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit, okLimit := number(h, "Ratelimit-Limit")
	left, okLeft := number(h, "Ratelimit-Remaining")
	reset, okReset := number(h, "Ratelimit-Reset")
	if okLimit && okLeft && okReset {
		g.budget, g.left, g.reset = limit, left, time.Unix(int64(reset), 0)
	}
	if status != http.StatusTooManyRequests {
		return
	}
	silence := now.Add(time.Second)
	if after, ok := number(h, "Retry-After"); ok {
		silence = now.Add(time.Duration(after) * time.Second)
	} else if okReset && g.reset.After(silence) {
		silence = g.reset
	}
	if silence.After(g.until) {
		g.until = silence
	}
}

// number is a header that counts.
func number(h http.Header, name string) (int, bool) {
	n, err := strconv.Atoi(h.Get(name))
	return n, err == nil && n >= 0 && n < 1<<40
}

// usedUp says when it goes on.
func usedUp(why string, until time.Time) error {
	at := until.UTC().Format("15:04:05 UTC")
	return fleet.WithHint(fmt.Errorf("%w: %s; it goes on at %s", fleet.ErrQuota, why, at),
		"run the same command again after "+at+": it goes on from what is there")
}
