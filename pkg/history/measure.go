package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// growth is by how much one counter grew.
type growth struct {
	name, label string
	value       uint64
}

// What is counted beside the metrics of the same names.
const (
	countSessions    = "sessions"
	countSessionSecs = "session_seconds"
	countPunches     = "hole_punches"
	countOwnBytes    = "own_bytes_relayed"
)

// measure takes in what the machines of a relay counted that answer: gauges, minutes and
// counters. Without epochs one daemon is not told from the next start of another: of those
// only the machine that is known counts.
func (in *ingestion) measure(ctx context.Context, relay *relayRow, answers []stats.Reading) error {
	if len(answers) == 0 {
		return nil
	}
	if err := relay.keepGauges(together(answers)); err != nil {
		return err
	}
	if err := in.relayMinutes(ctx, relay, answers); err != nil {
		return err
	}
	var sum stats.Counters
	old := false
	for _, r := range answers {
		id := clean(answerer(r), 128)
		stranger := id != "" && relay.peerID != "" && id != relay.peerID // the known one is silent, and may come back
		if r.Telemetry == nil && (old || stranger) {
			in.warn("%s: a second old daemon of it is not counted", relay.node)
			continue
		}
		old = old || r.Telemetry == nil
		grown, err := in.grown(ctx, relay, r)
		if err != nil {
			return err
		}
		sum = sum.Plus(grown)
	}
	return in.count(ctx, relay, growths(sum))
}

// grown is what one machine counted since it was last read.
func (in *ingestion) grown(ctx context.Context, relay *relayRow, r stats.Reading) (stats.Counters, error) {
	if r.Telemetry == nil {
		return in.addProcess(ctx, relay, r)
	}
	grown, fell, err := in.addLife(ctx, clean(r.Telemetry.Epoch, 64), r.Telemetry.Counters)
	if err == nil && fell {
		err = in.event(ctx, relay.node, EventCounterFell, "a counter fell within its life: nothing is added, and nothing taken away")
	}
	return grown, err
}

// addLife adds up one life of counters.
func (in *ingestion) addLife(ctx context.Context, epoch string, now stats.Counters) (grown stats.Counters, fell bool, err error) {
	acc := stats.Accumulator{Lives: make(map[string]stats.Counters)}
	if err := in.loadLife(ctx, &acc, epoch); err != nil {
		return grown, false, err
	}
	for _, g := range growths(now.Below(acc.Lives[epoch])) {
		fell = fell || g.value > 0
	}
	grown = acc.Add(epoch, now)
	return grown, fell, in.saveLives(ctx, acc)
}

// addProcess adds up what a daemon without epochs counted since it started.
func (in *ingestion) addProcess(ctx context.Context, relay *relayRow, r stats.Reading) (stats.Counters, error) {
	told := r.Report
	acc := stats.Accumulator{Lives: make(map[string]stats.Counters), Processes: make(map[string]stats.Process)}
	var text string
	switch err := in.t.one(ctx, `SELECT state FROM processes WHERE node = ?`, []any{relay.node}, &text); {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return stats.Counters{}, err
	default:
		var p stats.Process
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return stats.Counters{}, err
		}
		if p.At.Unix() > in.clock { // noted while our clock was ahead
			p.At = time.Unix(in.clock-1, 0).UTC()
		}
		acc.Processes[relay.node] = p
	}
	// The lives of its processes; there is one at a time.
	prefix := " of " + relay.node
	err := each(ctx, in.t, `SELECT epoch, counters FROM lives WHERE substr(epoch, 1, 8) = 'process ' AND substr(epoch, -?) = ?`,
		[]any{len([]rune(prefix)), prefix}, func(scan func(...any) error) error {
			var epoch, text string
			if err := scan(&epoch, &text); err != nil {
				return err
			}
			var c stats.Counters
			err := json.Unmarshal([]byte(text), &c)
			acc.Lives[epoch] = c
			return err
		})
	if err != nil {
		return stats.Counters{}, err
	}
	before := slices.Collect(maps.Keys(acc.Lives))
	now := stats.Counters{Joined: told.PeersJoinedTotal, Left: told.PeersLeftTotal, Granted: told.RelayReservations, Circuits: told.RelayCircuits}
	if punched(told.HolePunchesSucceeded) || punched(told.HolePunchesFailed) { // an old daemon's zeros are unknown
		now.PunchesSucceeded, now.PunchesFailed = told.HolePunchesSucceeded, told.HolePunchesFailed
	}
	at, _ := in.answered(r)
	look := stats.Process{At: time.Unix(at, 0).UTC(), UptimeSecs: told.UptimeSecs}
	if r.Census != nil {
		look.Clock = r.Census.GeneratedAt
	}
	grown := acc.AddOld(relay.node, look, now)
	for _, epoch := range before {
		if _, goesOn := acc.Lives[epoch]; !goesOn {
			if err := in.t.exec(ctx, `DELETE FROM lives WHERE epoch = ?`, epoch); err != nil {
				return stats.Counters{}, err
			}
		}
	}
	state, err := json.Marshal(acc.Processes[relay.node])
	if err != nil {
		return stats.Counters{}, err
	}
	if err := in.t.exec(ctx, `INSERT OR REPLACE INTO processes (node, state) VALUES (?, ?)`, relay.node, string(state)); err != nil {
		return stats.Counters{}, err
	}
	return grown, in.saveLives(ctx, acc)
}

func punched(n *uint64) bool { return n != nil && *n > 0 }

func (in *ingestion) loadLife(ctx context.Context, acc *stats.Accumulator, epoch string) error {
	var text string
	switch err := in.t.one(ctx, `SELECT counters FROM lives WHERE epoch = ?`, []any{epoch}, &text); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	var c stats.Counters
	err := json.Unmarshal([]byte(text), &c)
	acc.Lives[epoch] = c
	return err
}

func (in *ingestion) saveLives(ctx context.Context, acc stats.Accumulator) error {
	for epoch, c := range acc.Lives {
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		err = in.t.exec(ctx, `INSERT INTO lives (epoch, counters) VALUES (?, ?)
	ON CONFLICT (epoch) DO UPDATE SET counters = excluded.counters WHERE counters <> excluded.counters`, epoch, string(text))
		if err != nil {
			return err
		}
	}
	return nil
}

// SessionLabels name the ranges of Counters.SessionLengths by their upper bounds.
func SessionLabels() []string { return []string{"10s", "1m", "5m", "15m", "1h", "6h", "24h", "longer"} }

// growths is what a metric each grew by, without zeros; those of hole punches and of bytes
// of the fleet itself stand for "observed, and there were none".
func growths(c stats.Counters) []growth {
	var out []growth
	add := func(name, label string, value uint64) {
		if value > 0 {
			out = append(out, growth{name, label, value})
		}
	}
	add("joins", "", c.Joined)
	add("leaves", "", c.Left)
	add("reservations_granted", "", c.Granted)
	add("reservations_renewed", "", c.Renewed)
	add("circuits_opened", "", c.Circuits)
	add("bytes_relayed", "", c.BytesRelayed)
	add("sessions_ended", "", c.Sessions)
	add(countSessionSecs, "", c.SessionSecs)
	for i, label := range SessionLabels() {
		if i < len(c.SessionLengths) {
			add(countSessions, label, c.SessionLengths[i])
		}
	}
	for name, groups := range map[string]map[string]uint64{"reservations_refused": c.RefusedReserve, "circuits_refused": c.RefusedCircuit} {
		for label, value := range groups {
			add(name, clean(label, 80), value)
		}
	}
	for label, value := range map[string]*uint64{"succeeded": c.PunchesSucceeded, "failed": c.PunchesFailed} {
		if value != nil {
			out = append(out, growth{countPunches, label, *value})
		}
	}
	if c.OwnBytes != nil {
		out = append(out, growth{countOwnBytes, "", *c.OwnBytes})
	}
	return out
}

// count adds to totals and to the samples of this time. What a relay had counted before
// its counters were first read was no growth of this time: it is in the totals alone.
func (in *ingestion) count(ctx context.Context, relay *relayRow, grown []growth) error {
	const sample = `INSERT INTO counted (step, name, at, relay, label, value, since) VALUES (?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (step, name, at, relay, label) DO UPDATE SET value = value + excluded.value, since = MIN(since, excluded.since)`
	first := relay.counted == 0
	if first || in.at < relay.counted { // a clock that was ahead once is not believed for ever
		relay.counted = in.at
	}
	for _, g := range grown {
		value := int64(min(g.value, stats.MaxCount))
		err := in.t.exec(ctx, `INSERT INTO totals (relay, name, label, value) VALUES (?, ?, ?, ?)
	ON CONFLICT (relay, name, label) DO UPDATE SET value = value + excluded.value`, relay.id, g.name, g.label, value)
		if err != nil {
			return err
		}
		if first {
			continue
		}
		if err := in.t.exec(ctx, sample, 60, g.name, floor(in.at, 60), 0, g.label, value, relay.lastAnswered); err != nil {
			return err
		}
		if err := in.t.exec(ctx, sample, 3600, g.name, floor(in.at, 3600), relay.id, g.label, value, relay.lastAnswered); err != nil {
			return err
		}
	}
	return nil
}

// floor rounds down to a multiple of step.
func floor(n, step int64) int64 { return n - ((n%step)+step)%step }

// users of the moment as a count; false for one that counts nothing.
func users(n int64) (int64, bool) { return n, n >= 0 && n <= stats.MaxCount }

// natLabel is one of the words of nat_status.
func natLabel(text string) string {
	switch text {
	case "public", "private":
		return text
	}
	return "unknown"
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
