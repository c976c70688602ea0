package relay

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/relayfleet/fleetctl/stats"
)

const (
	oldPerMinute = 60 // requests per minute and client address on the three old endpoints
	newAtOnce    = 16 // requests in flight on the others
	mostListed   = 1000
)

// server is the HTTP API while it answers.
type server struct {
	http   *http.Server
	served chan error
}

// serveAPI answers on an open listener until stop.
func (r *Relay) serveAPI(on net.Listener) *server {
	s := &server{
		http: &http.Server{
			Handler:           r.handler(),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
		},
		served: make(chan error, 1),
	}
	go func() { s.served <- s.http.Serve(on) }()
	return s
}

// stop lets requests in flight end for a second.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) && !errors.Is(served, net.ErrClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// handler is the whole API. GET and HEAD only.
func (r *Relay) handler() http.Handler {
	mux := http.NewServeMux()
	old := newMinuteLimit(oldPerMinute)
	slots := make(chan struct{}, newAtOnce)
	oldPaths := map[string]func() any{
		"/api/stats":            func() any { return r.report(time.Now()) },
		"/api/bootstrap/census": func() any { return r.ledger.census(time.Now()) },
		"/api/peers":            func() any { return r.peers() },
	}
	newPaths := map[string]func() any{
		"/api/version":      func() any { return r.version() },
		"/api/reservations": func() any { return r.reservations(time.Now()) },
	}
	for path, view := range oldPaths {
		mux.Handle("GET "+path, r.authorized(old.wrap(answer(view))))
	}
	for path, view := range newPaths {
		mux.Handle("GET "+path, r.authorized(atOnce(slots, answer(view))))
	}
	mux.Handle("GET /api/telemetry", r.authorized(atOnce(slots, http.HandlerFunc(r.answerTelemetry))))
	mux.Handle("GET /api/census/delta", r.authorized(atOnce(slots, http.HandlerFunc(r.answerDelta))))
	metrics := promhttp.HandlerFor(prometheus.GathererFunc(r.gather), promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second})
	mux.Handle("GET /metrics", r.authorized(metrics))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"alive": true})
	})
	mux.Handle("GET /readyz", atOnce(slots, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ready, status := r.readiness(), http.StatusOK
		if !ready.Ready {
			status = http.StatusServiceUnavailable
		}
		writeJSON(w, status, ready)
	})))
	return mux
}

func answer(view func() any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, view())
	})
}

// authorized asks for the bearer token, if there is one.
func (r *Relay) authorized(next http.Handler) http.Handler {
	if r.token == "" {
		return next
	}
	want := sha256.Sum256([]byte(r.token))
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		scheme, token, _ := strings.Cut(q.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "a bearer token is asked for")
			return
		}
		next.ServeHTTP(w, q)
	})
}

// atOnce bounds the requests in flight.
func atOnce(slots chan struct{}, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, q)
		default:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, "too many requests in flight")
		}
	})
}

func refuse(w http.ResponseWriter, status int, reason string) {
	writeJSON(w, status, map[string]string{"error": reason})
}

func writeJSON(w http.ResponseWriter, status int, content any) {
	text, err := json.Marshal(content)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"encoding"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that has gone is no error of ours
}

// version is the answer of /api/version.
func (r *Relay) version() stats.Version {
	started := r.started.UTC().Truncate(time.Second)
	return stats.Version{
		Version: r.self.version, Revision: r.self.revision, Go: runtime.Version(), SHA256: r.self.sha256(),
		PeerID: r.id.ID.String(), StartedAt: &started, Agent: r.cfg.agent(),
	}
}
