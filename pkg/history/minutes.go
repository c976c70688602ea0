package history

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/relayfleet/fleetctl/stats"
)

// minuteSum is by how much the sum over the relays of one minute changed.
type minuteSum struct{ users, relays int64 }

// relayMinutes takes in how many users were connected at the ends of minutes. Of a relay
// that has no minutes yet, what it has now stands for the last one that is over, so that
// it adds up with the others. Machines of one node are added up.
func (in *ingestion) relayMinutes(ctx context.Context, relay *relayRow, answers []stats.Reading) error {
	told := make(map[int64]int64)
	standIn := true
	for _, r := range answers {
		if r.Telemetry != nil && len(r.Telemetry.Minutes) > 0 {
			standIn = false
			in.shiftMinutes(relay, r, told)
		} else if n, ok := users(int64(gaugesOf(r).Users)); ok {
			told[floor(in.at, 60)-60] += n
		}
	}
	if err := in.leaveRolled(ctx, told); err != nil || len(told) == 0 {
		return err
	}
	minutes := slices.Sorted(maps.Keys(told))
	have := make(map[int64]int64)
	err := each(ctx, in.t, `SELECT at, users FROM concurrent WHERE step = 60 AND relay = ? AND at BETWEEN ? AND ?`,
		[]any{relay.id, minutes[0], minutes[len(minutes)-1]}, func(scan func(...any) error) error {
			var at, n int64
			err := scan(&at, &n)
			have[at] = n
			return err
		})
	if err != nil {
		return err
	}
	for _, at := range minutes {
		n := told[at]
		old, known := have[at]
		if known && (old == n || standIn) {
			continue // what a relay told of the minute itself stands
		}
		err := in.t.exec(ctx, `INSERT OR REPLACE INTO concurrent (step, relay, at, minutes, relays, users, most) VALUES (60, ?, ?, 1, 1, ?, ?)`,
			relay.id, at, n, n)
		if err != nil {
			return err
		}
		sum := in.minutes[at]
		sum.users += n - old
		if !known {
			sum.relays++
		}
		in.minutes[at] = sum
	}
	// A relay was there when its first minute was, not only since it was first asked.
	return in.t.exec(ctx, `UPDATE members SET since = MIN(since, ?) WHERE relay = ? AND since = (SELECT MIN(since) FROM members WHERE relay = ?)`,
		minutes[0], relay.id, relay.id)
}

// shiftMinutes moves a relay's minutes by what its clock is wrong, and leaves out what is
// older than minutes are kept, and what is not over yet.
func (in *ingestion) shiftMinutes(relay *relayRow, r stats.Reading, into map[int64]int64) {
	shift := int64(math.Round(float64(in.skewOf(r))/60)) * 60
	own := make(map[int64]int64)
	minutes := r.Telemetry.Minutes
	oldest := floor(in.at-int64(in.keep.Minutes.Seconds()), 3600) + 3600
	odd := 0
	for _, m := range minutes[:min(len(minutes), 2*1440)] {
		n, ok := users(m[1])
		at := floor(m[0]-shift, 60)
		switch {
		case !ok, at > in.at:
			odd++
		case at >= oldest:
			own[at] = n
		}
	}
	for at, n := range own {
		into[at] += n
	}
	if odd > 0 {
		in.warn("%s: %d of its minutes make no sense and are left out", relay.node, odd)
	}
}

// leaveRolled leaves out the minutes that became part of their hour while our clock was
// ahead: they would count twice.
func (in *ingestion) leaveRolled(ctx context.Context, told map[int64]int64) error {
	rolled := make(map[int64]bool) // by hour
	for at := range told {
		if at > in.rolled {
			continue
		}
		hour := floor(at, 3600)
		is, looked := rolled[hour]
		if !looked {
			err := in.t.one(ctx, `SELECT EXISTS (SELECT 1 FROM concurrent WHERE relay = 0 AND (step = 3600 AND at = ? OR step = 86400 AND at = ?))`,
				[]any{hour, floor(at, daySecs)}, &is)
			if err != nil {
				return err
			}
			rolled[hour] = is
		}
		if is {
			delete(told, at)
		}
	}
	return nil
}

// saveMinutes adds the changes to the sums of the fleet.
func (in *ingestion) saveMinutes(ctx context.Context) error {
	for _, at := range slices.Sorted(maps.Keys(in.minutes)) {
		sum := in.minutes[at]
		err := in.t.exec(ctx, `INSERT INTO concurrent (step, relay, at, minutes, relays, users, most) VALUES (60, 0, ?, 1, ?, ?, ?)
	ON CONFLICT (step, relay, at) DO UPDATE SET relays = relays + excluded.relays, users = users + excluded.users, most = most + excluded.most`,
			at, sum.relays, sum.users, sum.users)
		if err != nil {
			return err
		}
	}
	return nil
}
