package history

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// view is one question to the store: a state of it that does not change, and the steps
// that are asked for.
type view struct {
	q querier
	coverage
	axis   axis
	last   []collection // of each step
	metric stats.Metric
	by     bool
	keep   Retention      // of the store
	told   map[int64]bool // relays whose old daemon told of more than 0 of the metric; of counted ones
	late   map[tell]int64 // from when on the relays of a step told of a metric that not every daemon tells of; nil: each does
	blurs  []bool         // by step: a sample is in it and in the one beside it
}

// view is one without steps.
func (s *Store) view(q querier, c coverage, m stats.Metric) view {
	return view{q: q, coverage: c, metric: m, keep: s.keep}
}

// lines are series by label.
type lines map[string][]stats.Figure

// Series is a metric over time: one series for the whole fleet or, with q.By, one for each
// part, sorted by label. Points stand at the beginning of every step from q.Since to
// q.Until, also where nothing is known: their value is nil. An unknown metric or a step
// that the metric is not kept by is [ErrQuery].
func (s *Store) Series(ctx context.Context, metric string, q Query) ([]stats.Series, error) {
	m, ok := stats.MetricOf(metric)
	if !ok {
		return nil, hinted{question{fmt.Errorf("metric %q: there is none of that name", clean(metric, 60))}, "run `fleetctl stats explain` for their names"}
	}
	if q.Location == nil {
		q.Location = time.UTC
	}
	var out []stats.Series
	err := s.read(ctx, func(db querier) error {
		c, err := loadCoverage(ctx, db)
		if err != nil {
			return err
		}
		v := s.view(db, c, m)
		v.by = q.By
		out, err = v.series(ctx, q)
		return err
	})
	return out, err
}

func (v *view) series(ctx context.Context, q Query) ([]stats.Series, error) {
	first, last, err := v.extent(ctx)
	if err != nil {
		return nil, err
	}
	if q.Since.IsZero() {
		q.Since = stamp(first)
	}
	if q.Until.IsZero() {
		q.Until = stamp(last).Add(time.Second)
	}
	if q.Since.IsZero() || !q.Since.Before(q.Until) {
		return v.lay(q.Step, lines{"": nil}), nil
	}
	if q.Step == "" {
		q.Step = fitting(q.Since, q.Until)
	}
	if _, err := ParseStep(string(q.Step)); err != nil {
		return nil, err
	}
	if v.metric.Name == "returning_peers" || v.metric.Kind == stats.KindCohorts {
		q.Location = time.UTC // days of activity are kept as those of UTC
	}
	if v.axis, err = newAxis(q.Step, q.Location, q.Since, q.Until); err != nil {
		return nil, err
	}
	if v.last, err = lastIn(ctx, v.q, v.axis); err != nil {
		return nil, err
	}
	all, err := v.lines(ctx)
	if err != nil {
		return nil, err
	}
	return v.lay(q.Step, all), nil
}

// extent is the time that the store knows of.
func (v *view) extent(ctx context.Context) (first, last int64, err error) {
	err = one(ctx, v.q, `SELECT COALESCE(MIN(at), 0), COALESCE(MAX(at), 0) FROM (
	SELECT MIN(at) AS at FROM collections UNION SELECT NULLIF(last, 0) FROM meta
	UNION SELECT MIN(at) FROM imported UNION SELECT MAX(at) FROM imported) WHERE at IS NOT NULL`, nil, &first, &last)
	return first, last, err
}

// lines computes the metric. Its figures say at least where they are a lower bound.
func (v *view) lines(ctx context.Context) (lines, error) {
	v.blurs = make([]bool, v.axis.len())
	all, err := v.compute(ctx)
	for label, line := range all {
		for i := range line {
			line[i] = bounded(v.metric, label, line[i])
			line[i].Blurred = v.blurs[i] && line[i].Value != nil
		}
	}
	return all, err
}

// blur notes the steps that a sample which begins at a time is in, if these are several.
// What minutes are off is not worth a word.
func (v *view) blur(at, length int64) {
	if length <= 60 {
		return
	}
	first, _ := v.axis.index(at)
	last, _ := v.axis.index(min(at+length-1, v.coverage.last)) // later nothing was counted
	for i := max(0, first); first < last && i <= min(last, v.axis.len()-1); i++ {
		v.blurs[i] = true
	}
}

// reach is how many seconds before the axis a sample may begin that ends in it, and 1.
func (v *view) reach() int64 {
	switch v.axis.step {
	case StepMinute:
		return 1
	case StepHour:
		return 3600
	}
	return daySecs
}

func (v *view) compute(ctx context.Context) (lines, error) {
	switch name := v.metric.Name; {
	case name == metricLifetime && !v.by:
		return v.lifetime(ctx)
	case name == "new_peers" && !v.by:
		return v.newPeers(ctx)
	case name == "returning_peers" && !v.by:
		return v.returning(ctx)
	case name == "concurrent_peers", name == "peak_concurrent_peers":
		return v.concurrent(ctx, name == "peak_concurrent_peers")
	case name == "relays_answering" && !v.by:
		return v.answering(), nil
	case v.metric.Kind == stats.KindCohorts:
		return v.retention(ctx)
	case v.metric.Kind == stats.KindMoment && (v.metric.By != "" || !v.by):
		return v.moments(ctx)
	case v.metric.Kind == stats.KindPeriod:
		return v.counted(ctx)
	}
	return nil, hinted{question{fmt.Errorf("%s is not kept by relay", v.metric.Name)}, "ask for it without --by"}
}

// lay makes series of lines, sorted by label.
func (v *view) lay(step Step, all lines) []stats.Series {
	out := make([]stats.Series, 0, len(all))
	for _, label := range slices.SortedFunc(maps.Keys(all), compareLabels) {
		s := stats.Series{Metric: v.metric.Name, Label: label, Unit: v.metric.Unit, Step: step.duration(), Points: []stats.Point{}}
		for i, f := range all[label] {
			s.Points = append(s.Points, stats.Point{At: v.axis.time(i), Figure: f})
		}
		out = append(out, s)
	}
	return out
}

// bounded is a figure that says at least only where it is a lower bound.
func bounded(m stats.Metric, label string, f stats.Figure) stats.Figure {
	f.AtLeast = f.AtLeast && m.LowerBound(m.By != "" && label != "")
	return f
}

// compareLabels orders lengths of sessions by length, and numbers by number.
func compareLabels(a, b string) int {
	if x, y := slices.Index(SessionLabels(), a), slices.Index(SessionLabels(), b); x >= 0 && y >= 0 {
		return cmp.Compare(x, y)
	}
	if digits(a) && digits(b) {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}
	return cmp.Compare(a, b)
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// blank is a line of which nothing is known yet: each step names who was missing in it.
func (v *view) blank(missing func(collection) []string) []stats.Figure {
	out := make([]stats.Figure, v.axis.len())
	for i := range out {
		out[i] = unknown(slices.Clone(missing(v.last[i])))
	}
	return out
}

func missingOf(c collection) []string { return c.missing }
func unreadOf(c collection) []string  { return c.unread }

// answering is how many relays answered the last collection of each step.
func (v *view) answering() lines {
	line := v.blank(missingOf)
	for i, c := range v.last {
		if c.at == 0 {
			continue
		}
		line[i] = known(float64(c.answered), slices.Clone(c.missing), stamp(c.at))
	}
	return lines{"": line}
}

// moments are figures that were written down at collections: the last of each step.
func (v *view) moments(ctx context.Context) (lines, error) {
	missing, nat := unreadOf, v.metric.Name == metricNAT
	if nat {
		missing = missingOf
	}
	out := lines{}
	newest := make([]int64, v.axis.len())
	values := make([]map[string]int64, v.axis.len())
	err := each(ctx, v.q, `SELECT at, label, value FROM figures WHERE metric = ? AND at >= ? AND at < ? ORDER BY at`,
		[]any{v.metric.Name, v.axis.from(), v.axis.to()}, func(scan func(...any) error) error {
			var at, value int64
			var label string
			if err := scan(&at, &label, &value); err != nil {
				return err
			}
			i, ok := v.axis.index(at)
			if !ok {
				return nil
			}
			if newest[i] != at {
				newest[i], values[i] = at, make(map[string]int64)
			}
			if !v.by {
				label = ""
			} else if label == countedLabel {
				return nil
			}
			values[i][label] += value
			out[label] = nil
			return nil
		})
	if err != nil {
		return nil, err
	}
	if !v.by {
		out[""] = nil
	}
	without := make([][]string, len(values))
	for i, at := range newest {
		without[i] = slices.Clone(missing(v.last[i]))
		if at > 0 && !nat { // a relay that left unread was not asked any more
			without[i] = sorted(append(without[i], v.unread(at-momentSpan(v.metric.Name, at), at)...))
		}
	}
	for label := range out {
		out[label] = v.blank(missing)
		for i, groups := range values {
			if groups != nil { // a group that is not named had nobody in it
				out[label][i] = known(float64(groups[label]), slices.Clone(without[i]), stamp(newest[i]))
			}
		}
	}
	return out, nil
}
