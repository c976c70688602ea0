package history

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// month is the last point of bytes_relayed by relay, of the month.
func month(t *testing.T, s *Store, node string) stats.Figure {
	t.Helper()
	return monthOf(t, s, "bytes_relayed", node)
}

func monthOf(t *testing.T, s *Store, metric, node string) stats.Figure {
	t.Helper()
	all, err := s.Series(t.Context(), metric, Query{Step: StepMonth, By: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all {
		if line.Label == node {
			return line.Points[len(line.Points)-1].Figure
		}
	}
	t.Fatalf("%s: got %d series and none of it", node, len(all))
	return stats.Figure{}
}

func TestIngest_WhatARelayCountedBeforeItWasFirstReadIsInItsTotalsAlone(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	tell := func(n int, bytes uint64) stats.Reading {
		r := answer(n, at, 1)
		r.Telemetry.Counters.BytesRelayed = bytes
		return r
	}
	ingest(t, s, at, tell(1, 1e12))
	if got := text(month(t, s, "nyc1-1")); got != "unknown" {
		t.Errorf("after one collection: got %s, want unknown: nothing is known to have grown", got)
	}
	begin := at
	at = at.Add(time.Hour)
	ingest(t, s, at, tell(1, 1e12+5), tell(2, 7e12))
	at = at.Add(time.Hour)
	ingest(t, s, at, tell(1, 1e12+5), tell(2, 7e12+3))
	for node, want := range map[string]struct {
		text  string
		since time.Time
	}{"nyc1-1": {"at least 5", begin}, "nyc1-2": {"at least 3", begin.Add(time.Hour)}} {
		got := month(t, s, node)
		if text(got) != want.text || !got.Since.Equal(want.since) {
			t.Errorf("%s: got %s since %s, want %s since %s", node, text(got), got.Since, want.text, want.since)
		}
	}
	relays, err := s.Relays(t.Context())
	if err != nil || relays[0].Totals["bytes_relayed"] != 1e12+5 || relays[1].Totals["bytes_relayed"] != 7e12+3 {
		t.Errorf("totals: got %v %v, want all that was ever counted", relays, err)
	}
	at = at.AddDate(0, 1, 0)
	ingest(t, s, at, tell(1, 1e12+5), tell(2, 7e12+4))
	if one, two := month(t, s, "nyc1-1"), month(t, s, "nyc1-2"); text(one) != "0" || text(two) != "1" || one.Since.IsZero() {
		t.Errorf("a month later: got %s since %s and %s, want 0 and 1, and since when", text(one), one.Since, text(two))
	}
}

func TestIngest_BytesOfTheFleetItselfAreUnknownUntilADaemonTellsThem(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	tell := func(n int, own *uint64) stats.Reading {
		r := answer(n, at, 1)
		r.Telemetry.Counters.OwnBytes = own
		return r
	}
	ingest(t, s, at, tell(1, new(uint64(9))), tell(2, nil), tell(3, new(uint64(0))))
	at = at.Add(time.Hour)
	ingest(t, s, at, tell(1, new(uint64(14))), tell(2, nil), tell(3, new(uint64(0))))
	for node, want := range map[string]string{"nyc1-1": "at least 5", "nyc1-2": "unknown without nyc1-2", "nyc1-3": "at least 0"} {
		if got := text(monthOf(t, s, "own_bytes_relayed", node)); got != want {
			t.Errorf("%s: got %s, want %s", node, got, want)
		}
	}
}

func TestSeries_BytesOfTheFleetItselfNameWhoDoesNotTellThem(t *testing.T) {
	s := open(t, Options{})
	begin := monday()
	own := map[int][]*uint64{ // at each hour
		1: {new(uint64(9)), new(uint64(14)), new(uint64(14)), new(uint64(15)), new(uint64(15))},
		2: {nil, nil, new(uint64(2)), new(uint64(2)), nil}, // gets a daemon that tells, and loses it
	}
	for hour := range 5 {
		at := begin.Add(time.Duration(hour) * time.Hour)
		var all []stats.Reading
		for n, told := range own {
			r := answer(n, at, 1)
			r.Telemetry.Counters.OwnBytes = told[hour]
			all = append(all, r)
		}
		ingest(t, s, at, all...)
	}
	for step, want := range map[Step][]string{
		StepHour: {
			"11-02 12:00 unknown", "11-02 13:00 at least 5 without nyc1-2", "11-02 14:00 2", "11-02 15:00 1", "11-02 16:00 at least 0 without nyc1-2",
		},
		StepDay: {"11-02 00:00 at least 8"}, // both were first read on it
	} {
		if got := points(t, s, "own_bytes_relayed", Query{Step: step}); !slices.Equal(got, want) {
			t.Errorf("by %s: got %q, want %q", step, got, want)
		}
	}
	if got := points(t, s, "own_bytes_relayed", Query{Step: StepMinute, Since: begin.Add(time.Hour), Until: begin.Add(time.Hour + time.Minute)}); !slices.Equal(got, []string{"11-02 13:00 at least 5 without nyc1-2"}) {
		t.Errorf("of a minute: got %q, want it to name nyc1-2", got)
	}
	if got := points(t, s, "own_bytes_relayed", Query{Step: StepMinute, Since: begin.Add(2 * time.Hour), Until: begin.Add(2*time.Hour + time.Minute)}); !slices.Equal(got, []string{"11-02 14:00 2"}) {
		t.Errorf("of a minute in which both tell: got %q, want 2", got)
	}
}

func TestSeries_ADayThatADaemonToldOnlyAPartOfIsNotCalledExact(t *testing.T) {
	s := open(t, Options{})
	for hour, own := range []*uint64{nil, nil, nil, nil, new(uint64(3)), new(uint64(4))} { // the last three are of the second day
		at := monday().Add(time.Duration(hour)*6*time.Hour - time.Minute)
		r := answer(1, at, 1)
		r.Telemetry.Counters.OwnBytes = own
		ingest(t, s, at, r)
	}
	got := points(t, s, "own_bytes_relayed", Query{Step: StepDay})
	if want := []string{"11-02 00:00 unknown without nyc1-1", "11-03 00:00 at least 4 without nyc1-1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOpen_AnOlderStoreLosesWhatNoCollectionCameBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	s := openAt(t, path, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 1))
	later := at.Add(2 * time.Hour)
	r := answer(1, later, 1)
	r.Telemetry.Counters.Joined = 4
	ingest(t, s, later, r)
	for _, text := range []string{
		`INSERT INTO counted (step, name, at, relay, label, value, since) SELECT 3600, name, at - 7200, relay, label, 1000000, 0 FROM counted WHERE step = 3600`,
		`ALTER TABLE relays DROP COLUMN counted`, `PRAGMA user_version = 2`,
	} {
		if _, err := s.writer.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	_, err := Open(t.Context(), path, Options{ReadOnly: true})
	var hint interface{ Hint() string }
	if !errors.Is(err, ErrOlder) || errors.Is(err, ErrNone) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "stats collect") {
		t.Errorf("to be read alone: got %v, want %v until a collection made it new, and a hint", err, ErrOlder)
	}
	again := openAt(t, path, Options{})
	wantFigure(t, figures(t, again, later), "joins", "at least 4")
}
