package history

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Change is one figure at two times.
type Change struct {
	Metric string `json:"metric"`
	Label  string `json:"label"` // "" for the whole fleet
	Unit   string `json:"unit"`
	// Before is unknown (nil) for periods, such as new peers, joins and bytes: After is
	// what was counted between the two times.
	Before stats.Figure `json:"before"`
	After  stats.Figure `json:"after"`
	// Delta is After less Before, for periods After; nil if one of them is unknown.
	Delta *float64 `json:"delta"`
	// DeltaExact says that what Delta is made of is exact and all there. The difference of a
	// lower bound is none.
	DeltaExact bool `json:"delta_exact"`
}

// Diff is what changed in a fleet between two times.
type Diff struct {
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Changes []Change  `json:"changes"` // in the order of metrics, then by label
	Events  []Event   `json:"events"`  // of the time between, oldest first
}

// Diff compares two times. Figures are those of the last collection at or before each.
func (s *Store) Diff(ctx context.Context, since, until time.Time) (Diff, error) {
	out := Diff{Since: since.UTC(), Until: until.UTC(), Changes: []Change{}}
	before, err := s.Figures(ctx, since)
	if err != nil {
		return out, err
	}
	after, err := s.Figures(ctx, until)
	if err != nil {
		return out, err
	}
	err = s.read(ctx, func(q querier) error {
		c, err := loadCoverage(ctx, q)
		if err != nil {
			return err
		}
		for _, m := range stats.Metrics() {
			switch m.Kind {
			case stats.KindPeriod:
				v := s.view(q, c, m)
				changes, err := v.between(ctx, since, until)
				if err != nil {
					return err
				}
				out.Changes = append(out.Changes, changes...)
			case stats.KindCohorts: // a table of its own
			default:
				out.Changes = append(out.Changes, compare(m, before, after)...)
			}
		}
		out.Events, err = events(ctx, q, since, until.Add(time.Second), 0)
		return err
	})
	return out, err
}

// compare sets two times of a metric side by side.
func compare(m stats.Metric, before, after Figures) []Change {
	out := []Change{change(m, "", before.Values[m.Name], after.Values[m.Name])}
	labels := maps.Clone(before.Parts[m.Name])
	if labels == nil {
		labels = make(map[string]stats.Figure)
	}
	maps.Copy(labels, after.Parts[m.Name])
	for _, label := range slices.SortedFunc(maps.Keys(labels), compareLabels) {
		out = append(out, change(m, label, part(before, m, label), part(after, m, label)))
	}
	return out
}

// part is a group; one that is not named had nobody in it where the metric is known.
func part(f Figures, m stats.Metric, label string) stats.Figure {
	if p, ok := f.Parts[m.Name][label]; ok {
		return p
	}
	whole := f.Values[m.Name]
	if whole.Value == nil {
		return unknown(whole.Missing)
	}
	whole.Value = new(float64)
	return bounded(m, label, whole)
}

func change(m stats.Metric, label string, before, after stats.Figure) Change {
	c := Change{Metric: m.Name, Label: label, Unit: m.Unit, Before: before, After: after}
	if before.Value != nil && after.Value != nil {
		c.Delta = new(*after.Value - *before.Value)
		c.DeltaExact = whole(m, before) && whole(m, after)
	}
	return c
}

// whole reports whether a figure is known exactly: of everybody, or of who answered where
// it is about them.
func whole(m stats.Metric, f stats.Figure) bool {
	return f.Value != nil && f.Exact() && !f.Blurred && !f.AtLeast && (len(f.Missing) == 0 || m.Silence == stats.SilenceCounted)
}

// between is what a period counted between two times.
func (v *view) between(ctx context.Context, since, until time.Time) ([]Change, error) {
	to := min(until.Unix(), v.coverage.last) + 1
	v.axis = axis{step: StepDay, loc: time.UTC, bounds: []int64{since.Unix(), to}}
	if to <= since.Unix() || v.coverage.last == 0 {
		return []Change{{Metric: v.metric.Name, Unit: v.metric.Unit, Before: unknown(nil), After: unknown(nil)}}, nil
	}
	if v.coverage.last-since.Unix() < 2*daySecs {
		v.axis.step = StepMinute
	}
	var err error
	if v.last, err = lastIn(ctx, v.q, v.axis); err != nil {
		return nil, err
	}
	if v.metric.Name == "returning_peers" {
		v.axis.step = StepDay
	}
	all, err := v.lines(ctx)
	if err != nil {
		return nil, err
	}
	if v.metric.By != "" {
		v.by = true
		parts, err := v.lines(ctx)
		if err != nil {
			return nil, err
		}
		for label, line := range parts {
			all[label] = line
		}
	}
	out := make([]Change, 0, len(all))
	for _, label := range slices.SortedFunc(maps.Keys(all), compareLabels) {
		f := all[label][0]
		out = append(out, Change{Metric: v.metric.Name, Label: label, Unit: v.metric.Unit, Before: unknown(nil), After: f, Delta: f.Value, DeltaExact: whole(v.metric, f)})
	}
	return out, nil
}
