package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/chart"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// The forms of a chart.
const (
	chartSVG  = "svg"
	chartPNG  = "png"
	chartText = "txt"
)

func newStatsChart(a *app) *cobra.Command {
	var p period
	var out outFile
	o := &ownOutput{usual: &a.globals.output, forms: []string{chartText, chartSVG, chartPNG}, only: true}
	cmd := &cobra.Command{
		Use:   "chart METRIC",
		Short: "Draw a figure over time",
		Long: `Draw a figure over time, from what 'stats collect' has read: as text, or as a picture where
-o or the name of --out says so. What nobody knows is a gap; a point that somebody's part is
missing in is marked.`,
		Example: `  fleetctl stats chart lifetime
  fleetctl stats chart concurrent --since 2d --by -o svg --out concurrent.svg`,
		Args:              exactArgs("METRIC"),
		ValidArgsFunction: completeMetric,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			m, err := metricOf(cmd, args[0])
			if err != nil {
				return err
			}
			if m.Kind == stats.KindCohorts {
				err := fmt.Errorf("%s: %s is a table by week", path(cmd), m.Name)
				return fleet.WithHint(err, "run 'fleetctl stats history --metric "+m.Name+"'")
			}
			if err := o.follow(cmd, &out); err != nil {
				return err
			}
			draw, err := drawing(cmd, o.form, out.name)
			if err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), cmd, history.Options{ReadOnly: true}, func(store *history.Store) error {
				series, err := store.Series(cmd.Context(), m.Name, p.query(a.now()))
				if err != nil {
					return err
				}
				c, left := chartOf(m, series, p.tz.Location)
				if o.form == chartText {
					c.Width = out.options(a).Width
				}
				if left > 0 {
					a.say("fleetctl: warning: the %d largest of %d parts are drawn", chart.MaxLines, chart.MaxLines+left)
				}
				err = out.write(a, cmd, o.form != chartPNG, func(w io.Writer) error { return draw(w, c) })
				if errors.Is(err, chart.ErrNothing) {
					err = fmt.Errorf("%s: %s: %w", path(cmd), m.Name, err)
					err = fleet.WithHint(err, "look further back with --since, or run 'fleetctl stats collect' first; 'fleetctl stats explain "+m.Name+"' says what can be known")
				}
				return err
			})
		},
	}
	p.register(cmd, 30*24*time.Hour)
	out.register(cmd)
	ownOutputFlag(cmd, o)
	return cmd
}

// drawing draws a chart in a form. Without one it is text, but not in a file that is
// named as if it were something else.
func drawing(cmd *cobra.Command, form, file string) (func(io.Writer, chart.Chart) error, error) {
	switch ending := filepath.Ext(file); {
	case form == chartSVG:
		return chart.SVG, nil
	case form == chartPNG:
		return chart.PNG, nil
	case form == "" && ending != "":
		err := fmt.Errorf("%s: --out %s: a chart is no %s", path(cmd), render.Safe(file), render.Safe(ending))
		return nil, fleet.WithHint(err, "let the name end in .svg, .png or .txt, or name the form with -o")
	}
	return chart.Text, nil
}

// chartOf is the chart of a metric. Of more parts than can be told apart the largest are
// drawn, and left is how many are not.
func chartOf(m stats.Metric, series []stats.Series, at *time.Location) (c chart.Chart, left int) {
	c = chart.Chart{Title: m.Title, Unit: m.Unit, Location: at}
	if len(series) > chart.MaxLines {
		left = len(series) - chart.MaxLines
		series = slices.Clone(series)
		slices.SortStableFunc(series, func(a, b stats.Series) int { return cmp.Compare(highest(b), highest(a)) })
		series = series[:chart.MaxLines]
	}
	for _, s := range series {
		if len(s.Points) > 0 {
			c.Location = s.Points[0].At.Location() // that of its days, which may be UTC whatever was asked for
		}
		c.Lines = append(c.Lines, chart.Line{Label: render.Safe(s.Label), Step: s.Step, Points: s.Points})
	}
	return c, left
}

// highest is the largest known value of a series, -1 if none is.
func highest(s stats.Series) float64 {
	most := -1.0
	for _, p := range s.Points {
		if p.Value != nil {
			most = max(most, *p.Value)
		}
	}
	return most
}
