package history

import (
	"context"
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/stats"
)

// oldTells reports whether a daemon without telemetry tells of a metric. Of reservations and
// circuits it says 0 whatever there were, unless it ever said more.
func oldTells(metric string, more bool) bool {
	switch metric {
	case "joins", "leaves":
		return true
	case "reservations_granted", "circuits_opened":
		return more
	}
	return false
}

// loadTold notes which relays told of more than 0 of the metric while their daemon was an old
// one. Where it is one still, all that was counted says so; of one that was replaced, only
// samples that ended before it was: what its successor counts says nothing of it.
func (v *view) loadTold(ctx context.Context) error {
	v.told = make(map[int64]bool)
	err := each(ctx, v.q, `SELECT DISTINCT t.relay FROM totals t JOIN relays r ON r.id = t.relay WHERE r.old = 1 AND t.name = ? AND t.value > 0`,
		[]any{v.metric.Name}, func(scan func(...any) error) error {
			var relay int64
			err := scan(&relay)
			v.told[relay] = true
			return err
		})
	if err != nil {
		return err
	}
	replaced, last := make(map[int64]int64), int64(0)
	for _, m := range v.members {
		if m.oldUntil > 0 && m.oldUntil < forever {
			replaced[m.relay], last = m.oldUntil, max(last, m.oldUntil)
		}
	}
	if len(replaced) == 0 {
		return nil
	}
	return each(ctx, v.q, `SELECT relay, MIN(at + step) FROM counted WHERE step IN (3600, 86400) AND name = ? AND at < ? AND value > 0 GROUP BY relay`,
		[]any{v.metric.Name, last}, func(scan func(...any) error) error {
			var relay, end int64
			err := scan(&relay, &end)
			if until, ok := replaced[relay]; ok && end <= until {
				v.told[relay] = true
			}
			return err
		})
}

// untold reports whether the daemon of a relay was one that does not tell of the metric at
// some time of a step.
func (v *view) untold(m member, i int) bool {
	return m.oldUntil >= v.axis.bounds[i] && !oldTells(v.metric.Name, v.told[m.relay])
}

// counted is what counters grew by in each step. A step without a collection is unknown;
// what came later stands in the step in which it came.
func (v *view) counted(ctx context.Context) (lines, error) {
	if v.metric.Name == "session_length_seconds" {
		return v.sessionLength(ctx)
	}
	byRelay := v.by && v.metric.By == ""
	if byRelay && v.axis.step == StepMinute {
		return nil, hinted{question{fmt.Errorf("%s is kept by relay for hours", v.metric.Name)}, "ask for a step of 1h or longer"}
	}
	grown, since, err := v.growth(ctx, v.metric.Name, byRelay)
	if err != nil {
		return nil, err
	}
	if err := v.loadTold(ctx); err != nil {
		return nil, err
	}
	if err := v.loadLate(ctx); err != nil {
		return nil, err
	}
	kept, err := v.keptFrom(ctx, v.metric.Name)
	if err != nil {
		return nil, err
	}
	observed := earliest(since, v.axis.len())
	if !v.by {
		grown[""], since[""] = merged(grown, v.axis.len()), observed
	}
	if byRelay {
		for _, node := range v.nodes() {
			if grown[node] == nil { // nothing grew there
				grown[node] = make([]float64, v.axis.len())
			}
		}
	}
	if v.metric.Name == countSessions && v.by { // the ranges stand there, also empty
		for _, label := range SessionLabels() {
			if grown[label] == nil {
				grown[label] = make([]float64, v.axis.len())
			}
		}
	}
	rare := v.metric.Name == countPunches  // unknown until a client reports one
	late := v.metric.Name == countOwnBytes // and this until a daemon tells it
	out := lines{}
	for label, values := range grown {
		if !v.by && label != "" {
			continue
		}
		line := v.countedBlank()
		for i := range line {
			if v.axis.bounds[i] < kept {
				continue // a longer step has it
			}
			if byRelay && v.quiet(&line[i], label, i) && values[i] == 0 {
				continue // unknown, not 0
			}
			node := ""
			if byRelay {
				node = label
			}
			from, all := v.countedFrom(i, node)
			if values[i] == 0 && (from == 0 || v.last[i].answered == 0) || rare && observed[i] == 0 {
				continue
			}
			list := since[label]
			if late && (list == nil || list[i] == 0) {
				continue
			}
			if list != nil && list[i] > 0 {
				from = list[i]
			}
			line[i] = known(values[i], line[i].Missing, stamp(from))
			line[i].AtLeast = line[i].AtLeast || !all
		}
		out[label] = line
	}
	return out, nil
}

// countedFrom is from when in a step the counters of a relay, or of those of the fleet (""),
// are known; 0 if they are not. all says that they are from its beginning on: what a relay
// had counted before its counters were first read is in no step.
func (v *view) countedFrom(i int, node string) (from int64, all bool) {
	all = true
	for _, m := range v.members {
		if !v.expected(m, i) || node != "" && m.node != node || v.untold(m, i) {
			continue
		}
		all = all && m.counted > 0 && m.counted <= v.axis.bounds[i]
		if m.counted > 0 && m.counted < v.last[i].at {
			begin := max(m.counted, v.axis.bounds[i])
			if from == 0 || begin < from {
				from = begin
			}
		}
	}
	return from, all
}

// quiet reports whether one relay told nothing in a step: it did not answer, or was not
// in the fleet. Who else did not answer is no matter of its line.
func (v *view) quiet(f *stats.Figure, node string, i int) bool {
	f.Missing = only(f.Missing, node)
	there := slices.ContainsFunc(v.members, func(m member) bool { return m.node == node && v.expected(m, i) })
	return len(f.Missing) > 0 || !there
}

// countedBlank is a line of which nothing is known yet: each step names who did not answer
// in it, and who does not tell.
func (v *view) countedBlank() []stats.Figure {
	line := v.blank(missingOf)
	for i := range line {
		if v.last[i].at == 0 {
			continue
		}
		for _, m := range v.members {
			if v.expected(m, i) && (v.untold(m, i) || v.tellsLate(m, i)) {
				line[i].Missing = append(line[i].Missing, m.node)
			}
		}
		line[i].Missing = sorted(line[i].Missing)
	}
	return line
}

// growth sums the samples of a counter by label and step. since is the time of the
// collection before the first sample of each; 0 where there is no sample.
func (v *view) growth(ctx context.Context, name string, byRelay bool) (grown map[string][]float64, since map[string][]int64, err error) {
	label := `c.label`
	if byRelay {
		label = `r.node`
	}
	steps := `c.step IN (3600, 86400)`
	switch v.axis.step {
	case StepMinute:
		steps = `c.step = 60`
	case StepHour: // what is kept of a whole day is of none of its hours
		steps = `c.step = 3600`
	}
	grown, since = make(map[string][]float64), make(map[string][]int64)
	err = each(ctx, v.q, `SELECT c.at, `+label+`, SUM(c.value), MIN(c.since), MAX(c.step) FROM counted c LEFT JOIN relays r ON r.id = c.relay
	WHERE `+steps+` AND c.name = ? AND c.at > ? AND c.at < ? GROUP BY 1, 2`, []any{name, v.axis.from() - v.reach(), v.axis.to()},
		func(scan func(...any) error) error {
			var at, value, before, length int64
			var label string
			if err := scan(&at, &label, &value, &before, &length); err != nil {
				return err
			}
			v.blur(at, length)
			i, ok := v.axis.index(at)
			if !ok {
				return nil
			}
			if grown[label] == nil {
				grown[label], since[label] = make([]float64, v.axis.len()), make([]int64, v.axis.len())
			}
			grown[label][i] += float64(value)
			if from := &since[label][i]; *from == 0 || before < *from {
				*from = before
			}
			return nil
		})
	return grown, since, err
}

// keptFrom is from when on the samples of a counter are as fine as the steps that are asked
// for. Before it they are part of an hour or of a day, and say nothing of a shorter step.
func (v *view) keptFrom(ctx context.Context, name string) (from int64, err error) {
	switch v.axis.step {
	case StepMinute:
		var tidied int64
		err = one(ctx, v.q, `SELECT tidied FROM meta`, nil, &tidied)
		from = floor(tidied-int64(v.keep.Minutes.Seconds()), 3600)
	case StepHour: // a day of which nothing is kept had nothing to count
		err = one(ctx, v.q, `SELECT COALESCE(MAX(at) + 86400, 0) FROM counted WHERE step = 86400 AND name = ?`, []any{name}, &from)
	}
	return from, err
}

// merged adds labels up.
func merged(grown map[string][]float64, n int) []float64 {
	sum := make([]float64, n)
	for _, values := range grown {
		for i, x := range values {
			sum[i] += x
		}
	}
	return sum
}

// earliest is the first of all labels.
func earliest(since map[string][]int64, n int) []int64 {
	first := make([]int64, n)
	for _, times := range since {
		for i, t := range times {
			if t > 0 && (first[i] == 0 || t < first[i]) {
				first[i] = t
			}
		}
	}
	return first
}

// sessionLength is seconds divided by sessions, unknown where none ended.
func (v *view) sessionLength(ctx context.Context) (lines, error) {
	byRelay := v.by
	secs, since, err := v.growth(ctx, countSessionSecs, byRelay)
	if err != nil {
		return nil, err
	}
	ended, _, err := v.growth(ctx, "sessions_ended", byRelay)
	if err != nil {
		return nil, err
	}
	if !v.by {
		secs, ended = map[string][]float64{"": merged(secs, v.axis.len())}, map[string][]float64{"": merged(ended, v.axis.len())}
		since[""] = earliest(since, v.axis.len())
	}
	if v.by { // also where no session ended
		for _, node := range v.nodes() {
			if ended[node] == nil {
				ended[node] = make([]float64, v.axis.len())
			}
		}
	}
	out := lines{}
	for label, n := range ended {
		line := v.countedBlank()
		for i := range line {
			if v.by { // who else did not answer is no matter of its line
				line[i].Missing = only(line[i].Missing, label)
			}
			if n[i] > 0 && secs[label] != nil {
				line[i] = known(secs[label][i]/n[i], line[i].Missing, stamp(since[label][i]))
			}
		}
		out[label] = line
	}
	return out, nil
}
