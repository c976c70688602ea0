package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/stats"
)

func newUsage(a *app) *cobra.Command {
	var wait patience
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Say how full the fleet is, and what a peer costs",
		Long: `Say how full the fleet is: the reservations that each relay holds of those that it may give,
its memory, the bytes that it relayed this month beside what the plan of its machine includes,
and what the fleet costs for each peer that was active in the last 30 days.

The bytes of this month are those of users and of whoever says that it is a probe or a relay
of the fleet, which anybody can: all of them are transfer. What a relay counted for either since
its counters began stands beside it, as users' bytes and own bytes. Those of the month are of the
history that 'fleetctl stats collect' and 'fleetctl serve' keep, as of its last collection, and at
least so many if that was more than an hour ago; without one they are not known. Active peers are
of then, too. What is not known is said so and is never 0.
Exit 3 if a relay did not answer, or says that files it counts in are damaged.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := wait.check(cmd); err != nil {
				return err
			}
			s, err := a.read("usage")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			done := a.busy("asking every relay of fleet " + s.spec.Name)
			found, err := s.usage(cmd.Context(), wait)
			done()
			if err != nil {
				return err
			}
			v := newUsageView(s.spec.Name, found)
			return errors.Join(a.show(v), v.problem())
		},
	}
	wait.register(cmd)
	return cmd
}

// usage is what the view of the command is made of.
type usage struct {
	at       time.Time
	readings []stats.Reading
	quote    fleet.Observed[fleet.Quote]
	active   stats.Figure            // peers of the last 30 days
	since    time.Time               // when the month began
	month    map[string]stats.Figure // bytes relayed for users since then, by node; nil: no history
	own      map[string]stats.Figure // and for whoever says that it is of the fleet

	collected time.Time            // when the history was last told of the fleet; zero: never
	told      map[string]time.Time // and of each node, which answered then; zero: never
}

// usage asks the relays, the provider and the history.
func (s *session) usage(ctx context.Context, wait patience) (usage, error) {
	u := usage{at: s.app.now().UTC().Truncate(time.Second)}
	u.since = time.Date(u.at.Year(), u.at.Month(), 1, 0, 0, 0, 0, time.UTC)
	cursors, err := s.kept(ctx, &u)
	if err != nil {
		return u, err
	}
	u.readings, err = s.readings(ctx, wait, func(ctx context.Context, m fleet.Machine) stats.Reading {
		return s.hosts.Collect(ctx, m, cursors[m.Node])
	})
	if err != nil {
		return u, err
	}
	if u.active.Value == nil {
		u.active = activeOf(stats.Merge(u.at, u.readings))
	}
	u.quote.Value, u.quote.Err = s.b.Provider.Quote(ctx, nil)
	return u, ctx.Err()
}

// kept reads the history, if there is one, and returns how far it knows each census:
// what it knows already need not be sent again.
func (s *session) kept(ctx context.Context, u *usage) (cursors map[string]string, err error) {
	store, err := openHistory(ctx, s.dir, history.Options{ReadOnly: true})
	if errors.Is(err, history.ErrNone) {
		return nil, nil
	}
	if errors.Is(err, history.ErrOlder) { // what the relays say is known without it
		s.app.warnOf(err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	figures, err := store.Figures(ctx, u.at)
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	u.collected = figures.At
	u.active = figures.Values["active_peers_30d"]
	u.active.Since.Time = figures.At // who did not answer then is missing
	relays, err := store.Relays(ctx)
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	u.told = make(map[string]time.Time, len(relays))
	for _, r := range relays {
		u.told[r.Node] = r.LastAnswered
	}
	for metric, into := range map[string]*map[string]stats.Figure{"bytes_relayed": &u.month, "own_bytes_relayed": &u.own} {
		if *into, err = u.monthOf(ctx, store, metric); err != nil {
			return nil, fmt.Errorf("usage: %w", err)
		}
	}
	if u.active.Value == nil {
		return nil, nil
	}
	return store.Cursors(ctx)
}

// monthOf is what a counter of each node grew by since the month began.
func (u *usage) monthOf(ctx context.Context, store *history.Store, metric string) (map[string]stats.Figure, error) {
	all, err := store.Series(ctx, metric, history.Query{Since: u.since, Until: u.at, Step: history.StepMonth, Location: time.UTC, By: true})
	month := make(map[string]stats.Figure)
	for _, one := range all {
		if n := len(one.Points); n > 0 && one.Label != "" {
			month[one.Label] = one.Points[n-1].Figure
		}
	}
	return month, err
}

// activeOf counts the peers of the last 30 days in censuses that were just read.
func activeOf(s stats.Snapshot) stats.Figure {
	f := stats.Figure{Missing: []string{}, Since: stats.Time{Time: s.GeneratedAt}}
	if s.Active30d == nil {
		return f
	}
	value := float64(*s.Active30d)
	f.Value = &value
	for _, r := range s.Relays {
		if r.LifetimeUniquePeers == nil {
			f.Missing = append(f.Missing, r.Node)
		}
	}
	f.AtLeast = len(f.Missing) > 0 || s.Partial
	return f
}
