package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/web"
)

// How often what serve watches is read, beside what flags say.
const (
	signEvery     = 2 * time.Second  // each relay: is it there?
	restAfterLook = 10 * time.Second // a whole look at most so soon after another
	surveyEvery   = time.Minute      // the DNS servers
	costEvery     = time.Hour        // the provider's prices
	costRetry     = time.Minute      // the same after they could not be read
	changeEvery   = 2 * time.Second  // fleet.yaml
	surveyLimit   = 30 * time.Second // one survey
)

// watcher keeps a board of what is known of a fleet. Each of its loops reads one kind of
// thing, notes it under the lock, and composes the board anew. It is a [web.Source].
type watcher struct {
	app   *app
	flags serveFlags
	log   *slog.Logger
	board *web.Board
	store *keeper
	again chan struct{} // asks for a whole look now

	mu      sync.Mutex
	session *session // nil between two of them
	tunnels *tunnels // of the session
	seen    seen
}

// seen is everything that the board is composed of.
type seen struct {
	spec      fleet.Spec
	specError error // why fleet.yaml as it is now is not the one that is watched
	look      look  // the last whole one
	roster    roster
	signs     map[string]sign
	servers   []web.NameServer
	cost      []web.Cost
	telemetry telemetry
	events    []web.Event // that were seen happening, the newest first
}

// errChanged ends a session whose fleet.yaml or state directory is another one now.
var errChanged = errors.New("the fleet is described anew")

func (a *app) watcher(f serveFlags) (*watcher, error) {
	s, err := a.read("serve")
	if err != nil {
		return nil, err
	}
	w := &watcher{app: a, flags: f, log: a.logger(), again: make(chan struct{}, 1), session: s}
	w.store = &keeper{collect: !f.noCollect}
	w.seen = seen{spec: s.spec, signs: make(map[string]sign)}
	w.board = web.NewBoard(compose(w.seen, w.now(), f))
	return w, nil
}

// now is the time to the second: what is shown has no use for more.
func (w *watcher) now() time.Time { return w.app.now().UTC() }

func (w *watcher) name() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.spec.Name
}

// Look is the newest that is known.
func (w *watcher) Look() web.Look { return w.board.Look() }

// note changes what was seen, and shows it.
func (w *watcher) note(change func(*seen)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.seen)
	before := w.board.Look().Fleet
	now := w.now()
	f := compose(w.seen, now, w.flags)
	if happened := transitions(before, f, now); len(happened) > 0 {
		w.seen.events = newest(happened, w.seen.events)
		f = compose(w.seen, now, w.flags)
	}
	w.board.Set(f)
}

// run watches until ctx ends. A fleet.yaml that changes is followed.
func (w *watcher) run(ctx context.Context) error {
	for {
		err := w.watch(ctx, w.current())
		w.mu.Lock()
		ended := w.session
		w.session, w.tunnels = nil, nil
		w.mu.Unlock()
		err = errors.Join(err, w.store.close(), ended.close())
		if !errors.Is(err, errChanged) || ctx.Err() != nil {
			return err
		}
		if err := w.reopen(ctx); err != nil {
			return err
		}
	}
}

func (w *watcher) current() *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.session
}

// reopen opens a session for the fleet as it is described now. Until that can be, the
// board says why.
func (w *watcher) reopen(ctx context.Context) error {
	tick := time.NewTicker(changeEvery)
	defer tick.Stop()
	for {
		s, err := w.app.read("serve")
		if err == nil {
			w.mu.Lock()
			w.session = s
			w.mu.Unlock()
			w.note(func(v *seen) {
				old := *v
				*v = seen{spec: s.spec, signs: make(map[string]sign)}
				if old.spec.Name != s.spec.Name || old.spec.ID != s.spec.ID { // another fleet
					return
				}
				v.telemetry, v.events = old.telemetry, old.events
				if old.spec.Provider == s.spec.Provider {
					v.roster = old.roster
				}
			})
			return nil
		}
		w.note(func(v *seen) { v.specError, v.look, v.signs = err, look{}, map[string]sign{} })
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// watch runs every loop on one session until one of them ends.
func (w *watcher) watch(ctx context.Context, s *session) error {
	group, ctx := errgroup.WithContext(ctx)
	tunnels := newTunnels(s)
	defer tunnels.close()
	w.mu.Lock()
	w.tunnels = tunnels
	w.mu.Unlock()
	every := func(pause time.Duration, f func()) {
		group.Go(func() error { return rhythm{pause: pause}.repeat(ctx, f) })
	}
	group.Go(func() error { return w.looks(ctx, s.look) })
	every(signEvery, func() { w.ask(ctx, tunnels) })
	every(surveyEvery, func() { w.survey(ctx, s) })
	group.Go(func() error { return prices(ctx, func() error { return w.price(ctx, s) }) })
	every(w.flags.every, func() { w.collect(ctx, s) })
	group.Go(func() error { return w.changes(ctx, s) })
	return group.Wait()
}

// looks reads the whole fleet, again after a while or, when it was quiet, as soon as
// something is another way: a relay that comes and goes is no reason to look all the time.
func (w *watcher) looks(ctx context.Context, look func(context.Context) look) error {
	r := rhythm{pause: w.flags.look, rest: min(w.flags.look, restAfterLook), again: w.again}
	return r.repeat(ctx, func() {
		if taken := look(ctx); ctx.Err() == nil {
			w.took(taken)
		}
	})
}

// took notes a look at the whole fleet. A list of its machines that could not be read leaves
// the one before in use.
func (w *watcher) took(taken look) {
	w.note(func(v *seen) {
		v.look = taken
		if taken.state.Machines.OK() {
			v.roster = roster{taken.begun, taken.state.Machines.Value}
		}
	})
}

// lookAgain asks for a whole look, unless one is asked for already.
func (w *watcher) lookAgain() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// changes ends the session when the spec or the state directory is another one. A spec
// with errors is told of, and the one before goes on being watched.
func (w *watcher) changes(ctx context.Context, s *session) error {
	path := w.app.specPath()
	// What connect saw, or nearly: a change in between is one more session.
	read, _ := os.ReadFile(path) //nolint:gosec // the operator's spec
	there, told := s.dir.Exists(), ""
	tick := time.NewTicker(changeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if s.dir.Exists() != there {
			return errChanged
		}
		text, err := os.ReadFile(path) //nolint:gosec // the same
		if err == nil && bytes.Equal(text, read) {
			continue
		}
		read = text
		_, err = w.app.loadSpec()
		if err == nil {
			return errChanged
		}
		if err.Error() != told {
			told = err.Error()
			w.note(func(v *seen) { v.specError = err })
		}
	}
}

// survey asks the DNS servers that `fleetctl verify` asks.
func (w *watcher) survey(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	sources, unheard, err := s.sources(ctx, servers{}, true)
	if err != nil {
		w.lost(err)
		return
	}
	found, err := s.survey(ctx, sources, unheard)
	if err != nil {
		w.lost(err)
		return
	}
	asked := []web.NameServer{}
	for _, r := range found.readings {
		one := web.NameServer{Name: r.Source.Server.String(), State: string(r.State)}
		switch {
		case r.Err != nil:
			one.Detail = r.Err.Error()
		case len(r.Missing)+len(r.Old) > 0:
			one.Detail = difference(r)
		}
		asked = append(asked, one)
	}
	w.note(func(v *seen) { v.servers = asked })
}

// lost notes that what is known of the DNS servers is of before. Where none is known yet,
// one stands for those of the zone.
func (w *watcher) lost(err error) {
	w.note(func(v *seen) {
		v.servers = slices.Clone(v.servers)
		if len(v.servers) == 0 {
			v.servers = []web.NameServer{{Name: "of " + v.spec.DNS.RecordName()}}
		}
		for i := range v.servers {
			v.servers[i].State, v.servers[i].Detail = string(resolve.Unknown), err.Error()
		}
	})
}

// prices asks for prices until ctx ends, sooner again where they could not be read.
func prices(ctx context.Context, ask func() error) error {
	for ctx.Err() == nil {
		pause := costEvery
		if ask() != nil {
			pause = costRetry
		}
		wait(ctx, pause, nil)
	}
	return ctx.Err()
}

// price asks the provider what the machines cost. An old price may be a wrong one, and so
// is that of some of them.
func (w *watcher) price(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	var cost []web.Cost // not known
	quote, err := s.b.Provider.Quote(ctx, nil)
	switch monthly := quote.Monthly().Known(); {
	case err != nil:
	case quote.Currency == "":
		cost = []web.Cost{}
	case monthly != nil:
		cost = []web.Cost{{Currency: quote.Currency, Monthly: *monthly}}
	}
	w.note(func(v *seen) { v.cost = cost })
	return err
}
