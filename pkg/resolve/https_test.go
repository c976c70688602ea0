package resolve_test

import (
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

// overHTTPS asks a server that answers every request by answer.
func overHTTPS(t *testing.T, answer func(w http.ResponseWriter, q *dns.Msg)) (resolve.Answer, error) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		q := new(dns.Msg)
		if err == nil {
			err = q.Unpack(text)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, q)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	c := &resolve.Client{Stream: 20 * time.Second, RootCAs: pool}
	return c.Ask(t.Context(), server(t, s.URL), resolve.Question{Name: name})
}

// write answers as RFC 8484 has it, with these headers in addition or instead.
func write(t *testing.T, w http.ResponseWriter, q *dns.Msg, headers ...string) {
	t.Helper()
	text, err := resolvetest.Texts(name, 60, value(1)).Recursive(q, "https").Pack()
	if err != nil {
		t.Error(err)
	}
	w.Header().Set("Content-Type", "application/dns-message")
	for i := 0; i+1 < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
	_, _ = w.Write(text) // the client may have had enough
}

func TestHTTPS_WhatACacheHasUsedOfATTLIsTakenOff(t *testing.T) {
	for age, want := range map[string]time.Duration{"": time.Minute, "18": 42 * time.Second, "3600": 0, "-5": time.Minute, "soon": time.Minute} {
		a, err := overHTTPS(t, func(w http.ResponseWriter, q *dns.Msg) { write(t, w, q, "Age", age) })
		if err != nil || len(a.Records) != 1 || a.TTL() != want {
			t.Errorf("Age %q: got %d records, TTL %s, error %v; want one of %s", age, len(a.Records), a.TTL(), err, want)
		}
	}
}

func TestHTTPS_WhatIsNoAnswerIsUnknown(t *testing.T) {
	var redirected atomic.Bool
	for what, answer := range map[string]func(http.ResponseWriter, *dns.Msg){
		"another type of body": func(w http.ResponseWriter, q *dns.Msg) { write(t, w, q, "Content-Type", "text/html") },
		"a failure":            func(w http.ResponseWriter, _ *dns.Msg) { http.Error(w, "busy", http.StatusTooManyRequests) },
		"elsewhere": func(w http.ResponseWriter, q *dns.Msg) {
			if redirected.Swap(true) {
				write(t, w, q)
				return
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"too long": func(w http.ResponseWriter, _ *dns.Msg) {
			w.Header().Set("Content-Type", "application/dns-message")
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<17)) // the client may have had enough
		},
		"half a message": func(w http.ResponseWriter, _ *dns.Msg) {
			w.Header().Set("Content-Type", "application/dns-message")
			_, _ = io.WriteString(w, "\x00\x00\x80") // as above
		},
	} {
		if a, err := overHTTPS(t, answer); !errors.Is(err, resolve.ErrNoAnswer) {
			t.Errorf("%s: got %v, error %v; want ErrNoAnswer", what, a.Values(), err)
		}
	}
}
