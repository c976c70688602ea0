package history

import (
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// rollout is a store of relays that are read at given times. The daemon of each counts one
// byte of the fleet an hour, and tells of them from and until a time; a zero until has no end.
func rollout(t *testing.T, o Options, tells [][2]time.Time, at ...time.Time) *Store {
	t.Helper()
	s := open(t, o)
	for _, at := range at {
		var all []stats.Reading
		for n, told := range tells {
			r := answer(n+1, at, 1)
			if !at.Before(told[0]) && (told[1].IsZero() || at.Before(told[1])) {
				r.Telemetry.Counters.OwnBytes = new(uint64(at.Sub(told[0]).Hours()))
			}
			all = append(all, r)
		}
		ingest(t, s, at, all...)
	}
	return s
}

// every is n times from a first one on.
func every(d time.Duration, first time.Time, n int) []time.Time {
	out := make([]time.Time, n)
	for i := range out {
		out[i] = first.Add(time.Duration(i) * d)
	}
	return out
}

func TestDiff_SinceTheMiddleOfAnHourNamesNobodyWhoToldAllAlong(t *testing.T) {
	begin := monday()
	clock := func(hour, minute int) time.Time { return time.Date(2026, 11, 2, hour, minute, 0, 0, time.UTC) }
	s := rollout(t, Options{}, [][2]time.Time{
		{begin},                // all along
		{begin, clock(13, 20)}, // its daemon was replaced by one that does not tell, before the time
		{begin, clock(15, 0)},  // and after it
		{clock(13, 50)},        // it told first in the rest of the hour
		{clock(15, 0)},         // and later
	}, append(every(10*time.Minute, begin, 25), begin.AddDate(0, 0, 3))...) // until 16:00
	for name, until := range map[string]time.Time{"of hours": begin.AddDate(0, 0, 4), "of minutes": clock(16, 30)} {
		d, err := s.Diff(t.Context(), clock(13, 34), until)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(d.Changes, func(c Change) bool { return c.Metric == countOwnBytes && c.Label == "" })
		if got, want := d.Changes[i].After.Missing, []string{"nyc1-2", "nyc1-4", "nyc1-5"}; !slices.Equal(got, want) {
			t.Errorf("%s: got without %q, want without %q", name, got, want)
		}
	}
}

func TestSeries_HoursOfAZoneOfHalvesNameNobodyWhoToldAllAlong(t *testing.T) {
	begin := monday()
	s := rollout(t, Options{}, [][2]time.Time{{begin}, {begin.Add(130 * time.Minute)}}, every(10*time.Minute, begin, 29)...) // until 16:40
	got := points(t, s, countOwnBytes, Query{Step: StepHour, Location: time.FixedZone("IST", 19800)})
	want := []string{
		"11-02 17:00 at least 0 without nyc1-2", "11-02 18:00 at least 1 without nyc1-2",
		"11-02 19:00 at least 1 without nyc1-2", // of 13:30Z to 14:30Z, and nyc1-2 told from 14:10Z on
		"11-02 20:00 2", "11-02 21:00 2",
		"11-02 22:00 unknown", // what was told since 16:30Z is of the hour that began at 16:00Z
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSeries_DaysThatAreKeptOfAnotherZoneNameNobodyWhoToldAllAlong(t *testing.T) {
	begin := monday().Add(-45 * time.Minute) // 11:15, 17:15, 23:15 ...
	const day = 24 * time.Hour
	o := Options{Retention: Retention{Minutes: day, Hours: 3 * day, Days: 100 * day}}
	s := rollout(t, o, [][2]time.Time{{begin}, {begin.Add(48 * time.Hour)}}, every(6*time.Hour, begin, 36)...)
	got := points(t, s, countOwnBytes, Query{Step: StepDay, Since: begin.AddDate(0, 0, 1), Location: time.FixedZone("CET", 3600), Until: begin.AddDate(0, 0, 4)})
	want := []string{
		"11-03 00:00 at least 24 without nyc1-2",
		"11-04 00:00 at least 36 without nyc1-2", // which told from 11:15Z on
		"11-05 00:00 48", "11-06 00:00 48",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
