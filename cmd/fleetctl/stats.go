package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// statsParallel is how many boxes are asked at once.
const statsParallel = 100

func newStats(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Say who uses the network",
		Long: `Say who uses the network: sums over the fleet and a row for every relay, also for the
ones that did not answer. What is not known is said so and is never 0.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("stats")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			done := a.busy("asking every relay of fleet " + s.spec.Name)
			snapshot, err := s.stats(cmd.Context())
			done()
			if err != nil {
				return err
			}
			v := statsView{snapshot}
			return errors.Join(a.show(v), v.problem())
		},
	}
}

// stats reads every box and merges.
func (s *session) stats(ctx context.Context) (stats.Snapshot, error) {
	machines, err := s.b.Provider.Machines(ctx)
	if err != nil {
		return stats.Snapshot{}, err
	}
	held := make(map[string]bool)
	for _, m := range machines {
		held[m.Node] = true
	}
	readings := make([]stats.Reading, len(machines))
	var group errgroup.Group
	group.SetLimit(statsParallel)
	for i, m := range machines {
		group.Go(func() error {
			if m.Status != fleet.StatusRunning {
				readings[i] = stats.Reading{Node: m.Node, Region: m.Region, Err: fmt.Errorf("the machine is %s", m.Status)}
				return nil
			}
			readings[i] = s.hosts.Report(ctx, m)
			return nil
		})
	}
	_ = group.Wait()
	for _, slot := range s.spec.Slots() {
		if !held[slot.Node] {
			readings = append(readings, stats.Reading{Node: slot.Node, Region: slot.Region, Err: errors.New("it has no machine")})
		}
	}
	return stats.Merge(s.app.now(), readings), ctx.Err()
}

// statsView is what `fleetctl stats` says. Its JSON is the snapshot.
type statsView struct{ stats.Snapshot }

func (v statsView) Table() render.Table {
	var rate any
	if r, ok := v.HolePunches.Rate(); ok {
		rate = fmt.Sprintf("%.1f %%", 100*r)
	} else {
		rate = "not observable by relays"
	}
	t := render.Table{
		Facts: []render.Fact{
			{Name: "lifetime unique peers", Value: v.LifetimeUniquePeers},
			{Name: "connected, sum of relays", Value: v.Connected},
			{Name: "peak concurrent, one relay", Value: v.Peak},
			{Name: "hole-punch success rate", Value: rate},
			{Name: "reservations served", Value: v.Reservations},
			{Name: "circuits established", Value: v.Circuits},
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
		t.Rows = append(t.Rows, []any{
			r.Node, r.Status, r.Connected, r.Peak, r.LifetimeUniquePeers, r.Reservations, r.Circuits, uptime, r.NATStatus, render.PeerID(r.PeerID),
		})
		for _, w := range r.Warnings {
			t.Notes = append(t.Notes, r.Node+": "+w)
		}
	}
	return t
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
		if r.Status != stats.StatusOK {
			err := fmt.Errorf("%s: %s: %s", r.Node, r.Status, r.Error)
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, lookAt(r.Node, err))))
		}
	}
	return errors.Join(errs...)
}
