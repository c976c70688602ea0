package relay

import (
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// clientsKept bounds how many client addresses are remembered.
const clientsKept = 4096

// minuteLimit lets every client address make so many requests within a minute of its
// first one.
type minuteLimit struct {
	most int

	mu      sync.Mutex
	windows map[string]window
	swept   time.Time // when ended windows were dropped last
}

type window struct {
	begin time.Time
	count int
}

func newMinuteLimit(most int) *minuteLimit {
	return &minuteLimit{most: most, windows: make(map[string]window)}
}

// allow counts a request, and says how long to wait when it is one too many.
func (m *minuteLimit) allow(client string, now time.Time) (bool, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	over := func(w window) bool { return now.Sub(w.begin) >= time.Minute || now.Before(w.begin) }
	w, known := m.windows[client]
	if !known && len(m.windows) >= clientsKept {
		if now.Sub(m.swept) < time.Second {
			return false, time.Second
		}
		m.swept = now
		maps.DeleteFunc(m.windows, func(_ string, w window) bool { return over(w) })
		if len(m.windows) >= clientsKept {
			return false, time.Minute
		}
	}
	if !known || over(w) {
		w = window{begin: now}
	}
	if w.count >= m.most {
		return false, time.Minute - now.Sub(w.begin)
	}
	w.count++
	m.windows[client] = w
	return true, 0
}

func (m *minuteLimit) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		client, _, err := net.SplitHostPort(q.RemoteAddr)
		if err != nil {
			client = q.RemoteAddr
		}
		ok, wait := m.allow(client, time.Now())
		if !ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			refuse(w, http.StatusTooManyRequests, "more than "+strconv.Itoa(m.most)+" requests in a minute")
			return
		}
		next.ServeHTTP(w, q)
	})
}
