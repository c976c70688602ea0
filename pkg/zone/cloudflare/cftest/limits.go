package cftest

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Limits bound the rate of requests. Zero is what is documented, a negative number is no
// limit.
type Limits struct {
	PerFiveMinutes int // 1,200 of one token; beyond it everything is refused for five minutes
	PerSecond      int // 200 of one address; the cloud takes all clients for one
}

// NoLimits is for tests that make many requests in a short time.
func NoLimits() Limits { return Limits{PerFiveMinutes: -1, PerSecond: -1} }

// The documented limits.
const (
	perFiveMinutes = 1_200
	perSecond      = 200
	rateWindow     = 5 * time.Minute
)

func (l Limits) withDefaults() Limits {
	if l.PerFiveMinutes == 0 {
		l.PerFiveMinutes = perFiveMinutes
	}
	if l.PerSecond == 0 {
		l.PerSecond = perSecond
	}
	return l
}

// window counts what happened within the last span.
type window struct{ at []time.Time }

// expire forgets what is older than span.
func (w *window) expire(now time.Time, span time.Duration) {
	for len(w.at) > 0 && !w.at[0].Add(span).After(now) {
		w.at = w.at[1:]
	}
}

// admit counts a request, or refuses it. A refused one is not counted: whether it is, is
// not documented.
func (c *Cloud) admit(q *call) *refusal {
	t, l := q.token, c.cfg.Limits
	if wait := t.blocked.Sub(q.now); wait > 0 {
		return c.tooMany(q, wait)
	}
	t.recent.expire(q.now, rateWindow)
	if l.PerFiveMinutes >= 0 && len(t.recent.at) >= l.PerFiveMinutes {
		return c.block(q)
	}
	c.perSecond.expire(q.now, time.Second)
	if l.PerSecond >= 0 && len(c.perSecond.at) >= l.PerSecond {
		return c.tooMany(q, time.Second)
	}
	if l.PerFiveMinutes >= 0 {
		t.recent.at = append(t.recent.at, q.now)
	}
	if l.PerSecond >= 0 {
		c.perSecond.at = append(c.perSecond.at, q.now)
	}
	return nil
}

// block refuses everything that the token asks for in the next five minutes.
func (c *Cloud) block(q *call) *refusal {
	q.token.blocked = q.now.Add(rateWindow)
	q.token.recent = window{}
	return c.tooMany(q, rateWindow)
}

// tooMany is the answer beyond a limit.
func (c *Cloud) tooMany(q *call, wait time.Duration) *refusal {
	q.retryAfter = strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return refuse(http.StatusTooManyRequests, codeRate,
		"More than %d requests per 300 seconds reached. Please wait and consider throttling your request speed", c.perFiveMinutes())
}

func (c *Cloud) perFiveMinutes() int {
	if c.cfg.Limits.PerFiveMinutes < 0 {
		return perFiveMinutes
	}
	return c.cfg.Limits.PerFiveMinutes
}

// rateHeaders writes what every answer says of the budget: what is left, and after how
// many seconds there is more.
func (c *Cloud) rateHeaders(h http.Header, q *call) {
	limit, left, reset := c.perFiveMinutes(), c.perFiveMinutes(), 0
	if t := q.token; t != nil {
		t.recent.expire(q.now, rateWindow)
		left -= len(t.recent.at)
		if len(t.recent.at) > 0 {
			reset = int(math.Ceil(t.recent.at[0].Add(rateWindow).Sub(q.now).Seconds()))
		}
		if wait := t.blocked.Sub(q.now); wait > 0 {
			left, reset = 0, int(math.Ceil(wait.Seconds()))
		}
	}
	h.Set("Ratelimit", fmt.Sprintf(`"default";r=%d;t=%d`, max(0, left), reset))
	h.Set("Ratelimit-Policy", fmt.Sprintf(`"default";q=%d;w=%d`, limit, int(rateWindow.Seconds())))
	if q.retryAfter != "" {
		h.Set("Retry-After", q.retryAfter)
	}
}
