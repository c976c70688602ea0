package history

import (
	"fmt"
	"slices"
	"time"
)

// maxPoints is how many points a series has at most.
const maxPoints = 100_000

// midnight is when a day begins. Where clocks skip 00:00, west of Greenwich, time.Date gives
// the hour before, which is another day.
func midnight(y int, m time.Month, d int, loc *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, loc)
	if t.Hour() >= 12 {
		t = t.Add(time.Hour)
	}
	return t
}

// begin is the begin of the step that t is in.
func (s Step) begin(t time.Time, loc *time.Location) time.Time {
	t = t.In(loc)
	y, m, d := t.Date()
	switch s {
	case StepMinute:
		return t.Truncate(time.Minute)
	case StepHour:
		return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	case StepWeek:
		return midnight(y, m, d-int(t.Weekday()+6)%7, loc)
	case StepMonth:
		return midnight(y, m, 1, loc)
	}
	return midnight(y, m, d, loc)
}

// next is the begin of the step after the one that begins at t.
func (s Step) next(t time.Time, loc *time.Location) time.Time {
	y, m, d := t.In(loc).Date()
	switch s {
	case StepMinute:
		return t.Add(time.Minute)
	case StepHour:
		return t.Add(time.Hour)
	case StepWeek:
		return midnight(y, m, d+7, loc)
	case StepMonth:
		return midnight(y, m+1, 1, loc)
	}
	return midnight(y, m, d+1, loc)
}

// duration is that of a usual one.
func (s Step) duration() time.Duration {
	const day = 24 * time.Hour
	return map[Step]time.Duration{StepMinute: time.Minute, StepHour: time.Hour, StepDay: day, StepWeek: 7 * day, StepMonth: 30 * day}[s]
}

// axis is the steps of a query: bounds[i] is where step i begins and step i-1 ends, in
// UNIX seconds. There is one more bound than steps.
type axis struct {
	step   Step
	loc    *time.Location
	bounds []int64
}

// newAxis lays steps from the one that since is in to the one before until.
func newAxis(step Step, loc *time.Location, since, until time.Time) (axis, error) {
	a := axis{step: step, loc: loc}
	t := step.begin(since, loc)
	if n := until.Sub(t) / step.duration(); n > maxPoints {
		return axis{}, hinted{
			question{fmt.Errorf("history: %d points of %s, at most %d are given", n, step, maxPoints)},
			"ask for a longer step or a shorter time",
		}
	}
	for t.Before(until) {
		a.bounds = append(a.bounds, t.Unix())
		t = step.next(t, loc)
	}
	if len(a.bounds) > 0 {
		a.bounds = append(a.bounds, t.Unix())
	}
	return a, nil
}

func (a axis) len() int { return max(0, len(a.bounds)-1) }

// from and to are the whole of it.
func (a axis) from() int64 { return a.bounds[0] }
func (a axis) to() int64   { return a.bounds[len(a.bounds)-1] }

// index is the step that t is in; false if it is in none.
func (a axis) index(t int64) (int, bool) {
	i, exact := slices.BinarySearch(a.bounds, t)
	if !exact {
		i--
	}
	return i, i >= 0 && i < a.len()
}

func (a axis) time(i int) time.Time { return time.Unix(a.bounds[i], 0).In(a.loc) }

// fitting is the shortest step that gives some hundred points.
func fitting(since, until time.Time) Step {
	for _, s := range []Step{StepMinute, StepHour, StepDay, StepWeek} {
		if until.Sub(since)/s.duration() <= 400 {
			return s
		}
	}
	return StepMonth
}
