package history

import (
	"context"
	"time"
)

// tidy makes samples coarser when they are old, and drops what is older still, once an
// hour. It goes by the clock that is believed.
func (in *ingestion) tidy(ctx context.Context) error {
	if floor(in.tidied, 3600) == floor(in.clock, 3600) {
		return nil
	}
	newDay := floor(in.tidied, daySecs) != floor(in.clock, daySecs)
	in.tidied = in.clock
	before := func(d time.Duration, step int64) int64 { return floor(in.clock-int64(d.Seconds()), step) }
	minutes, hours, days := before(in.keep.Minutes, 3600), before(in.keep.Hours, daySecs), before(in.keep.Days, daySecs)
	for _, q := range []struct {
		text string
		args []any
	}{
		{`UPDATE meta SET rolled = MAX(rolled, (SELECT COALESCE(MAX(at), 0) FROM concurrent WHERE step = 60 AND at < ?))`, []any{minutes}},
		{rollConcurrent, []any{3600, 3600, 60, minutes}},
		{`DELETE FROM concurrent WHERE step = 60 AND at < ?`, []any{minutes}},
		{rollConcurrent, []any{daySecs, daySecs, 3600, hours}},
		{`DELETE FROM concurrent WHERE step = 3600 AND at < ?`, []any{hours}},
		{`DELETE FROM concurrent WHERE step = 86400 AND at < ?`, []any{days}},

		{`DELETE FROM counted WHERE step = 60 AND at < ?`, []any{minutes}}, // the hours of the relays have it
		{rollCounted, []any{hours}},
		{`DELETE FROM counted WHERE step = 3600 AND at < ?`, []any{hours}},
		{`DELETE FROM counted WHERE step = 86400 AND at < ?`, []any{days}},

		{thin, []any{minutes, minutes, 3600}},
		{thin, []any{hours, hours, daySecs}},
		{`DELETE FROM collections WHERE at < ?`, []any{days}},
		{thinFigures, []any{minutes, minutes, 3600}},
		{thinFigures, []any{hours, hours, daySecs}},
		{`DELETE FROM figures WHERE at < ?`, []any{days}},

		{`DELETE FROM imported WHERE at < ?`, []any{days}},
		{`DELETE FROM events WHERE at < ?`, []any{before(in.keep.Events, 1)}},
	} {
		if err := in.t.exec(ctx, q.text, q.args...); err != nil {
			return err
		}
	}
	if !newDay {
		return nil
	}
	return in.t.exec(ctx, `UPDATE peers SET tier = '', family = '', transport = '', agent = '', days = 1 WHERE own = 0 AND last_seen < ? AND family <> ''`,
		before(in.keep.Details, 1))
}

const (
	// rollConcurrent makes steps of shorter ones.
	rollConcurrent = `INSERT INTO concurrent (step, relay, at, minutes, relays, users, most)
	SELECT ?, relay, at - at % ? AS begin, SUM(minutes), SUM(relays), SUM(users), MAX(most) FROM concurrent WHERE step = ? AND at < ? GROUP BY relay, begin
	ON CONFLICT (step, relay, at) DO UPDATE SET minutes = minutes + excluded.minutes, relays = relays + excluded.relays,
	users = users + excluded.users, most = MAX(most, excluded.most)`
	rollCounted = `INSERT INTO counted (step, name, at, relay, label, value, since)
	SELECT 86400, name, at - at % 86400 AS begin, relay, label, SUM(value), MIN(since) FROM counted WHERE step = 3600 AND at < ?
	GROUP BY name, begin, relay, label
	ON CONFLICT (step, name, at, relay, label) DO UPDATE SET value = value + excluded.value, since = MIN(since, excluded.since)`
	thinFigures = `DELETE FROM figures WHERE at < ? AND (metric, at) NOT IN (SELECT metric, MAX(at) FROM figures WHERE at < ? GROUP BY metric, at / ?)`
	// thin keeps the last collection of each step.
	thin = `DELETE FROM collections WHERE at < ? AND at NOT IN (SELECT MAX(at) FROM collections WHERE at < ? GROUP BY at / ?)`
)
