package history

import "context"

// tell is a relay in a step.
type tell struct {
	relay int64
	step  int
}

// loadLate notes from when on the relays of each step told of a metric that a daemon with
// telemetry may not tell of. Of other metrics it notes nothing. One that stopped telling in
// the hour under way is named once that is over.
func (v *view) loadLate(ctx context.Context) error {
	if v.metric.Name != countOwnBytes {
		return nil
	}
	v.late = make(map[tell]int64)
	return each(ctx, v.q, `SELECT relay, step, at, since FROM counted WHERE step IN (3600, 86400) AND name = ? AND at > ? AND at < ? ORDER BY since DESC`,
		[]any{v.metric.Name, v.axis.from() - daySecs, v.axis.to()}, func(scan func(...any) error) error {
			var relay, length, at, since int64
			if err := scan(&relay, &length, &at, &since); err != nil {
				return err
			}
			first, _ := v.axis.index(at)
			last, _ := v.axis.index(at + length - 1)
			for i := max(0, first); i <= min(last, v.axis.len()-1); i++ {
				// One that began before the step was perhaps all of it that they told; if they
				// told later too, or nothing was read later, it says from when.
				key := tell{relay, i}
				if _, told := v.late[key]; told || i == first || v.last[i].at < at+length {
					v.late[key] = since // the earliest comes last
				}
			}
			return nil
		})
}

// tellsLate reports whether a relay whose daemon has telemetry did not tell of the metric
// in a step, or only of a part of it.
func (v *view) tellsLate(m member, i int) bool {
	if v.late == nil || m.counted == 0 || m.counted >= v.last[i].at {
		return false // nothing of it could have grown yet
	}
	since, told := v.late[tell{m.relay, i}]
	return !told || since > v.axis.bounds[i] && m.counted <= v.axis.bounds[i]
}
