package history

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Summary is what a collection brought.
type Summary struct {
	At       time.Time `json:"at"`       // UTC
	Relays   int       `json:"relays"`   // asked
	Answered int       `json:"answered"` // of them
	Missing  []string  `json:"missing"`  // the others, sorted; never nil
	Unread   []string  `json:"unread"`   // nodes whose census was not read whole, the missing too, sorted; never nil
	New      uint64    `json:"new"`      // peers that nobody knew before
	Changed  uint64    `json:"changed"`  // peers seen again, or by another relay
	Own      uint64    `json:"own"`      // keys of the fleet's relays and probes that are known, in all
	Warnings []string  `json:"warnings"` // one line each, clean; never nil
	Events   []Event   `json:"events"`   // that came of it; never nil
}

// ingestion is one collection on its way into the store.
type ingestion struct {
	t    *txn
	keep Retention
	at   int64
	sum  Summary

	salt        []byte
	last, clock int64 // from meta
	tidied      int64
	grouped     int64
	rolled      int64

	relays  map[string]*relayRow
	own     map[string]bool // raw keys
	graves  map[string]bool // hashes of keys that were forgotten
	next    int64           // the next id of a peer
	overlap map[int64]int64 // by how much each group grew
	minutes map[int64]minuteSum
}

// Ingest takes the readings of one collection in: every relay of the fleet has one, those
// that did not answer too. It is one transaction: after an error nothing of it is kept. A
// relay of which there is no reading is retired from then on.
func (s *Store) Ingest(ctx context.Context, at time.Time, readings []stats.Reading) (Summary, error) {
	readings = slices.Clone(readings)
	slices.SortStableFunc(readings, func(a, b stats.Reading) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(len(a.Node), len(b.Node)), cmp.Compare(a.Node, b.Node))
	})
	var out Summary
	err := s.write(ctx, func(t *txn) error {
		in := &ingestion{
			t: t, keep: s.keep, at: at.Unix(), relays: make(map[string]*relayRow),
			overlap: make(map[int64]int64), minutes: make(map[int64]minuteSum),
			sum: Summary{
				At: at.UTC().Truncate(time.Second), Missing: []string{}, Unread: []string{}, Warnings: []string{}, Events: []Event{},
			},
		}
		err := in.run(ctx, readings)
		out = in.sum
		return err
	})
	if err != nil {
		return Summary{}, err
	}
	return out, nil
}

func (in *ingestion) run(ctx context.Context, readings []stats.Reading) error {
	if err := in.load(ctx); err != nil {
		return err
	}
	if err := in.checkClock(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context, []stats.Reading) error{in.ownKeys, in.readings, in.retire} {
		if err := step(ctx, readings); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{in.saveOverlap, in.saveMinutes, in.saveCollection, in.sample, in.tidy, in.saveMeta} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	in.sum.Own = uint64(len(in.own))
	return nil
}

func (in *ingestion) load(ctx context.Context) error {
	err := in.t.one(ctx, `SELECT salt, last, clock, tidied, grouped, rolled, (SELECT COALESCE(MAX(id), 0) + 1 FROM peers) FROM meta`, nil, &in.salt, &in.last, &in.clock, &in.tidied, &in.grouped, &in.rolled, &in.next)
	if err != nil {
		return err
	}
	if err := in.loadRelays(ctx); err != nil {
		return err
	}
	if in.own, err = keySet(ctx, in.t, `SELECT key FROM own`); err != nil {
		return err
	}
	in.graves, err = keySet(ctx, in.t, `SELECT hash FROM tombstones`)
	return err
}

// keySet reads a column of keys.
func keySet(ctx context.Context, q querier, query string) (map[string]bool, error) {
	out := make(map[string]bool)
	err := each(ctx, q, query, nil, func(scan func(...any) error) error {
		var key []byte
		err := scan(&key)
		out[string(key)] = true
		return err
	})
	return out, err
}

// answerer is the peer ID of who answered, "" if nobody said.
func answerer(r stats.Reading) string {
	switch {
	case r.Telemetry != nil && r.Telemetry.PeerID != "":
		return r.Telemetry.PeerID
	case r.Report != nil:
		return r.Report.PeerID
	}
	return ""
}

// retire ends the membership of relays that are in the fleet no longer.
func (in *ingestion) retire(ctx context.Context, readings []stats.Reading) error {
	asked := make(map[string]bool, len(readings))
	for _, r := range readings {
		asked[r.Node] = true
	}
	for _, node := range slices.Sorted(maps.Keys(in.relays)) {
		relay := in.relays[node]
		if asked[node] || relay.retired != nil {
			continue
		}
		relay.retired = &in.at
		if err := in.t.exec(ctx, `UPDATE members SET until = ? WHERE relay = ? AND until IS NULL`, in.at, relay.id); err != nil {
			return err
		}
		if err := in.event(ctx, node, EventRetired, "it is in the fleet no longer; what it counted stays"); err != nil {
			return err
		}
		if err := in.saveRelay(ctx, relay); err != nil {
			return err
		}
	}
	return nil
}

func (in *ingestion) saveCollection(ctx context.Context) error {
	slices.Sort(in.sum.Missing)
	slices.Sort(in.sum.Unread)
	missing, err := json.Marshal(in.sum.Missing)
	if err != nil {
		return err
	}
	unread, err := json.Marshal(in.sum.Unread)
	if err != nil {
		return err
	}
	return in.t.exec(ctx, `INSERT OR REPLACE INTO collections (at, asked, answered, missing, unread) VALUES (?, ?, ?, ?, ?)`,
		in.at, in.sum.Relays, in.sum.Answered, string(missing), string(unread))
}

func (in *ingestion) saveMeta(ctx context.Context) error {
	return in.t.exec(ctx, `UPDATE meta SET last = ?, clock = ?, tidied = ?, grouped = ?`, in.at, in.clock, in.tidied, in.grouped)
}

// maxWarnings is how many warnings of one collection are told.
const maxWarnings = 1000

func (in *ingestion) warn(format string, args ...any) {
	if len(in.sum.Warnings) < maxWarnings {
		in.sum.Warnings = append(in.sum.Warnings, clean(fmt.Sprintf(format, args...), 500))
	}
}

func (in *ingestion) event(ctx context.Context, node string, kind EventKind, text string) error {
	e := Event{At: in.sum.At, Node: node, Kind: kind, Text: clean(text, 500)}
	in.sum.Events = append(in.sum.Events, e)
	return in.t.exec(ctx, `INSERT INTO events (at, node, kind, text) VALUES (?, ?, ?, ?)`, in.at, e.Node, string(e.Kind), e.Text)
}

// span writes seconds for people.
func span(secs int64) string { return (time.Duration(secs) * time.Second).String() }
