package history

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/stats"
)

// relayRow is a row of relays.
type relayRow struct {
	id                   int64
	node, region, peerID string
	registry, cursor     string
	epoch                string
	tried, answered      int64
	census               int64
	retired              *int64
	err                  string
	skew                 int64
	old                  bool
	damaged              []string
	gauges               *string
	peers                int64
	counted              int64 // when its counters were first read; 0: never
	first                bool  // there was no row before this collection
	lastAnswered         int64 // before this collection
}

const relayColumns = `id, node, region, peer_id, registry, cursor, epoch, tried, answered, census, retired, error, skew, old, damaged, gauges, peers, counted`

func scanRelay(scan func(...any) error) (*relayRow, error) {
	var r relayRow
	var damaged string
	err := scan(&r.id, &r.node, &r.region, &r.peerID, &r.registry, &r.cursor, &r.epoch, &r.tried, &r.answered, &r.census, &r.retired, &r.err,
		&r.skew, &r.old, &damaged, &r.gauges, &r.peers, &r.counted)
	if err == nil {
		err = json.Unmarshal([]byte(damaged), &r.damaged)
	}
	r.lastAnswered = r.answered
	return &r, err
}

func (in *ingestion) loadRelays(ctx context.Context) error {
	return each(ctx, in.t, `SELECT `+relayColumns+` FROM relays`, nil, func(scan func(...any) error) error {
		r, err := scanRelay(scan)
		if err == nil {
			in.relays[r.node] = r
		}
		return err
	})
}

// relay is the row of who a reading is of, made if it is new, and a member of the fleet
// from now on.
func (in *ingestion) relay(ctx context.Context, r stats.Reading) (*relayRow, error) {
	row, known := in.relays[r.Node]
	if !known {
		row = &relayRow{node: r.Node, damaged: []string{}, first: true}
		in.relays[r.Node] = row
		if err := in.t.exec(ctx, `INSERT INTO relays (node, region) VALUES (?, ?)`, row.node, r.Region); err != nil {
			return nil, err
		}
		if err := in.t.one(ctx, `SELECT id FROM relays WHERE node = ?`, []any{row.node}, &row.id); err != nil {
			return nil, err
		}
	}
	if r.Region != "" {
		row.region = r.Region
	}
	if !known || row.retired != nil {
		row.retired = nil
		if err := in.t.exec(ctx, `INSERT INTO members (relay, since) VALUES (?, ?)`, row.id, in.at); err != nil {
			return nil, err
		}
		if err := in.event(ctx, row.node, EventJoined, "it is in the fleet from now on"); err != nil {
			return nil, err
		}
	}
	return row, nil
}

func (in *ingestion) saveRelay(ctx context.Context, r *relayRow) error {
	damaged, err := json.Marshal(r.damaged)
	if err != nil {
		return err
	}
	return in.t.exec(ctx, `UPDATE relays SET region = ?, peer_id = ?, registry = ?, cursor = ?, epoch = ?, tried = ?, answered = ?, census = ?,
	retired = ?, error = ?, skew = ?, old = ?, damaged = ?, gauges = ?, peers = ?, counted = ? WHERE id = ?`,
		r.region, r.peerID, r.registry, r.cursor, r.epoch, r.tried, r.answered, r.census, r.retired, r.err, r.skew, r.old, string(damaged),
		r.gauges, r.peers, r.counted, r.id)
}

// look compares what a reading says of the relay itself with what was known, and makes
// events of the differences.
func (in *ingestion) look(ctx context.Context, relay *relayRow, r stats.Reading, ok bool) error {
	was := *relay
	if !ok {
		relay.err = silence(r)
		if was.err == "" {
			return in.event(ctx, relay.node, EventUnreachable, relay.err)
		}
		return nil
	}
	if err := in.lookReturned(ctx, relay); err != nil {
		return err
	}
	if id := answerer(r); id != "" {
		relay.peerID = clean(id, 128)
		if was.peerID != "" && was.peerID != relay.peerID {
			if err := in.event(ctx, relay.node, EventRotated, "peer ID "+was.peerID+" became "+relay.peerID); err != nil {
				return err
			}
		}
	}
	relay.old = r.Telemetry == nil
	if err := in.lookDamage(ctx, relay, r); err != nil {
		return err
	}
	if r.Telemetry == nil {
		return nil
	}
	if err := in.lookLives(ctx, relay, &was, r.Telemetry); err != nil {
		return err
	}
	return in.lookClock(ctx, relay, &was, r)
}

// lookReturned notices that a relay answers that did not.
func (in *ingestion) lookReturned(ctx context.Context, relay *relayRow) error {
	if relay.err == "" {
		return nil
	}
	relay.err = ""
	text := "it answers again"
	if relay.answered > 0 {
		text += " after " + span(in.at-relay.answered)
	}
	return in.event(ctx, relay.node, EventReturned, text)
}

func (r *relayRow) keepGauges(g stats.Gauges) error {
	g.NATStatus = clean(g.NATStatus, 20)
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	kept := string(text)
	r.gauges = &kept
	return nil
}

// lookDamage notes files that a relay says are damaged, or that were found to be. A census that
// was damaged and could not be looked at is damaged still, as far as is known.
func (in *ingestion) lookDamage(ctx context.Context, relay *relayRow, r stats.Reading) error {
	was := relay.damaged
	relay.damaged = damageOf(r)
	if read := r.Err == nil && (r.Delta != nil || r.Registry != nil); !read && r.Broken == nil {
		for _, text := range was {
			if len(relay.damaged) < mostDamage && stats.DamagesCensus(text) && !slices.Contains(relay.damaged, text) {
				relay.damaged = append(relay.damaged, text)
			}
		}
	}
	switch {
	case len(relay.damaged) > 0 && !slices.Equal(was, relay.damaged):
		return in.event(ctx, relay.node, EventDamaged, strings.Join(relay.damaged, "; "))
	case len(relay.damaged) == 0 && len(was) > 0:
		return in.event(ctx, relay.node, EventRepaired, "what was wrong is not any more: "+was[0])
	}
	return nil
}

// mostDamage is how much damage of one relay is told at once.
const mostDamage = 12

// damageOf is what is wrong with the files of a relay. What was not read, or not to its
// end, is not damaged.
func damageOf(r stats.Reading) []string {
	out := []string{}
	if r.Telemetry != nil {
		for _, text := range r.Telemetry.Damaged[:min(len(r.Telemetry.Damaged), mostDamage-2)] {
			out = append(out, clean(text, 300))
		}
	}
	if r.Broken != nil {
		out = append(out, clean(r.Broken.Error(), 300))
	}
	if r.LeftOut > 0 {
		out = append(out, fmt.Sprintf("%d entries of its census make no sense and are left out", r.LeftOut))
	}
	return out
}

// lookLives notices that counters or a census began anew.
func (in *ingestion) lookLives(ctx context.Context, relay, was *relayRow, t *stats.Telemetry) error {
	relay.epoch, relay.registry = clean(t.Epoch, 64), clean(t.Registry, 64)
	var anew []string
	if was.epoch != "" && was.epoch != relay.epoch {
		anew = append(anew, "its counters")
	}
	if was.registry != "" && was.registry != relay.registry {
		anew = append(anew, "its census")
	}
	if len(anew) == 0 {
		return nil
	}
	return in.event(ctx, relay.node, EventReimaged, strings.Join(anew, " and ")+" began anew; what was counted before stays")
}

// maxSkew is how wrong a clock may be without being an event, in seconds.
const maxSkew = 60

// answered is when a relay's answer was there, by our clock, and how long that took.
func (in *ingestion) answered(r stats.Reading) (at, took int64) {
	switch {
	case r.At.IsZero() && r.Answered.IsZero():
		return in.at, 0
	case r.At.IsZero():
		return r.Answered.Unix(), 0
	case r.Answered.IsZero():
		r.Answered = r.At.Add(r.Took)
	}
	return r.Answered.Unix(), max(0, r.Answered.Unix()-r.At.Unix())
}

// skewOf is by how much a relay's clock is ahead of ours, in seconds: it told its time
// between the begin of the reading and the arrival of the answer. Old daemons do not tell.
func (in *ingestion) skewOf(r stats.Reading) int64 {
	const slack = 3 // seconds, also for what is cut off
	if r.Telemetry == nil {
		return 0
	}
	at, took := in.answered(r)
	skew := r.Telemetry.Now - at
	if skew > -slack-took && skew < slack {
		return 0
	}
	return skew
}

// lookClock notes by how much a clock is wrong, and makes an event of one that is from now on.
func (in *ingestion) lookClock(ctx context.Context, relay, was *relayRow, r stats.Reading) error {
	relay.skew = in.skewOf(r)
	if wrong, before := abs(relay.skew) > maxSkew, abs(was.skew) > maxSkew; wrong && !before {
		side := "ahead of"
		if relay.skew < 0 {
			side = "behind"
		}
		return in.event(ctx, relay.node, EventClockSkew, fmt.Sprintf("its clock is %s %s ours", span(abs(relay.skew)), side))
	}
	return nil
}

func abs(n int64) int64 { return max(n, -n) }
