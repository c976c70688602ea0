package history

import (
	"context"
	"errors"

	"github.com/relayfleet/fleetctl/stats"
)

// firstSights counts the peers by the step of their first sight.
func (v *view) firstSights(ctx context.Context) ([]int64, error) {
	counts := make([]int64, v.axis.len())
	grain := int64(900) // every time zone begins its days at one of these
	if v.axis.step == StepMinute || v.axis.len() == 1 {
		grain = 60
	}
	err := each(ctx, v.q, `SELECT MAX(first_seen - first_seen % ?, ?) AS t, COUNT(*) FROM peers WHERE own = 0 AND first_seen >= ? AND first_seen < ? GROUP BY t`,
		[]any{grain, v.axis.from(), v.axis.from(), v.axis.to()}, func(scan func(...any) error) error {
			var t, n int64
			err := scan(&t, &n)
			if i, ok := v.axis.index(t); ok {
				counts[i] += n
			}
			return err
		})
	return counts, err
}

// lifetime is how many peers were known by the end of each step, as far as is known now.
func (v *view) lifetime(ctx context.Context) (lines, error) {
	var sum int64
	err := one(ctx, v.q, `SELECT COUNT(*) FROM peers WHERE own = 0 AND first_seen < ?`, []any{v.axis.from()}, &sum)
	if err != nil {
		return nil, err
	}
	grown, err := v.firstSights(ctx)
	if err != nil {
		return nil, err
	}
	line := make([]stats.Figure, v.axis.len())
	for i := range line {
		sum += grown[i]
		line[i] = v.ofCensus(i, sum, 0)
	}
	return lines{"": line}, nil
}

func (v *view) newPeers(ctx context.Context) (lines, error) {
	grown, err := v.firstSights(ctx)
	if err != nil {
		return nil, err
	}
	line := make([]stats.Figure, v.axis.len())
	for i := range line {
		line[i] = v.ofCensus(i, grown[i], v.axis.bounds[i])
	}
	return lines{"": line}, nil
}

// ofCensus is a figure that stands in the censuses as they are known now: one of the past
// lacks only the relays of the time since from that have not answered since.
func (v *view) ofCensus(i int, n, from int64) stats.Figure {
	if v.axis.bounds[i] > v.coverage.last {
		return unknown(nil) // nobody has looked yet
	}
	return known(float64(n), v.unread(from, v.axis.bounds[i+1]-1), v.oldest(true))
}

// returning counts, for every step, the peers that were seen in it and that were known
// before it. Activity is kept by day for 64 days, then by week for 64 weeks. A relay that was
// not read at the end of a step is named though it was read later: a census has last sights
// alone, so that whoever came in the step and again after it is not known to have been there.
func (v *view) returning(ctx context.Context) (lines, error) {
	switch v.axis.step {
	case StepMinute, StepHour:
		return nil, hinted{question{errors.New("returning_peers is kept by day")}, "ask for a step of 1d or longer"}
	}
	line := make([]stats.Figure, v.axis.len())
	counts := make([]int64, v.axis.len())
	err := each(ctx, v.q, `SELECT first_seen, last_seen, days, weeks FROM peers WHERE own = 0 AND last_seen >= ? AND first_seen < ?`,
		[]any{v.axis.from(), v.axis.to()}, func(scan func(...any) error) error {
			var first, last, days, weeks int64
			if err := scan(&first, &last, &days, &weeks); err != nil {
				return err
			}
			for i := range counts {
				if first < v.axis.bounds[i] && v.activeIn(i, last, uint64(days), uint64(weeks)) {
					counts[i]++
				}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	for i := range line {
		missing := sorted(append(v.unread(v.axis.bounds[i], v.axis.bounds[i+1]-1), v.last[i].unread...))
		if v.known(i) {
			line[i] = known(float64(counts[i]), missing, v.oldest(true))
		} else {
			line[i] = unknown(missing)
		}
	}
	return lines{"": line}, nil
}

// known reports whether activity was kept by such steps so long ago.
func (v *view) known(i int) bool {
	oldest := v.coverage.last - kept*daySecs
	if v.axis.step == StepWeek {
		oldest = v.coverage.last - kept*7*daySecs
	}
	return v.axis.bounds[i] > oldest && v.last[i].at > 0
}

// activeIn reports whether a peer was seen in a step.
func (v *view) activeIn(i int, last int64, days, weeks uint64) bool {
	from, to := v.axis.bounds[i], v.axis.bounds[i+1]
	if last < to {
		return last >= from
	}
	if v.axis.step == StepWeek {
		return markedAt(weeks, weekOf(last), weekOf(from))
	}
	for day := dayOf(from); day <= dayOf(to-1); day++ {
		if markedAt(days, dayOf(last), day) {
			return true
		}
	}
	return false
}
