package history

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Imported is what was taken over from a file.
type Imported struct {
	Rows   int        `json:"rows"`   // that were taken over
	Known  int        `json:"known"`  // that were here already
	Bad    int        `json:"bad"`    // that made no sense
	First  []string   `json:"first"`  // why, of the first 10 of them: "line 7: connected: …"; never nil
	Relays int        `json:"relays"` // in the file
	Since  stats.Time `json:"since"`  // of the first row
	Until  stats.Time `json:"until"`  // of the last
}

// oldRow is a row of fleet-stats.sh. A nil number is unknown.
type oldRow struct {
	at                      int64
	region, nat, peerID     string
	connected, peak, uptime *int64
}

// Import takes over a CSV file by fleet-stats.sh: one row a relay and time, with the
// header timestamp,region,connected,peak,nat,hp_ok,hp_no,uptime_h,peer_id, or more columns
// after those. A row belongs to the relay of its peer ID or, where none has that, to one
// that bears the name of the region and is in the fleet no longer. Connected peers become
// samples of their hour; hole punches were always 0 and unknown, and are left out. Rows
// that make no sense, or are more than a day later than at, the time of now, are told of: a
// relay would be in the fleet until then. A file imported twice counts once. It is one
// transaction.
func (s *Store) Import(ctx context.Context, at time.Time, r io.Reader) (Imported, error) {
	out := Imported{First: []string{}}
	rows, err := readOld(r, at, &out)
	if err != nil {
		return out, err
	}
	err = s.write(ctx, func(t *txn) error {
		in := &ingestion{t: t, relays: make(map[string]*relayRow)}
		if err := in.loadRelays(ctx); err != nil {
			return err
		}
		return in.takeOver(ctx, rows, &out)
	})
	if err != nil {
		return Imported{First: []string{}}, err
	}
	return out, nil
}

// maxImport is how many rows one file has at most: ten relays, each minute of two years.
const maxImport = 10_000_000

// readOld reads the rows that make sense, oldest first.
func readOld(r io.Reader, now time.Time, out *Imported) ([]oldRow, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	in.ReuseRecord = true
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("import: header: %w", err)
	}
	want := stats.CSVHeader()[:9]
	if len(head) < len(want) || !slices.Equal(trimmed(head[:len(want)]), want) {
		return nil, hinted{
			fmt.Errorf("import: the first line is no header of fleet-stats.sh: %s", clean(strings.Join(head, ","), 200)),
			"give a file whose first line begins with " + strings.Join(want, ","),
		}
	}
	var rows []oldRow
	for len(rows) < maxImport {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			slices.SortStableFunc(rows, func(a, b oldRow) int { return int(min(1, max(-1, a.at-b.at))) })
			return rows, nil
		}
		var row oldRow
		var line int
		var broken *csv.ParseError
		switch {
		case err == nil:
			line, _ = in.FieldPos(0)
			row, err = parseOld(record, now)
		case errors.As(err, &broken):
			line, err = broken.StartLine, broken.Err
		default:
			return nil, fmt.Errorf("import: %w", err)
		}
		if err == nil {
			rows = append(rows, row)
		} else if out.Bad++; len(out.First) < 10 {
			out.First = append(out.First, fmt.Sprintf("line %d: %s", line, clean(err.Error(), 200)))
		}
	}
	return nil, fmt.Errorf("import: more than %d rows", maxImport)
}

func trimmed(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.TrimSpace(strings.TrimPrefix(c, "\ufeff"))
	}
	return out
}

func parseOld(record []string, now time.Time) (oldRow, error) {
	var row oldRow
	if len(record) < 9 {
		return row, fmt.Errorf("%d columns, at least 9 are wanted", len(record))
	}
	record = trimmed(record)
	at, err := oldTime(record[0], now)
	if err != nil {
		return row, err
	}
	row.at, row.region, row.nat = at, strings.TrimPrefix(record[1], "'"), natLabel(record[4])
	if row.region == "" || clean(row.region, 60) != row.region {
		return row, fmt.Errorf("region: %q", row.region)
	}
	if id := record[8]; id != "" {
		if _, ok := multihash(id); ok {
			row.peerID = id
		}
	}
	for _, c := range []struct {
		name string
		text string
		into **int64
		unit float64
	}{{"connected", record[2], &row.connected, 1}, {"peak", record[3], &row.peak, 1}, {"uptime_h", record[7], &row.uptime, 3600}} {
		switch strings.ToLower(c.text) {
		case "", "null", "n/a", "?", "-":
			continue
		}
		x, err := strconv.ParseFloat(c.text, 64)
		if err != nil || !(x >= 0 && x*c.unit <= stats.MaxCount) { // also NaN
			return row, fmt.Errorf("%s: %q is no count", c.name, c.text)
		}
		*c.into = new(int64(x * c.unit))
	}
	return row, nil
}

// oldTime is a time at which the script can have run.
func oldTime(text string, now time.Time) (int64, error) {
	at, err := parseTime(text)
	switch {
	case err != nil:
		return 0, err
	case at > now.Unix()+daySecs:
		return 0, fmt.Errorf("timestamp: %q lies in the future", text)
	case time.Unix(at, 0).UTC().Year() < 2015:
		return 0, fmt.Errorf("timestamp: %q is before 2015", text)
	}
	return at, nil
}

// parseTime reads RFC 3339, "2026-01-31 12:00:00" (UTC) or UNIX seconds.
func parseTime(text string) (int64, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil && t.Unix() > 0 {
			return t.Unix(), nil
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && n < 1<<33 {
		return n, nil
	}
	return 0, fmt.Errorf("timestamp: %q is no time", text)
}

// oldHour is what an import adds to an hour of one relay, or of the fleet (relay 0).
type oldHour struct{ hour, relay int64 }

// takeOver writes rows, and adds them to the hours that they lie in.
func (in *ingestion) takeOver(ctx context.Context, rows []oldRow, out *Imported) error {
	relays := make(map[int64][2]int64) // first and last row
	hours := make(map[oldHour]crowd)
	for _, row := range rows {
		relay, err := in.oldRelay(ctx, row)
		if err != nil {
			return err
		}
		if _, ok := relays[relay.id]; !ok {
			relays[relay.id] = [2]int64{row.at, row.at}
		}
		relays[relay.id] = [2]int64{relays[relay.id][0], row.at}
		var known, beside bool // such a row, and one of another relay in the same run of the script
		minute := floor(row.at, 60)
		err = in.t.one(ctx, `SELECT EXISTS (SELECT 1 FROM imported WHERE at = ? AND relay = ?),
	EXISTS (SELECT 1 FROM imported WHERE at >= ? AND at < ? AND connected IS NOT NULL)`, []any{row.at, relay.id, minute, minute + 60}, &known, &beside)
		if err != nil {
			return err
		}
		if known {
			out.Known++
			continue
		}
		out.Rows++
		err = in.t.exec(ctx, `INSERT INTO imported (at, relay, connected, peak, nat, uptime) VALUES (?, ?, ?, ?, ?, ?)`,
			row.at, relay.id, row.connected, row.peak, row.nat, row.uptime)
		if err != nil {
			return err
		}
		if row.connected == nil {
			continue
		}
		for _, id := range []int64{relay.id, 0} {
			hour := oldHour{floor(row.at, 3600), id}
			sum := hours[hour]
			sum.users += *row.connected
			sum.relays++
			if id > 0 || !beside {
				sum.minutes++
			}
			hours[hour] = sum
		}
	}
	out.Relays = len(relays)
	if len(rows) > 0 {
		out.Since.Time, out.Until.Time = stamp(rows[0].at), stamp(rows[len(rows)-1].at)
	}
	for id, span := range relays {
		if err := in.oldMember(ctx, id, span[0], span[1]); err != nil {
			return err
		}
	}
	for hour, sum := range hours {
		if err := in.addOldHour(ctx, hour, sum); err != nil {
			return err
		}
	}
	return nil
}

// oldRelay is the relay that a row is of.
func (in *ingestion) oldRelay(ctx context.Context, row oldRow) (*relayRow, error) {
	for _, r := range in.relays {
		if row.peerID != "" && r.peerID == row.peerID {
			return r, nil
		}
	}
	if r, ok := in.relays[row.region]; ok {
		return r, nil
	}
	r := &relayRow{node: row.region, region: row.region}
	err := in.t.exec(ctx, `INSERT INTO relays (node, region, retired, old) VALUES (?, ?, ?, 1)`, r.node, r.region, row.at)
	if err != nil {
		return nil, err
	}
	in.relays[r.node] = r
	return r, in.t.one(ctx, `SELECT id FROM relays WHERE node = ?`, []any{r.node}, &r.id)
}

// oldMember notes when a relay was in the fleet, as far as the file tells.
func (in *ingestion) oldMember(ctx context.Context, id, since, until int64) error {
	return in.t.exec(ctx, `INSERT INTO members (relay, since, until) SELECT ?, ?, ?
	WHERE NOT EXISTS (SELECT 1 FROM members WHERE relay = ? AND since <= ? AND COALESCE(until, 1 << 62) >= ?)`, id, since, until+1, id, since, until)
}

// addOldHour adds rows to the samples of an hour. Rows of one minute were one run of the
// script, whose sum is of the fleet. An hour in which relays were collected from is left
// alone: it is known better.
func (in *ingestion) addOldHour(ctx context.Context, h oldHour, sum crowd) error {
	var collected bool
	var most *int64
	err := in.t.one(ctx, `SELECT EXISTS (SELECT 1 FROM collections WHERE at >= ? AND at < ?), (SELECT MAX(users) FROM (
	SELECT SUM(connected) AS users FROM imported WHERE at >= ? AND at < ? AND ? IN (0, relay) GROUP BY at / 60))`,
		[]any{h.hour, h.hour + 3600, h.hour, h.hour + 3600, h.relay}, &collected, &most)
	if err != nil || collected || most == nil {
		return err
	}
	return in.t.exec(ctx, `INSERT INTO concurrent (step, relay, at, minutes, relays, users, most) VALUES (3600, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (step, relay, at) DO UPDATE SET minutes = minutes + excluded.minutes, relays = relays + excluded.relays,
	users = users + excluded.users, most = MAX(most, excluded.most)`, h.relay, h.hour, sum.minutes, sum.relays, sum.users, *most)
}
