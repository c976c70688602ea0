package history

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestIngest_AMinuteThatIsNotOverIsLeftOutAndSaid(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	r := answer(1, at, 4)
	r.Telemetry.Minutes = append(r.Telemetry.Minutes, [2]int64{at.Add(10 * time.Minute).Unix(), 900})
	sum := ingest(t, s, at, r)
	if got := strings.Join(sum.Warnings, "; "); !strings.Contains(got, "nyc1-1: 1 of its minutes make no sense") {
		t.Errorf("warnings: got %q, want one of the minute", got)
	}
	got := points(t, s, "peak", Query{Step: StepHour, Since: at, Until: at.Add(time.Hour)})
	if want := []string{"11-02 12:00 unknown without nyc1-1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIngest_AMinuteOlderThanMinutesAreKeptIsNotTakenIn(t *testing.T) {
	s := open(t, Options{Retention: Retention{Minutes: 6 * time.Hour}})
	at := monday()
	r := answer(1, at, 4)
	old := at.Add(-7 * time.Hour)
	r.Telemetry.Minutes = append([][2]int64{{old.Unix(), 900}}, r.Telemetry.Minutes...)
	ingest(t, s, at, r)
	if got := points(t, s, "peak", Query{Step: StepHour, Since: old, Until: old.Add(time.Hour)}); !slices.Equal(got, []string{"11-02 05:00 unknown"}) {
		t.Errorf("got %q, want unknown: the hours of that time may be made already", got)
	}
}

func TestIngest_AVisitOverMidnightIsOfBothDays(t *testing.T) {
	s := open(t, Options{})
	midnight := time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC)
	first := midnight.AddDate(0, 0, -2).Add(time.Hour)
	for _, at := range []time.Time{first, midnight.Add(-time.Hour), midnight.Add(time.Hour)} {
		ingest(t, s, at, answer(1, at, 1, entry(1, first, at)))
	}
	want := []string{"11-02 00:00 0", "11-03 00:00 1", "11-04 00:00 1"}
	if got := points(t, s, "returning", Query{Step: StepDay, Since: first}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIngest_TwoRelaysThatSawAPeerInTheSameSecondDoNotTakeTurns(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	one, two := entry(1, at, at), entry(1, at, at)
	two.Tier = "core"
	readings := []stats.Reading{answer(1, at, 1, one), answer(2, at, 1, two)}
	ingest(t, s, at, readings...)
	if sum := ingest(t, s, at, readings...); sum.Changed != 0 {
		t.Errorf("the same again: got %d changed, want 0", sum.Changed)
	}
	if got := text(figures(t, s, at).Parts["peers_by_tier"]["edge"]); got != "1" {
		t.Errorf("tier edge: got %s, want 1: of who saw it first", got)
	}
}

func TestIngest_WhatARelayKnowsOfAPeerDoesNotFall(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	before := entry(1, at, at)
	before.ConnectionCount = 9
	ingest(t, s, at, answer(1, at, 1, before))
	later := at.Add(time.Minute)
	ingest(t, s, later, answer(1, later, 1, entry(1, at.Add(-time.Hour), at.Add(-time.Hour)))) // another life of its census
	var last, connections int64
	if err := one(t.Context(), s.reader, `SELECT last_seen, connections FROM sightings`, nil, &last, &connections); err != nil || last != at.Unix() || connections != 9 {
		t.Errorf("got last seen %s and %d connections, %v; want %s and 9", stamp(last), connections, err, at)
	}
}

func TestIngest_AClockWrongByMoreThanADayMovesNoSight(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	r := answer(1, at, 1, entry(1, at.Add(-time.Hour), at.Add(-time.Hour)))
	r.Telemetry.Now, r.Telemetry.Minutes = at.AddDate(0, 0, 3).Unix(), nil
	ingest(t, s, at, r)
	wantFigure(t, figures(t, s, at), "active_peers_24h", "1")
}

func TestIngest_WithoutACursorTheCensusIsReadFromTheBeginning(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 1))
	at = at.Add(time.Minute)
	ingest(t, s, at, stats.Reading{ // its daemon is one of old now
		Node: "nyc1-1", Region: "nyc1", Old: true, Registry: []stats.CensusEntry{}, Report: &stats.Report{PeerID: peerID(-1), UptimeSecs: 9},
	})
	if got, err := s.Cursor(t.Context(), "nyc1-1"); err != nil || got != "" {
		t.Errorf("got cursor %q, %v; want none", got, err)
	}
}

func TestTidy_WhatIsOlderThanItIsKeptIsDropped(t *testing.T) {
	day := 24 * time.Hour
	s := open(t, Options{Retention: Retention{Minutes: day, Hours: 3 * day, Days: 10 * day, Events: 2 * day}})
	at := monday()
	file := oldHead + at.Format(time.RFC3339) + ",fra1,5,9,public,0,0,1.50," + peerID(9) + "\n"
	if _, err := s.Import(t.Context(), at, strings.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{0, 1, 20, 21} {
		now := at.AddDate(0, 0, days)
		r := answer(1, now, 1, entry(1, at, now))
		r.Telemetry.Counters.Joined = uint64(days + 1)
		ingest(t, s, now, r)
	}
	for _, table := range []string{"collections", "figures", "concurrent", "counted", "imported", "events"} {
		var oldest int64
		if err := one(t.Context(), s.reader, fmt.Sprintf(`SELECT COALESCE(MIN(at), 0) FROM %s`, table), nil, &oldest); err != nil {
			t.Fatal(err)
		}
		if oldest > 0 && stamp(oldest).Before(at.AddDate(0, 0, 10)) {
			t.Errorf("%s: got a row of %s, want none older than 10 days", table, stamp(oldest))
		}
	}
}
