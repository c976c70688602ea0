package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func newStats(a *app) *cobra.Command {
	var wait patience
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Say who uses the network",
		Long: `Say who uses the network: sums over the fleet and a row for every relay, also for the
ones that did not answer. What is not known is said so and is never 0; a sum in which
somebody's part is missing is called "at least". Exit 3 if anything is missing.

'stats collect' appends to a history, which the other commands read. Where there is one, it
is in the lifetime and in those active lately: a relay that lost its census lowers neither.`,
		Example: `  fleetctl stats --csv >> stats.csv
  fleetctl stats collect --every 1m
  fleetctl stats chart lifetime --since 30d -o svg --out lifetime.svg`,
		Args:              noCommand,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := wait.check(cmd); err != nil {
				return err
			}
			s, err := a.read("stats")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			store := s.keptHistory(cmd.Context())
			if store != nil {
				defer func() { _ = store.Close() }() // it was only read
			}
			done := a.busy("asking every relay of fleet " + s.spec.Name)
			snapshot, untold, err := s.stats(cmd.Context(), wait, store)
			done()
			if err != nil {
				return err
			}
			if untold != nil {
				a.warnOf(untold)
			}
			v := statsView{Snapshot: snapshot}
			if store != nil && a.outOptions().Graphic {
				v.past = s.bars(cmd.Context(), store)
			}
			return errors.Join(a.show(v), v.problem())
		},
	}
	wait.register(cmd)
	cmd.AddCommand(
		newStatsCollect(a), newStatsHistory(a), newStatsChart(a), newStatsDiff(a),
		newStatsExplain(a), newStatsExport(a), newStatsImport(a), newStatsForget(a), newStatsCount(a),
	)
	return cmd
}

// noCommand takes no arguments: the words that a command with others below it knows are
// theirs.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

// wholeReading reads all that a relay knows, and what is wrong with its files.
func (s *session) wholeReading(ctx context.Context, m fleet.Machine) stats.Reading {
	r := s.hosts.Collect(ctx, m, "")
	if r.Telemetry != nil {
		r.Warnings = append(r.Warnings, r.Telemetry.Damaged...)
	}
	return r
}

// stats reads every box, and the history meanwhile, and merges. A nil store is none; untold
// is why it could not be read, and the snapshot is then without it.
func (s *session) stats(ctx context.Context, wait patience, store *history.Store) (_ stats.Snapshot, untold, err error) {
	var past *stats.Past
	var reading sync.WaitGroup
	if store != nil {
		reading.Go(func() { past, untold = store.Past(ctx) })
	}
	readings, err := s.readings(ctx, wait, s.wholeReading)
	reading.Wait()
	if err != nil {
		return stats.Snapshot{}, nil, err
	}
	return stats.MergeOnto(past, s.app.now(), readings), untold, nil
}

// statsView is what `fleetctl stats` says. Its JSON is the snapshot.
type statsView struct {
	stats.Snapshot
	past map[string][]*float64 // by metric, of the last days; nil where there is no history
}

// of is a sum: what is known of it, and that it is more if somebody's part is missing.
func (v statsView) of(sum *uint64, missing bool, metric string) any {
	if sum == nil || !missing {
		return render.Trend{Value: sum, Past: v.past[metric]}
	}
	return render.Trend{Value: render.Toned{Value: fmt.Sprintf("at least %d", *sum), Tone: render.Warn}, Past: v.past[metric]}
}

func (v statsView) Table() render.Table {
	silent := len(v.Unreachable) > 0
	unknown, lost := len(v.HistoryMissing) > 0, false
	for i := range v.Relays {
		unknown = unknown || !v.Relays[i].CensusWhole()
		lost = lost || v.Relays[i].CountersDamaged()
	}
	var rate any
	if r, ok := v.HolePunches.Rate(); ok {
		rate = fmt.Sprintf("%.1f %%", 100*r)
	} else {
		rate = "not observable by relays"
	}
	t := render.Table{
		Facts: []render.Fact{
			{Name: "lifetime unique peers", Value: v.of(v.LifetimeUniquePeers, unknown, "lifetime_unique_peers")},
			{Name: "lifetime counted in", Value: v.counted()},
			{Name: "connected, sum of relays", Value: v.of(v.Connected, silent, "concurrent_peers")},
			{Name: "peak concurrent, one relay", Value: v.of(v.Peak, silent, "peak_concurrent_peers")},
			{Name: "hole-punch success rate", Value: rate},
			{Name: "reservations served", Value: v.of(v.Reservations, lost || v.untold(func(r stats.RelayRow) *uint64 { return r.Reservations }), "")},
			{Name: "circuits established", Value: v.of(v.Circuits, lost || v.untold(func(r stats.RelayRow) *uint64 { return r.Circuits }), "")},
			{Name: "relays answering", Value: fmt.Sprintf("%d of %d", len(v.Relays)-len(v.Unreachable), len(v.Relays))},
			{Name: "as of", Value: v.GeneratedAt},
		},
		Columns: []render.Column{
			{Name: "node"}, {Name: "status"}, {Name: "connected"}, {Name: "peak"}, {Name: "lifetime"}, {Name: "reservations"},
			{Name: "circuits"}, {Name: "uptime h", Drop: 1}, {Name: "nat", Drop: 2}, {Name: "peer id", Drop: 3},
		},
		Empty: "no relays",
	}
	for _, r := range v.Relays {
		var uptime any
		if r.UptimeSecs != nil {
			uptime = float64(*r.UptimeSecs) / 3600
		}
		lifetime := any(r.LifetimeUniquePeers)
		if !r.CensusWhole() {
			lifetime = render.Marked{Mark: "≥", Value: lifetime}
		}
		status, granted, circuits := any(r.Status), any(r.Reservations), any(r.Circuits)
		if r.CountersDamaged() {
			granted, circuits = render.Marked{Mark: "≥", Value: granted}, render.Marked{Mark: "≥", Value: circuits}
			if r.CensusWhole() {
				status = "damaged counters"
			}
		}
		t.Rows = append(t.Rows, []any{
			r.Node, status, r.Connected, r.Peak, lifetime, granted, circuits, uptime, r.NATStatus, render.PeerID(r.PeerID),
		})
		if r.Old != nil && *r.Old {
			t.Notes = append(t.Notes, oldNote(r.Node))
		}
		for _, w := range r.Warnings {
			t.Notes = append(t.Notes, r.Node+": "+w)
		}
	}
	if len(v.HistoryMissing) > 0 {
		t.Notes = append(t.Notes, render.Names(v.HistoryMissing, mostNames)+" left the fleet before its census was read to its end: lifetime is without whom it alone met since its last whole reading")
	}
	if len(v.past) > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("the bars are the last %d days of the history", pastDays))
	}
	return t
}

// oldNote says what it means that a relay is an old one.
func oldNote(node string) string {
	return node + ": an old relay, read through its files and its old API: it tells less, and not the time of its clock"
}

// untold reports whether a relay does not tell of a number, because it did not answer or
// its daemon is one that does not count it.
func (v statsView) untold(of func(stats.RelayRow) *uint64) bool {
	return slices.ContainsFunc(v.Relays, func(r stats.RelayRow) bool { return of(r) == nil })
}

// counted says where the peers of a lifetime were found.
func (v statsView) counted() string {
	if v.HistorySince.IsZero() {
		return "the registries as they are now"
	}
	return "the registries, and the history since " + v.HistorySince.UTC().Format(time.DateOnly)
}

// CSV is one row for each relay, in the columns that dashboards know.
func (v statsView) CSV() render.Table {
	var t render.Table
	for _, name := range stats.CSVHeader() {
		t.Columns = append(t.Columns, render.Column{Name: name})
	}
	for _, row := range v.CSVRows() {
		cells := make([]any, len(row))
		for i, c := range row {
			cells[i] = c
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// problem names the relays whose numbers are missing: exit 3.
func (v statsView) problem() error {
	var errs []error
	for _, r := range v.Relays {
		if !r.Status.Whole() {
			err := fmt.Errorf("%s: %s: %s", r.Node, r.Status, cmp.Or(r.Error, strings.Join(r.Warnings, "; ")))
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, hintOf(r.Node, r.Status == stats.StatusUnreachable, err))))
		}
	}
	return errors.Join(errs...)
}

// hintOf says what to do about a relay of which something is missing.
func hintOf(node string, silent bool, err error) error {
	if silent {
		return lookAt(node, err)
	}
	return fleet.WithHint(err, "see why with 'fleetctl logs "+node+"' and 'fleetctl doctor'")
}
