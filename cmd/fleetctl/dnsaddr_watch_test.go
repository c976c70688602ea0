package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

// watchSession is a session whose progress can be read after the watch.
func watchSession(t *testing.T) (*session, *bytes.Buffer) {
	t.Helper()
	s, _ := testSession(t, namedProber{})
	stderr := new(bytes.Buffer)
	s.app.stderr = stderr
	s.app.globals.logFormat.value = "text"
	return s, stderr
}

func TestDNSAddrWatch_EndsWhenEveryServerServesTheSet(t *testing.T) {
	t.Parallel()
	s, stderr := watchSession(t)
	good, stale := testZone(testValue(1), testValue(2)), testZone(testValue(1), testValue(9))
	var asked atomic.Int32
	late := resolvetest.Start(t, func(q *dns.Msg, by string) *dns.Msg {
		if q.Question[0].Qtype == dns.TypeTXT && asked.Add(1) <= 6 { // three looks, each with a question about signatures
			return stale.Recursive(q, by)
		}
		return good.Recursive(q, by)
	})
	w := watching{timeout: time.Minute, interval: 10 * time.Millisecond}
	w.resolvers, w.authorities = []string{late.Addr}, []string{resolvetest.Start(t, good.Authority).Addr}
	v, err := s.watch(t.Context(), w)
	if err != nil || !v.OK || v.verdict() != nil || v.Waited <= 0 {
		t.Fatalf("got %+v, error %v; want ok", v, err)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(lines) != 3 || !strings.Contains(stderr.String(), "1 missing, 1 old") || strings.Count(stderr.String(), "✓ ") != 2 {
		t.Errorf("got %q, want three lines: a server in sync, one behind, and that one in sync", lines)
	}
}

func TestDNSAddrWatch_TimeoutNamesWhoServesWhat(t *testing.T) {
	t.Parallel()
	s, _ := watchSession(t)
	w := watching{timeout: 3 * time.Second, interval: 50 * time.Millisecond}
	stale := resolvetest.Start(t, testZone(testValue(1), testValue(9)).Recursive)
	w.resolvers = []string{stale.Addr}
	v, err := s.watch(t.Context(), w)
	if err != nil || v.OK {
		t.Fatalf("got %+v, error %v; want servers that are behind", v, err)
	}
	if err := v.verdict(); exitCode(err) != exitUnverified || !strings.Contains(err.Error(), stale.Addr+" lacks "+testValue(2)) {
		t.Errorf("got exit %d, error %v; want 4, naming the server and the record", exitCode(err), err)
	}
}

func TestDNSAddrWatch_ServerThatDoesNotAnswerIsUnknownAtTheTimeout(t *testing.T) {
	t.Parallel()
	s, _ := watchSession(t)
	w := watching{timeout: 3 * time.Second, interval: 50 * time.Millisecond}
	w.resolvers = []string{resolvetest.Start(t, resolvetest.Rcode(dns.RcodeServerFailure)).Addr}
	v, err := s.watch(t.Context(), w)
	if err != nil || exitCode(v.verdict()) != exitPartial {
		t.Errorf("got error %v, %v; want exit 3", err, v.verdict())
	}
	w.timeout, w.resolvers = 100*time.Millisecond, []string{resolvetest.Start(t, resolvetest.Silent).Addr}
	if _, err := s.watch(t.Context(), w); exitCode(err) != exitPartial || !strings.Contains(err.Error(), "no look at the servers ended") {
		t.Errorf("got error %v, want exit 3: not even one look ended", err)
	}
}

func TestDNSAddrWatch_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, _ := watchSession(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := watching{timeout: time.Minute, interval: 10 * time.Millisecond}
	w.resolvers = []string{resolvetest.Start(t, func(q *dns.Msg, by string) *dns.Msg {
		cancel()
		return testZone().Recursive(q, by)
	}).Addr}
	if _, err := s.watch(ctx, w); !errors.Is(err, context.Canceled) || !interrupted(ctx) {
		t.Errorf("got error %v, want that of the context", err)
	}
}
