package dotest

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Limits bound the rate of requests of one token. Zero is what is documented, a negative
// number is no limit.
type Limits struct {
	PerMinute         int // 250; the answer beyond it has a retry-after
	PerHour           int // 5,000; the answer beyond it has none
	KeyListsPerMinute int // 10 of GET /v2/account/keys
}

// NoLimits is for tests that make many requests in a short time.
func NoLimits() Limits { return Limits{PerMinute: -1, PerHour: -1, KeyListsPerMinute: -1} }

// The documented limits. On forms they always hold; on rates unless [Limits] differ.
const (
	perMinute         = 250
	perHour           = 5_000
	keyListsPerMinute = 10

	maxNames            = 10        // per create
	maxUserData         = 64 * 1024 // bytes
	maxFirewallTags     = 5
	maxFirewallRules    = 50
	maxFirewallDroplets = 10
	defaultPage         = 20
)

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		limit *int
		value int
	}{{&l.PerMinute, perMinute}, {&l.PerHour, perHour}, {&l.KeyListsPerMinute, keyListsPerMinute}} {
		if *d.limit == 0 {
			*d.limit = d.value
		}
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

// full reports whether limit is reached, and when the next request is possible.
func (w *window) full(now time.Time, span time.Duration, limit int) (wait time.Duration, full bool) {
	w.expire(now, span)
	if limit < 0 || len(w.at) < limit {
		return 0, false
	}
	if len(w.at) == 0 {
		return span, true
	}
	return w.at[0].Add(span).Sub(now), true
}

// admit counts a request, or refuses it. A refused one is not counted: whether it is,
// is not documented.
func (c *Cloud) admit(q *call) (answer, bool) {
	t, l := q.team, c.cfg.Limits
	if _, full := t.hour.full(q.now, time.Hour, l.PerHour); full {
		return tooMany(0), false
	}
	if wait, full := t.minute.full(q.now, time.Minute, l.PerMinute); full {
		return tooMany(wait), false
	}
	lists := q.route.method == http.MethodGet && q.route.path == "/v2/account/keys"
	if lists {
		if wait, full := t.keyLists.full(q.now, time.Minute, l.KeyListsPerMinute); full {
			return tooMany(wait), false
		}
		t.keyLists.at = append(t.keyLists.at, q.now)
	}
	if l.PerHour >= 0 {
		t.hour.at = append(t.hour.at, q.now)
	}
	if l.PerMinute >= 0 {
		t.minute.at = append(t.minute.at, q.now)
	}
	return answer{}, true
}

// tooMany is the answer beyond a limit; zero leaves retry-after out, as the hourly one does.
func tooMany(wait time.Duration) answer {
	a := refuse(http.StatusTooManyRequests, "too_many_requests", "API rate limit exceeded.")
	if wait > 0 {
		a.header = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait.Seconds())))}}
	}
	return a
}

// rateHeaders writes what every answer says of the hourly budget. The reset is when the
// oldest request stops to count.
func (c *Cloud) rateHeaders(h http.Header, t *team, now time.Time) {
	limit, used, reset := c.cfg.Limits.PerHour, 0, now
	if limit < 0 {
		limit = perHour
	}
	if t != nil {
		t.hour.expire(now, time.Hour)
		used = len(t.hour.at)
		if used > 0 {
			reset = t.hour.at[0].Add(time.Hour)
		}
	}
	h.Set("Ratelimit-Limit", strconv.Itoa(limit))
	h.Set("Ratelimit-Remaining", strconv.Itoa(max(0, limit-used)))
	h.Set("Ratelimit-Reset", strconv.FormatInt(reset.Unix(), 10))
}
