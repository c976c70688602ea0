package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/statedir"
)

// pastDays is how many days the bars of `fleetctl stats` are.
const pastDays = 30

// withHistory opens the history of the fleet that the spec names, and closes it after f.
// Nothing is asked over the network.
func (a *app) withHistory(ctx context.Context, cmd *cobra.Command, o history.Options, f func(*history.Store) error) (err error) {
	spec, err := a.loadSpec()
	if err != nil {
		return err
	}
	open := a.openState
	if o.ReadOnly {
		open = a.readState
	}
	dir, err := open(spec)
	if err != nil {
		return err
	}
	store, err := openHistory(ctx, dir, o)
	if err != nil {
		return fmt.Errorf("%s: %w", path(cmd), err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(store)
}

// openHistory opens the history in a fleet's state directory. Its error has the exit code
// that it deserves.
func openHistory(ctx context.Context, dir *statedir.Dir, o history.Options) (*history.Store, error) {
	file := dir.Join(history.FileName)
	if o.ReadOnly && !dir.Exists() {
		return nil, explainHistory(history.ErrNone)
	}
	store, err := history.Open(ctx, file, o)
	return store, explainHistory(err)
}

// explainHistory gives an error of the history its exit code, and a hint where it has none.
func explainHistory(err error) error {
	switch {
	case errors.Is(err, history.ErrLocked):
		return withCode(exitLocked, fleet.WithHint(err, "wait for it to end, or end it: 'fleetctl stats collect --every' and 'fleetctl serve' collect until they are stopped"))
	case errors.Is(err, history.ErrNone):
		return fleet.WithHint(err, "run 'fleetctl stats collect', once or from a timer")
	}
	return err
}

// warnOf says what is wrong where that is no reason to stop, and what to do about it.
func (a *app) warnOf(err error) {
	text := err.Error()
	if hint := fleet.Hint(err); hint != "" {
		text += "; " + hint
	}
	a.say("fleetctl: warning: %s", text)
}

// keptHistory opens it for a command that can say something of now without it: nil where
// there is none, and where it cannot be read, which is told.
func (s *session) keptHistory(ctx context.Context) *history.Store {
	store, err := openHistory(ctx, s.dir, history.Options{ReadOnly: true})
	if err == nil {
		return store
	}
	if !errors.Is(err, history.ErrNone) {
		s.app.warnOf(err)
	}
	return nil
}

// bars reads what the bars of `fleetctl stats` show; nil is none. What is wrong is told.
func (s *session) bars(ctx context.Context, store *history.Store) map[string][]*float64 {
	now := s.app.now()
	past := make(map[string][]*float64)
	for _, metric := range []string{"lifetime_unique_peers", "concurrent_peers", "peak_concurrent_peers"} {
		all, err := store.Series(ctx, metric, history.Query{Since: now.AddDate(0, 0, -pastDays), Until: now, Step: history.StepDay})
		if err != nil {
			s.app.warnOf(err)
			return nil
		}
		for _, one := range all {
			for _, p := range one.Points {
				past[metric] = append(past[metric], p.Value)
			}
		}
	}
	return past
}
