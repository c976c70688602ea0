package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/statedir"
	"github.com/relayfleet/fleetctl/pkg/web"
	"github.com/relayfleet/fleetctl/stats"
)

func TestTelemetry_WhatIsOldSaysNothingOfNow(t *testing.T) {
	now := time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC)
	of := func(asked time.Time, problem string) web.Relay {
		known := history.Relay{Node: "nyc1-1", LastAsked: asked, Error: problem, Damaged: []string{"ledger"}, Gauges: &stats.Gauges{Users: 5, ReservationLimit: 64}}
		return telemetry{relays: map[string]history.Relay{"nyc1-1": known}}.of(web.Relay{Node: "nyc1-1", State: "serving"}, fleet.Spec{}, now.Add(-time.Hour))
	}
	if r := of(now, ""); r.Users == nil || *r.Users != 5 || r.Answering == nil || !*r.Answering || r.CensusDamaged == nil || !*r.CensusDamaged || *r.ReservationLimit != 64 {
		t.Errorf("a relay that answered: %+v, want 5 users, answering, damaged, a limit of 64", r)
	}
	counters := history.Relay{Node: "nyc1-1", LastAsked: now, Damaged: []string{"relay-counters.json was damaged before this start"}}
	all := telemetry{relays: map[string]history.Relay{"nyc1-1": counters}}
	if r := all.of(web.Relay{Node: "nyc1-1"}, fleet.Spec{}, now.Add(-time.Hour)); r.CensusDamaged == nil || *r.CensusDamaged {
		t.Errorf("a relay of which the counters were damaged: %s, want a census that is not", said(r.CensusDamaged))
	}
	old := telemetry{relays: map[string]history.Relay{"nyc1-1": {Node: "nyc1-1", LastAnswered: now.Add(-time.Hour), Old: true}, "fra1-1": {Node: "fra1-1", Error: "no answer"}}}
	for node, want := range map[string]string{"nyc1-1": "true", "fra1-1": "unknown", "sgp1-1": "unknown"} {
		if r := old.of(web.Relay{Node: node}, fleet.Spec{}, now); said(r.Old) != want {
			t.Errorf("%s: old %s, want %s", node, said(r.Old), want)
		}
	}
	if r := old.of(web.Relay{Node: "nyc1-1", Version: "v1.2.3"}, fleet.Spec{}, now); said(r.Old) != "false" {
		t.Errorf("nyc1-1 was old when it was collected and tells a version since: old %s, want false", said(r.Old))
	}
	if r := of(now, "no answer"); r.Users != nil || r.Answering == nil || *r.Answering || r.CensusDamaged != nil {
		t.Errorf("a relay that did not answer: %+v, want not answering, and nothing else known", r)
	}
	if r := of(now.Add(-2*time.Hour), ""); r.Users != nil || r.Answering != nil {
		t.Errorf("a relay that was asked two hours ago: %+v, want nothing known", r)
	}
}

func TestTelemetry_ACensusThatDidNotArriveIsNotDamaged(t *testing.T) {
	w := idleWatcher(t)
	keepHistory(t, w)
	const id = "12D3KooWGzCXDd7ZPV5qyVbEWNtgHuzpSrUwCGWcr4iJ4ysYf4bq"
	slow := stats.Reading{Err: errors.New("no answer within 30s: GET /api/census/delta: context deadline exceeded")}
	for _, c := range []struct {
		name string
		r    stats.Reading
		want string
	}{
		{"slow", slow, "false"},
		{"no census", stats.Reading{Broken: errors.New("the text is cut off")}, "true"},
		{"slow while it is damaged, as far as is known", slow, "true"},
	} {
		name := c.name
		c.r.Node, c.r.PeerID, c.r.Telemetry = "nyc1-1", id, &stats.Telemetry{PeerID: id, Now: lookTime().Unix()}
		if err := w.store.with(func(store *history.Store) error {
			if _, err := store.Ingest(t.Context(), lookTime(), []stats.Reading{c.r}); err != nil {
				return err
			}
			told, err := newTelemetry(t.Context(), store, lookTime())
			if err != nil {
				return err
			}
			if got := said(told.of(web.Relay{Node: "nyc1-1"}, fleet.Spec{}, lookTime()).CensusDamaged); got != c.want {
				t.Errorf("%s: is the census damaged: got %s, want %s", name, got, c.want)
			}
			return nil
		}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestCompose_TelemetryGetsOldWhileCollectingFails(t *testing.T) {
	value := 7.0
	v := threeSeen(t, fleet.Serving, fleet.Serving, fleet.Serving)
	v.telemetry = telemetry{
		collected: web.Collected{At: lookTime(), Error: "the disk is full"},
		relays: map[string]history.Relay{
			"nyc1-1": {Node: "nyc1-1", LastAsked: lookTime(), Gauges: &stats.Gauges{Users: 5}},
			"fra1-1": {Node: "fra1-1", LastAsked: lookTime(), Error: "no answer"},
		},
		figures: map[string]stats.Figure{"concurrent_peers": {Value: &value}, "lifetime_unique_peers": {Value: &value}},
	}
	for after, want := range map[time.Duration]string{0: "1", 10 * time.Minute: "1", 11 * time.Minute: "unknown"} {
		f := compose(v, lookTime().Add(after), serveFlags{every: time.Minute})
		if got := said(f.Collected.Answered); got != want {
			t.Errorf("%s after the last collection %s relays answered, want %s", after, got, want)
		}
		if got := said(f.Figures["concurrent_peers"].Value); (got == "unknown") != (want == "unknown") || f.Figures["lifetime_unique_peers"].Value == nil {
			t.Errorf("%s after the last collection %s peers are connected, lifetime %v, want the first to be unknown with who answered, the second never", after, got, said(f.Figures["lifetime_unique_peers"].Value))
		}
		if r := f.Relays[0]; (r.Users == nil) != (want == "unknown") || (r.Answering == nil) != (want == "unknown") {
			t.Errorf("%s after the last collection: users %s, answering %s", after, said(r.Users), said(r.Answering))
		}
	}
	if v.telemetry.figures["concurrent_peers"].Value == nil {
		t.Error("what was collected was changed by showing it")
	}
}

// keepHistory gives a watcher's session a state directory and opens a history in it.
func keepHistory(t *testing.T, w *watcher) *session {
	t.Helper()
	dir, err := statedir.Open(t.TempDir(), "demo", "/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := *w.current()
	s.dir = dir
	if mine, err := w.store.open(t.Context(), &s); err != nil || !mine {
		t.Fatalf("open: collects %v, %v", mine, err)
	}
	t.Cleanup(func() {
		if err := w.store.close(); err != nil {
			t.Error(err)
		}
	})
	return &s
}

// The first census of a large fleet takes longer than that to take in.
func TestCollect_TheLimitIsOfReadingAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := idleWatcher(t)
		s := keepHistory(t, w)
		w.app.now = func() time.Time {
			time.Sleep(readLimit + time.Second) // in the bubble: between reading and the end of taking in
			return lookTime()
		}
		w.collect(t.Context(), s)
		if got := w.Look().Fleet.Collected; got.Error != "" {
			t.Errorf("got %q, want a collection that was kept", got.Error)
		}
		if err := w.store.with(func(store *history.Store) error {
			relays, err := store.Relays(t.Context())
			if err == nil && len(relays) != 1 {
				t.Errorf("got %d relays in the history, want 1", len(relays))
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

// A file in its place that is no store is said to be one that cannot be opened, rather than
// that there is none.
func TestSeries_AHistoryThatCannotBeOpenedIsNotCalledAbsent(t *testing.T) {
	w := idleWatcher(t)
	dir, err := statedir.Open(t.TempDir(), "demo", "/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Join(history.FileName), []byte("not a database, and longer than the head of one"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := *w.current()
	s.dir, w.store = dir, &keeper{}
	_, opening := w.store.open(t.Context(), &s)
	_, err = w.Series(t.Context(), web.Query{Metric: "lifetime"})
	if opening == nil || !errors.Is(err, opening) || errors.Is(err, web.ErrNoHistory) {
		t.Errorf("got %v, want why it could not be opened: %v", err, opening)
	}
}

// What another collector was not answered is not ours to count.
func TestCollect_WhoCollectsNothingDoesNotSayWhoFailedToAnswer(t *testing.T) {
	collector, reader := idleWatcher(t), idleWatcher(t)
	s := keepHistory(t, collector)
	reader.flags.noCollect, reader.store = true, &keeper{}
	t.Cleanup(func() {
		if err := reader.store.close(); err != nil {
			t.Error(err)
		}
	})
	for _, of := range []struct {
		who  string
		w    *watcher
		want string
	}{{"the collector", collector, "1"}, {"one beside it", reader, "unknown"}} { // its node has no machine
		of.w.app.now = lookTime
		of.w.collect(t.Context(), s)
		of.w.note(func(v *seen) { v.look = threeSeen(t, fleet.Serving).look })
		r := of.w.Look().Fleet.Relays[0]
		if got := said(r.Failures); got != of.want || said(r.Answering) != "false" {
			t.Errorf("%s: %s collections were not answered by a relay that is answering: %s, want %s and false", of.who, got, said(r.Answering), of.want)
		}
	}
}

func TestSeries_AQuestionThatCannotBeAnsweredIsTheAskersFault(t *testing.T) {
	w := idleWatcher(t)
	s := keepHistory(t, w)
	if _, err := w.ingest(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	ask := web.Query{Metric: "lifetime_unique_peers", Since: w.now().AddDate(-10, 0, 0), Until: w.now().Add(time.Hour)}
	for name, change := range map[string]func(*web.Query){
		"a step that it is not kept by": func(q *web.Query) { q.Metric, q.Step = "returning_peers", "1h" },
		"by relay":                      func(q *web.Query) { q.By = true },
		"too many points":               func(q *web.Query) { q.Step = "1m" },
	} {
		q := ask
		change(&q)
		_, err := w.Series(t.Context(), q)
		var hint interface{ Hint() string }
		if !errors.Is(err, web.ErrQuery) || !errors.As(err, &hint) {
			t.Errorf("%s: got %v, want %v with a hint", name, err, web.ErrQuery)
		}
	}
}

func TestUsage_AHistoryOfAnOlderVersionIsNoReasonToStopAndSaysWhatToDo(t *testing.T) {
	w := idleWatcher(t)
	s := keepHistory(t, w)
	if err := w.store.close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(s.dir.Join(history.FileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{0, 0, 0, 1}, 60); err != nil { // the version, in the header of SQLite
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"usage": func() error { _, err := s.kept(t.Context(), &usage{}); return err },
		"stats": func() error { s.keptHistory(t.Context()); return nil },
	} {
		var said strings.Builder
		s.app.stderr = &said
		if err := read(); err != nil || !strings.Contains(said.String(), "older version of fleetctl") || !strings.Contains(said.String(), "`fleetctl stats collect` once") {
			t.Errorf("%s: got %v and %q, want the warning and what to do", name, err, said.String())
		}
	}
}
