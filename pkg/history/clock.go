package history

import (
	"context"
	"fmt"
)

// maxMove is by how much one collection moves the clock that retention goes by, forward
// and back, in seconds: a clock of ours that is years wrong once does not erase the
// history, and is forgotten as soon as it is right again.
const maxMove = 31 * daySecs

// checkClock moves the clock that is believed towards that of this collection.
func (in *ingestion) checkClock(ctx context.Context) error {
	if in.last == 0 {
		in.clock = in.at
		return nil
	}
	before := in.clock
	in.clock = min(max(in.at, before-maxMove), before+maxMove)
	if in.clock < before {
		if err := in.bringBack(ctx); err != nil {
			return err
		}
	}
	if in.at >= in.last {
		return nil
	}
	return in.event(ctx, "", EventClockBack, fmt.Sprintf("this computer's clock is %s before the last collection: nothing that was counted is lost",
		span(in.last-in.at)))
}

// bringBack corrects the times that were written down while our clock was ahead: a relay
// that is silent since would look as if it had answered, until that time is reached.
func (in *ingestion) bringBack(ctx context.Context) error {
	earlier := in.clock - 1 // before this collection
	for _, r := range in.relays {
		if r.retired != nil {
			r.retired = new(min(*r.retired, in.clock))
			continue
		}
		r.tried, r.answered, r.census = min(r.tried, earlier), min(r.answered, earlier), min(r.census, earlier)
		r.lastAnswered = r.answered
	}
	for _, q := range []struct {
		text string
		args []any
	}{
		{`UPDATE relays SET tried = MIN(tried, ?), answered = MIN(answered, ?), census = MIN(census, ?) WHERE retired IS NULL`, []any{earlier, earlier, earlier}},
		{`UPDATE relays SET retired = MIN(retired, ?) WHERE retired IS NOT NULL`, []any{in.clock}},
		{`UPDATE members SET since = MIN(since, ?), until = MIN(until, ?)`, []any{in.clock, in.clock}},
	} {
		if err := in.t.exec(ctx, q.text, q.args...); err != nil {
			return err
		}
	}
	return nil
}
