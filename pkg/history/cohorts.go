package history

import (
	"context"
	"errors"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Cohort is the peers that were first seen in one week.
type Cohort struct {
	Week  time.Time `json:"week"`  // its Monday, 00:00 UTC
	Peers uint64    `json:"peers"` // how many
	// Active is how many of them were seen so many weeks later: [0] is the week itself, all
	// of them. The last one is the week of now, which is not over. A week without a
	// collection is nil.
	Active []stats.Figure `json:"active"`
}

// Cohorts is the retention by weekly cohort: of the newest weeks, at most most (0 is 12,
// the most is 64), oldest first. Weeks are those of UTC, and those before the first peer
// are left out.
func (s *Store) Cohorts(ctx context.Context, at time.Time, most int) ([]Cohort, error) {
	var out []Cohort
	err := s.read(ctx, func(q querier) error {
		v := view{q: q}
		var err error
		if v.coverage, err = loadCoverage(ctx, q); err != nil {
			return err
		}
		out, err = v.cohorts(ctx, min(at.Unix(), v.coverage.last), most)
		return err
	})
	return out, err
}

func (v *view) cohorts(ctx context.Context, at int64, most int) ([]Cohort, error) {
	out := []Cohort{}
	if v.coverage.last == 0 {
		return out, nil
	}
	if most <= 0 {
		most = 12
	}
	newest := weekOf(at)
	oldest := newest - int64(min(most, kept)) + 1
	peers := make([]uint64, newest-oldest+1)
	active := make([][]uint64, len(peers)) // by cohort, then by weeks later
	for i := range active {
		active[i] = make([]uint64, len(peers)-i)
	}
	// Weeks are counted as weekOf does; times are not negative.
	err := each(ctx, v.q, `SELECT (first_seen / 86400 + 3) / 7, (last_seen / 86400 + 3) / 7, weeks, COUNT(*) FROM peers
	WHERE own = 0 AND first_seen >= ? AND first_seen <= ? GROUP BY 1, 2, 3`,
		[]any{weekStart(oldest).Unix(), at}, func(scan func(...any) error) error {
			var first, last, weeks int64
			var n uint64
			if err := scan(&first, &last, &weeks, &n); err != nil {
				return err
			}
			cohort := first - oldest
			peers[cohort] += n
			for later := range active[cohort] {
				if markedAt(uint64(weeks), last, first+int64(later)) {
					active[cohort][later] += n
				}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	looked, err := v.weeksLooked(ctx, oldest)
	if err != nil {
		return nil, err
	}
	for i, n := range peers {
		if n == 0 && len(out) == 0 {
			continue
		}
		c := Cohort{Week: weekStart(oldest + int64(i)), Peers: n, Active: make([]stats.Figure, len(active[i]))}
		for later, m := range active[i] {
			week := oldest + int64(i+later)
			missing := v.unread(weekStart(week).Unix(), min(weekStart(week+1).Unix()-1, at))
			last, is := looked[week]
			if later > 0 { // see returning
				missing = sorted(append(missing, last.unread...))
			}
			c.Active[later] = unknown(missing)
			if is || later == 0 {
				c.Active[later] = known(float64(m), missing, v.oldest(true))
				c.Active[later].AtLeast = false // a first sight that is not known moves a peer to an earlier cohort
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// weeksLooked is the last collection of each week that has one.
func (v *view) weeksLooked(ctx context.Context, oldest int64) (map[int64]collection, error) {
	looked := make(map[int64]collection)
	err := eachCollection(ctx, v.q, weekStart(oldest).Unix(), forever, func(c collection) { looked[weekOf(c.at)] = c })
	return looked, err
}

// retention is cohorts as series: one for each number of weeks later with a point for each
// cohort, or that of one week later alone.
func (v *view) retention(ctx context.Context) (lines, error) {
	if v.axis.step != StepWeek {
		return nil, hinted{question{errors.New("retention_weekly is kept by week")}, "ask for a step of 1w"}
	}
	cohorts, err := v.cohorts(ctx, v.coverage.last, kept)
	if err != nil {
		return nil, err
	}
	out := lines{}
	put := func(label string, i int, f stats.Figure) {
		if out[label] == nil {
			out[label] = v.blank(unreadOf)
		}
		out[label][i] = f
	}
	for _, c := range cohorts {
		i, ok := v.axis.index(c.Week.Unix())
		if !ok || c.Peers == 0 {
			continue
		}
		for later, f := range c.Active {
			if f.Value != nil {
				f.Value = new(*f.Value / float64(c.Peers))
			}
			if v.by {
				put(number(int64(later)), i, f)
			} else if later == 1 {
				put("", i, f)
			}
		}
	}
	if !v.by && out[""] == nil {
		out[""] = v.blank(unreadOf)
	}
	return out, nil
}
