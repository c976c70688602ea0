package history

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Figures is every metric at one time.
type Figures struct {
	At     time.Time                          `json:"at"`     // UTC; when the collection was that they are of; zero: there is none
	Values map[string]stats.Figure            `json:"values"` // by metric, each of them; split ones as their sum
	Parts  map[string]map[string]stats.Figure `json:"parts"`  // of split metrics: by metric, then by label
	Own    uint64                             `json:"own"`    // keys of the fleet's relays and probes, which are in no figure
}

// Figures gives every metric as of a time: that of the last collection at or before it.
// Periods (new peers, joins, bytes, the peak) are those of the 24 hours until then, and
// retention_weekly is the share of the last but one whole week's new peers who were seen
// in the week after. In an empty store every value is nil.
func (s *Store) Figures(ctx context.Context, at time.Time) (Figures, error) {
	out := Figures{Values: make(map[string]stats.Figure), Parts: make(map[string]map[string]stats.Figure)}
	err := s.read(ctx, func(q querier) error {
		c, err := loadCoverage(ctx, q)
		if err != nil {
			return err
		}
		if err := one(ctx, q, `SELECT COUNT(*) FROM own`, nil, &out.Own); err != nil {
			return err
		}
		var last int64
		switch err := one(ctx, q, `SELECT at FROM collections WHERE at <= ? ORDER BY at DESC LIMIT 1`, []any{min(at.Unix(), c.last)}, &last); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		}
		out.At = stamp(last)
		for _, m := range stats.Metrics() {
			if err := out.fill(ctx, s.view(q, c, m), last); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// fill computes one metric as a series of one step that ends with the last collection.
func (f *Figures) fill(ctx context.Context, v view, last int64) error {
	name := v.metric.Name
	f.Values[name] = unknown(nil)
	if v.metric.By != "" {
		f.Parts[name] = make(map[string]stats.Figure)
	}
	if last == 0 {
		return nil
	}
	switch {
	case v.metric.Kind == stats.KindCohorts:
		return f.fillRetention(ctx, v, last)
	case name == metricLifetime && last == v.coverage.last:
		var n int64
		err := one(ctx, v.q, `SELECT COALESCE(SUM(peers), 0) FROM overlap`, nil, &n)
		f.Values[name] = known(float64(n), v.unread(0, last), v.oldest(true))
		return err
	case name == "concurrent_peers":
		value, err := v.now(ctx, last)
		f.Values[name] = value
		return err
	case name == "returning_peers":
		f.Values[name] = bounded(v.metric, "", less(f.Values["active_peers_24h"], f.Values["new_peers"])) // which come before it
		return nil
	case v.metric.Kind == stats.KindMoment && v.metric.By != "":
		v.axis = axis{step: StepDay, loc: time.UTC, bounds: []int64{last - 3600, last + 1}} // groups may be an hour old
	case v.metric.Kind == stats.KindMoment, v.metric.Kind == stats.KindTotal:
		v.axis = axis{step: StepDay, loc: time.UTC, bounds: []int64{last, last + 1}}
	default:
		v.axis = axis{step: StepMinute, loc: time.UTC, bounds: []int64{last - daySecs, last + 1}}
	}
	if v.metric.Kind == stats.KindPeriod && v.coverage.last-last > 2*daySecs {
		v.axis.step = StepDay // minutes are not kept so long
	}
	return f.take(ctx, v, last)
}

func (f *Figures) take(ctx context.Context, v view, last int64) error {
	name := v.metric.Name
	var err error
	if v.last, err = lastIn(ctx, v.q, v.axis); err != nil {
		return err
	}
	all, err := v.lines(ctx)
	if err != nil {
		return err
	}
	f.Values[name] = v.dated(all[""][0], last)
	if v.metric.By == "" {
		return nil
	}
	v.by = true
	if all, err = v.lines(ctx); err != nil {
		return err
	}
	for label, line := range all {
		if label != "" || len(all) == 1 && line[0].Value != nil {
			f.Parts[name][label] = v.dated(line[0], last)
		}
	}
	return nil
}

// dated says from when the newest figures are: from the oldest answer in them.
func (v *view) dated(f stats.Figure, last int64) stats.Figure {
	if f.Value == nil {
		f.Since = stats.Time{}
		return f
	}
	f.Since.Time = stamp(last)
	if last == v.coverage.last {
		f.Since.Time = v.oldest(v.metric.Kind != stats.KindPeriod && v.metric.Name != "relays_answering" && v.metric.Name != metricNAT)
	}
	return f
}

// less is a - b, where both are known. Who is missing in one of them is missing in it.
func less(a, b stats.Figure) stats.Figure {
	missing := sorted(slices.Concat(a.Missing, b.Missing))
	if a.Value == nil || b.Value == nil {
		return unknown(missing)
	}
	return known(max(0, *a.Value-*b.Value), missing, a.Since.Time)
}

// nowSecs is how long ago the minute may have ended that is called now. A relay that died
// stands in the sum no longer than that.
const nowSecs = 120

// now is who is connected: in the newest minute that is known of the most relays, of those
// that ended within nowSecs before the collection.
func (v *view) now(ctx context.Context, last int64) (stats.Figure, error) {
	var at, users int64
	err := one(ctx, v.q, `SELECT at, users FROM concurrent WHERE step = 60 AND relay = 0 AND at > ? AND at <= ? ORDER BY relays DESC, at DESC LIMIT 1`,
		[]any{last - nowSecs - 60, last}, &at, &users)
	if errors.Is(err, sql.ErrNoRows) {
		v.axis = axis{step: StepMinute, loc: time.UTC, bounds: []int64{last, last + 1}}
		v.last, err = lastIn(ctx, v.q, v.axis)
		if err != nil {
			return unknown(nil), err
		}
		return unknown(v.last[0].missing), nil
	}
	if err != nil {
		return unknown(nil), err
	}
	have, err := keyNodes(ctx, v.q, at)
	if err != nil {
		return unknown(nil), err
	}
	missing := []string{}
	for _, m := range v.members {
		if m.since <= last && last < m.until && !have[m.node] {
			missing = append(missing, m.node)
		}
	}
	return known(float64(users), sorted(missing), stamp(at+60)), nil
}

// keyNodes are the relays that are known in a minute.
func keyNodes(ctx context.Context, q querier, at int64) (map[string]bool, error) {
	have := make(map[string]bool)
	err := each(ctx, q, `SELECT r.node FROM relays r JOIN concurrent c ON c.step = 60 AND c.relay = r.id AND c.at = ?`, []any{at},
		func(scan func(...any) error) error {
			var node string
			err := scan(&node)
			have[node] = true
			return err
		})
	return have, err
}

// fillRetention takes week 1 of the newest cohort of which that week is over.
func (f *Figures) fillRetention(ctx context.Context, v view, last int64) error {
	cohorts, err := v.cohorts(ctx, last, 3)
	if err != nil {
		return err
	}
	for _, c := range cohorts {
		if weekOf(c.Week.Unix()) != weekOf(last)-2 || len(c.Active) < 2 || c.Active[1].Value == nil || c.Peers == 0 {
			continue
		}
		share := c.Active[1]
		share.Value = new(*share.Value / float64(c.Peers))
		f.Values[v.metric.Name] = share
		for week, a := range c.Active {
			if a.Value != nil {
				a.Value = new(*a.Value / float64(c.Peers))
			}
			f.Parts[v.metric.Name][number(int64(week))] = a
		}
	}
	return nil
}
