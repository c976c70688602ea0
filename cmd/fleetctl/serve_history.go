package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/web"
	"github.com/relayfleet/fleetctl/stats"
)

const (
	chartSpan = 30 * 24 * time.Hour
	readLimit = 2 * time.Minute // of reading the relays; taking in what they told has as long as it needs
)

// telemetry is what is known from the history.
type telemetry struct {
	collected web.Collected
	figures   map[string]stats.Figure
	charts    []stats.Series
	events    []web.Event
	relays    map[string]history.Relay // by node
	failures  map[string]uint64        // by node: collections of ours that it did not answer in; nil: none was ours
}

// fresh is since when something must have been collected to say anything of now.
func fresh(now time.Time, every time.Duration) time.Time {
	return now.Add(-max(3*every, 10*time.Minute))
}

// board puts on a board what was collected. What is of a moment, and that was too long ago,
// is left out: how the last collection went, and who is connected.
func (t telemetry) board(out *web.Fleet, fresh time.Time) {
	out.Collected, out.Figures, out.Charts = t.collected, t.figures, t.charts
	if t.collected.At.Before(fresh) {
		out.Figures = maps.Clone(t.figures)
		delete(out.Figures, "concurrent_peers")
		return
	}
	answered := 0
	for _, r := range t.relays {
		if r.Error == "" && !r.LastAsked.Before(fresh) {
			answered++
		}
	}
	out.Collected.Answered = &answered
}

// of adds to a relay what it counts. What was collected too long ago is left out.
func (t telemetry) of(r web.Relay, spec fleet.Spec, fresh time.Time) web.Relay {
	if limit := spec.Relay.Limits.Reservations; limit > 0 {
		r.ReservationLimit = &limit
	}
	known, ok := t.relays[r.Node]
	if !known.LastAnswered.IsZero() { // old until another daemon answers us, or tells the look a version
		r.Old = new(known.Old && r.Version == "")
	}
	if !ok || known.LastAsked.IsZero() || known.LastAsked.Before(fresh) {
		return r
	}
	answering := known.Error == ""
	r.Answering = &answering
	if t.failures != nil {
		r.Failures = new(t.failures[r.Node])
	}
	damaged := slices.ContainsFunc(known.Damaged, stats.DamagesCensus)
	if answering {
		r.CensusDamaged = &damaged
	}
	if g := known.Gauges; answering && g != nil && r.State != "down" && r.State != "unreadable" {
		r.Users = &g.Users
		if g.ReservationLimit > 0 {
			r.ReservationLimit = &g.ReservationLimit
		}
	}
	return r
}

// collect reads every relay into the history, unless somebody else does, and shows what
// the history says then.
func (w *watcher) collect(ctx context.Context, s *session) {
	began := time.Now()
	mine, err := w.store.open(ctx, s)
	var silent []string
	if err == nil && mine {
		silent, err = w.ingest(ctx, s)
	}
	took := time.Since(began)
	var t telemetry
	if err == nil {
		err = w.store.with(func(store *history.Store) (err error) {
			t, err = newTelemetry(ctx, store, w.now())
			return err
		})
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	w.note(func(v *seen) {
		t.failures = v.telemetry.failures
		if t.failures == nil && mine {
			t.failures = make(map[string]uint64)
		}
		for _, node := range silent {
			t.failures[node]++
		}
		if err != nil && !(errors.Is(err, history.ErrNone) && w.flags.noCollect) {
			old := v.telemetry
			old.collected.Error, old.failures = err.Error(), t.failures
			v.telemetry = old
			return
		}
		if mine {
			t.collected.Took = took
		}
		v.telemetry = t
	})
}

// ingest makes one collection, and returns the nodes that did not answer.
func (w *watcher) ingest(ctx context.Context, s *session) (silent []string, err error) {
	var cursors map[string]string
	if err := w.store.with(func(store *history.Store) (err error) {
		cursors, err = store.Cursors(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	machines, err := w.machines(ctx, s)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, readLimit/2)
	defer cancel()
	readings := s.ask(limited, patience{box: readLimit / 4, total: readLimit / 2}, machines, s.after(cursors))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	err = w.store.with(func(store *history.Store) error {
		summary, err := store.Ingest(ctx, w.now(), readings)
		silent = summary.Missing
		return err
	})
	return silent, err
}

// machines lists the machines of the fleet: as they were when they were last listed, while
// the API of the provider does not answer.
func (w *watcher) machines(ctx context.Context, s *session) ([]fleet.Machine, error) {
	limited, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	machines, err := s.b.Provider.Machines(limited)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && len(w.seen.roster.machines) > 0 {
		return w.seen.roster.machines, nil
	}
	return machines, err
}

// newTelemetry reads what is shown from the history.
func newTelemetry(ctx context.Context, store *history.Store, now time.Time) (telemetry, error) {
	t := telemetry{relays: make(map[string]history.Relay)}
	relays, err := store.Relays(ctx)
	if err != nil {
		return t, err
	}
	first := now
	for _, r := range relays {
		if first.After(r.Since) && !r.Since.IsZero() {
			first = r.Since
		}
		t.collected.At = later(t.collected.At, r.LastAnswered.UTC())
		if !r.Retired.IsZero() {
			continue
		}
		t.relays[r.Node] = r
	}
	figures, err := store.Figures(ctx, now)
	if err != nil {
		return t, err
	}
	t.figures = figures.Values
	for _, metric := range []string{"lifetime_unique_peers", "active_peers_24h", "concurrent_peers"} {
		series, err := store.Series(ctx, metric, history.Query{Since: later(first, now.Add(-chartSpan)), Until: now})
		if err != nil {
			return t, err
		}
		t.charts = append(t.charts, series...)
	}
	events, err := store.Events(ctx, time.Time{}, time.Time{}, eventsShown)
	for _, e := range events {
		text := e.Text
		if e.Node != "" && !strings.HasPrefix(text, e.Node) {
			text = e.Node + ": " + text
		}
		t.events = append(t.events, web.Event{At: e.At.UTC(), Kind: "collection", Node: e.Node, Text: text})
	}
	return t, err
}

// keeper keeps the history open: as its collector if nobody else is, else to read it. It
// is safe for concurrent use.
type keeper struct {
	collect bool // be the collector if that can be

	mu    sync.RWMutex
	store *history.Store // nil: not open
	shut  error          // why it could not be opened, nil if nobody tried
	mine  bool
}

// open opens the history of a session's fleet, and reports whether we are its collector.
// A fleet without a state directory was never brought up: it has none, and none is made.
func (k *keeper) open(ctx context.Context, s *session) (mine bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() { k.shut = err }()
	if k.store != nil && (k.mine || !k.collect) {
		return k.mine, nil
	}
	if !s.dir.Exists() {
		return false, history.ErrNone
	}
	path := s.dir.Join(history.FileName)
	if k.collect {
		store, err := history.Open(ctx, path, history.Options{Collector: true})
		switch {
		case err == nil:
			if k.store != nil {
				err = k.store.Close()
			}
			k.store, k.mine = store, true
			return true, err
		case !errors.Is(err, history.ErrLocked):
			return false, err
		}
	}
	if k.store == nil {
		if k.store, err = history.Open(ctx, path, history.Options{ReadOnly: true}); err != nil {
			k.store = nil
		}
	}
	return false, err
}

// with reads or writes the history. If it is not open, it returns why, [history.ErrNone] if
// nobody tried.
func (k *keeper) with(f func(*history.Store) error) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch {
	case k.store != nil:
		return f(k.store)
	case k.shut != nil:
		return k.shut
	}
	return history.ErrNone
}

func (k *keeper) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.store == nil {
		return nil
	}
	err := k.store.Close()
	k.store, k.mine = nil, false
	return err
}
