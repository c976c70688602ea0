package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func newStatsDiff(a *app) *cobra.Command {
	since := span(7 * 24 * time.Hour)
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Compare the figures of now with those of a while ago",
		Long: `Compare the figures of now with those of a while ago, from what 'stats collect' has read, and
list what happened between. What is counted over a time (new peers, joins, bytes) is that of
the time between.`,
		Example:           `  fleetctl stats diff --since 7d`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withHistory(cmd.Context(), cmd, history.Options{ReadOnly: true}, func(store *history.Store) error {
				now := a.now()
				d, err := store.Diff(cmd.Context(), now.Add(-time.Duration(since)), now)
				if err != nil {
					return err
				}
				return a.show(diffView{d})
			})
		},
	}
	cmd.Flags().Var(&since, "since", "compare with so `long` ago: 12h, 7d, 4w")
	return cmd
}

// diffView is what `fleetctl stats diff` says.
type diffView struct{ history.Diff }

func (v diffView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{
			{Name: "metric"}, {Name: "label"}, {Name: "before"}, {Name: "after"}, {Name: "delta"},
			{Name: "unit", Drop: 1}, {Name: "at least", Show: render.CSVOnly}, {Name: "missing", Show: render.CSVOnly},
			{Name: "since", Show: render.CSVOnly},
		},
		Facts: []render.Fact{{Name: "from", Value: v.Since}, {Name: "to", Value: v.Until}},
		Empty: "nothing is known of this time",
	}
	missing := newAbsent()
	for _, c := range v.Changes {
		if c.Label != "" && c.Before.Value == nil && c.After.Value == nil {
			continue // a part of which nothing is known; the whole says so
		}
		for _, f := range []stats.Figure{c.Before, c.After} {
			if f.Value != nil {
				missing.take(f)
			}
		}
		delta := c.Delta
		if c.Unit == "1" && delta != nil {
			percent := 100 * *delta
			delta = &percent
		}
		t.Rows = append(t.Rows, []any{
			c.Metric, c.Label, figureCell(c.Before, c.Unit), figureCell(c.After, c.Unit), deltaCell(delta, c.DeltaExact),
			c.Unit, c.Before.AtLeast || c.After.AtLeast, missingOf(c), c.After.Since.Time,
		})
	}
	t.Notes = missing.notes()
	if len(v.Events) > 0 {
		more := render.Table{Title: "what happened", Columns: []render.Column{{Name: "at"}, {Name: "node"}, {Name: "what"}, {Name: "text"}}}
		for _, e := range v.Events {
			more.Rows = append(more.Rows, []any{e.At, e.Node, string(e.Kind), e.Text})
		}
		t.More = append(t.More, more)
	}
	return t
}

// deltaCell is a difference for people: "≈" where it is of figures that are not all there.
func deltaCell(delta *float64, exact bool) any {
	cell := figureCell(stats.Figure{Value: delta}, "")
	if delta == nil || exact {
		return cell
	}
	return render.Toned{Value: render.Marked{Mark: "≈", Value: cell}, Tone: render.Warn}
}

// missingOf are the nodes whose part is missing at either time.
func missingOf(c history.Change) []string {
	nodes := slices.Concat(c.Before.Missing, c.After.Missing)
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// cohorts shows the retention by weekly cohort, as many weeks as p looks back.
func (a *app) cohorts(cmd *cobra.Command, store *history.Store, p period, o *ownOutput, out *outFile) error {
	if o.form != "" {
		return fmt.Errorf("%s: -o %s: a table by week is not kept in this form", path(cmd), o.form)
	}
	weeks := int((time.Duration(p.since) + 7*24*time.Hour - 1) / (7 * 24 * time.Hour))
	found, err := store.Cohorts(cmd.Context(), a.now(), weeks)
	if err != nil {
		return err
	}
	return out.show(a, cmd, cohortsView{Cohorts: found})
}

// weekly refuses what a table by week cannot be.
func (p *period) weekly(cmd *cobra.Command, m stats.Metric) error {
	if p.by || p.step.Step != "" && p.step.Step != history.StepWeek {
		err := fmt.Errorf("%s: %s is a table by week", path(cmd), m.Name)
		return fleet.WithHint(err, "leave --step and --by out")
	}
	return nil
}

// cohortsView is `fleetctl stats history --metric retention`.
type cohortsView struct {
	Cohorts []history.Cohort `json:"cohorts"`
}

// Table has a row for each week and a column for each week after it, in percent.
func (v cohortsView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "week (UTC)"}, {Name: "peers"}}, Empty: "nobody is known yet"}
	most := 0
	for _, c := range v.Cohorts {
		most = max(most, len(c.Active))
	}
	for i := range most {
		t.Columns = append(t.Columns, render.Column{Name: fmt.Sprintf("+%dw %%", i), Drop: i})
	}
	missing := newAbsent()
	for _, c := range v.Cohorts {
		row := []any{c.Week.Format(time.DateOnly), c.Peers}
		for i := range most {
			if i >= len(c.Active) {
				row = append(row, "")
				continue
			}
			row = append(row, shareCell(c.Active[i], c.Peers))
			missing.take(c.Active[i])
		}
		t.Rows = append(t.Rows, row)
	}
	t.Notes = missing.notes()
	if most > 0 {
		t.Notes = append(t.Notes, "weeks begin on Mondays, 00:00 UTC; the last figure of a row is of a week that is not over")
	}
	return t
}

// CSV has a row for each week after each week.
func (v cohortsView) CSV() render.Table {
	t := render.Table{}
	for _, name := range []string{"week", "peers", "weeks_later", "active", "at_least", "missing", "since", "error"} {
		t.Columns = append(t.Columns, render.Column{Name: name})
	}
	for _, c := range v.Cohorts {
		for later, f := range c.Active {
			t.Rows = append(t.Rows, []any{
				c.Week.Format(time.DateOnly), c.Peers, later, f.Value, f.AtLeast, f.Missing, f.Since.Time, f.Error,
			})
		}
	}
	return t
}

// shareCell is how many percent of all a figure is.
func shareCell(f stats.Figure, all uint64) any {
	if f.Value == nil || all == 0 {
		return nil
	}
	share := *f.Value / float64(all)
	f.Value = &share
	return figureCell(f, "1")
}
