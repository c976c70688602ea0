package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func newStatsHistory(a *app) *cobra.Command {
	var p period
	var metrics []string
	var out outFile
	o := &ownOutput{usual: &a.globals.output, forms: []string{string(history.FormatParquet)}}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show figures over time",
		Long: `Show figures over time, from what 'stats collect' has read. A point that nobody knows is
"n/a", null or an empty cell, and one that somebody's part is missing in is marked and names
who did not answer.`,
		Example: `  fleetctl stats history --since 30d --step 1d
  fleetctl stats history --metric active --metric region --by --since 4w --tz Europe/Berlin -o csv
  fleetctl stats history --metric retention`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			if err := o.follow(cmd, &out); err != nil {
				return err
			}
			wanted, err := metricsOf(cmd, metrics)
			if err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), cmd, history.Options{ReadOnly: true}, func(store *history.Store) error {
				if wanted[0].Kind == stats.KindCohorts {
					if err := p.weekly(cmd, wanted[0]); err != nil {
						return err
					}
					return a.cohorts(cmd, store, p, o, &out)
				}
				v, err := p.read(cmd.Context(), store, wanted, a.now())
				if err != nil {
					return err
				}
				if o.form != "" {
					return out.write(a, cmd, false, func(w io.Writer) error {
						return history.WriteSeries(w, history.Format(o.form), v.Series)
					})
				}
				return out.show(a, cmd, v)
			})
		},
	}
	p.register(cmd, 30*24*time.Hour)
	out.register(cmd)
	cmd.Flags().StringSliceVar(&metrics, "metric", []string{"lifetime", "active", "new", "peak"}, "a `name` of 'stats explain'; again, or with commas, for more")
	completeWith(cmd, "metric", metricNames())
	ownOutputFlag(cmd, o)
	return cmd
}

// metricsOf finds metrics by name. One that is a table by week stands alone.
func metricsOf(cmd *cobra.Command, names []string) ([]stats.Metric, error) {
	var all []stats.Metric
	for _, name := range names {
		m, err := metricOf(cmd, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all, func(have stats.Metric) bool { return have.Name == m.Name }) {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil, fleet.WithHint(fmt.Errorf("%s: no metric is named", path(cmd)), "run 'fleetctl stats explain' for the list")
	}
	for _, m := range all {
		if m.Kind == stats.KindCohorts && len(all) > 1 {
			return nil, fmt.Errorf("%s: %s is a table by week: name it alone", path(cmd), m.Name)
		}
	}
	return all, nil
}

// read asks the history for metrics, each with the same points.
func (p *period) read(ctx context.Context, store *history.Store, metrics []stats.Metric, now time.Time) (historyView, error) {
	q := p.query(now)
	v := historyView{Since: q.Since.UTC().Truncate(time.Second), Until: q.Until.UTC().Truncate(time.Second), TimeZone: p.tz.String(), Series: []stats.Series{}}
	for _, m := range metrics {
		series, err := store.Series(ctx, m.Name, q)
		if err != nil {
			return v, err
		}
		v.Series = append(v.Series, series...)
	}
	relays, err := store.Relays(ctx)
	for _, r := range relays {
		v.collected = later(v.collected, r.LastAnswered)
	}
	return v, err
}

// historyView is figures over time.
type historyView struct {
	collected time.Time // when a relay last answered; zero: never

	Since    time.Time      `json:"since"`
	Until    time.Time      `json:"until"`
	TimeZone string         `json:"time_zone"` // of the points
	Series   []stats.Series `json:"series"`
}

// Table has a row for each time and a column for each series. Days of one date stand in
// one row, also where those of a series begin in UTC whatever was asked for: its head says so.
func (v historyView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "at (" + v.TimeZone + ")"}}, Empty: "nothing is known of this time"}
	rows := make(map[string][]any)
	missing := newAbsent()
	for i, s := range v.Series {
		name := seriesName(s)
		if zone := zoneOf(s, v.TimeZone); zone != v.TimeZone {
			name += " (" + zone + ")"
		}
		t.Columns = append(t.Columns, render.Column{Name: name, Drop: i})
		for _, p := range s.Points {
			at := shortTime(p.At, s.Step)
			key := at
			if s.Step < 24*time.Hour { // clocks show an hour twice when summer time ends
				key = p.At.UTC().Format(time.RFC3339)
			}
			if rows[key] == nil {
				rows[key] = make([]any, len(v.Series)+1)
				rows[key][0] = at
			}
			rows[key][i+1] = figureCell(p.Figure, s.Unit)
			missing.take(p.Figure)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		t.Rows = append(t.Rows, rows[key])
	}
	t.Notes = missing.notes()
	if !v.collected.IsZero() {
		t.Notes = append(t.Notes, "as of "+v.collected.UTC().Format("2006-01-02 15:04:05Z"))
	}
	return t
}

// zoneOf is the time zone of a series' days, asked if it has none.
func zoneOf(s stats.Series, asked string) string {
	if len(s.Points) == 0 {
		return asked
	}
	return s.Points[0].At.Location().String()
}

// absent is the nodes whose part figures miss.
type absent struct {
	known   map[string]bool // of figures that are known without it
	less    map[string]bool // of those that are more with it
	unknown map[string]bool // of figures that nobody knows
	began   bool            // a figure is at least though nobody's part is missing
	blurred bool            // a figure is of hours or days of UTC that its border cuts
}

// mostNames is how many nodes are named below a table. The other forms name all.
const mostNames = 12

func newAbsent() absent {
	return absent{known: make(map[string]bool), less: make(map[string]bool), unknown: make(map[string]bool)}
}

func (m *absent) take(f stats.Figure) {
	m.blurred = m.blurred || f.Blurred
	in := m.known
	switch {
	case f.Value == nil:
		in = m.unknown
	case f.AtLeast:
		in = m.less
		m.began = m.began || len(f.Missing) == 0
	}
	for _, node := range f.Missing {
		in[node] = true
	}
}

// notes say what the mark of [figureCell] means, and whose part is missing.
func (m absent) notes() []string {
	var notes []string
	say := func(before string, nodes map[string]bool, after string) {
		if len(nodes) > 0 {
			notes = append(notes, before+render.Names(slices.Sorted(maps.Keys(nodes)), mostNames)+after)
		}
	}
	const all, began = " did not tell all of it", "a relay's counters were first read within that time"
	switch {
	case m.began && len(m.less) > 0:
		say("≥ is at least: ", m.less, all+", or "+began)
	case m.began:
		notes = append(notes, "≥ is at least: "+began)
	default:
		say("≥ is at least: ", m.less, all)
	}
	say("", m.known, all)
	say("n/a is unknown: ", m.unknown, " told nothing of that time")
	if m.blurred {
		notes = append(notes, "what is old is kept by hours, then by days of UTC: near a border of such a step some stand on its other side")
	}
	return notes
}

// seriesName is the head of a column.
func seriesName(s stats.Series) string {
	name := s.Metric
	if m, ok := stats.MetricOf(s.Metric); ok && m.Alias != "" {
		name = m.Alias
	}
	if s.Label != "" {
		name += " " + s.Label
	}
	if s.Unit == "1" {
		name += " %"
	}
	return name
}

// shortTime is a point's time without what is the same for all.
func shortTime(at time.Time, step time.Duration) string {
	if step >= 24*time.Hour {
		return at.Format("2006-01-02")
	}
	return at.Format("2006-01-02 15:04")
}

// figureCell is a figure for people: unknown, exact, "≥" at least, "≈" not of all and no
// bound, or "~" an estimate. How many relays answered is exact whoever did not.
// Ratios are percent.
func figureCell(f stats.Figure, unit string) any {
	if f.Value == nil {
		return nil
	}
	value := any(*f.Value)
	switch {
	case unit == "seconds":
		value = time.Duration(*f.Value * float64(time.Second)).Round(time.Second)
	case unit == "1":
		value = 100 * *f.Value
	case *f.Value == math.Trunc(*f.Value) && math.Abs(*f.Value) < 1<<53:
		value = int64(*f.Value)
	}
	switch {
	case f.AtLeast:
		return render.Toned{Value: render.Marked{Mark: "≥", Value: value}, Tone: render.Warn}
	case f.EitherWay() && unit != "relays":
		return render.Toned{Value: render.Marked{Mark: "≈", Value: value}, Tone: render.Warn}
	case !f.Exact():
		return render.Marked{Mark: "~", Value: value}
	}
	return value
}

// CSV has a row for each point, as Parquet has.
func (v historyView) CSV() render.Table {
	t := render.Table{}
	for _, name := range []string{"at", "metric", "label", "unit", "value", "at_least", "missing", "since", "error", "blurred"} {
		t.Columns = append(t.Columns, render.Column{Name: name})
	}
	for _, s := range v.Series {
		for _, p := range s.Points {
			t.Rows = append(t.Rows, []any{
				p.At.Format(time.RFC3339), s.Metric, s.Label, s.Unit, p.Value, p.AtLeast,
				p.Missing, p.Since.Time, p.Error, p.Blurred,
			})
		}
	}
	return t
}
