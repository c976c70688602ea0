package history

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestSeries_UnknownIsNotZeroAndWhoIsMissingIsNamed(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	first := answer(1, at, 5, entry(1, at, at))
	first.Telemetry.Counters.Joined = 4
	ingest(t, s, at, first)
	at = at.Add(2 * time.Hour) // nobody looked at 13:00
	second := answer(1, at, 7)
	second.Telemetry.Counters.Joined = 10
	ingest(t, s, at, second, silent(2, "no route"))
	for metric, want := range map[string][]string{
		"concurrent":       {"11-02 11:00 5", "11-02 12:00 unknown without nyc1-1", "11-02 13:00 7", "11-02 14:00 unknown without nyc1-1 nyc1-2"},
		"joins":            {"11-02 11:00 unknown", "11-02 12:00 unknown", "11-02 13:00 unknown", "11-02 14:00 at least 6 without nyc1-2"},
		"active":           {"11-02 11:00 unknown", "11-02 12:00 1", "11-02 13:00 unknown", "11-02 14:00 at least 1 without nyc1-2"},
		"relays_answering": {"11-02 11:00 unknown", "11-02 12:00 1", "11-02 13:00 unknown", "11-02 14:00 1 without nyc1-2"},
		"hole_punches":     {"11-02 11:00 unknown", "11-02 12:00 unknown", "11-02 13:00 unknown", "11-02 14:00 unknown without nyc1-2"},
		"lifetime":         {"11-02 11:00 0", "11-02 12:00 1", "11-02 13:00 1", "11-02 14:00 at least 1 without nyc1-2"},
	} {
		got := points(t, s, metric, Query{Step: StepHour, Since: monday().Add(-time.Hour)})
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", metric, got, want)
		}
	}
	want := []string{"nyc1-1 11-02 14:00 6", "nyc1-2 11-02 14:00 unknown without nyc1-2"} // the first has all of its own
	if got := points(t, s, "joins", Query{Step: StepHour, By: true, Since: at}); !slices.Equal(got, want) {
		t.Errorf("joins by relay: got %q, want %q", got, want)
	}
}

func TestSeries_APeakIsOfAlignedMinutesAndNotTheSumOfPeaks(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	a, b := answer(1, at, 0), answer(2, at, 0)
	minute := func(n int) int64 { return at.Add(time.Duration(n) * time.Minute).Unix() }
	a.Telemetry.Minutes = [][2]int64{{minute(-4), 10}, {minute(-3), 90}, {minute(-2), 20}, {minute(-1), 5}}
	b.Telemetry.Minutes = [][2]int64{{minute(-4), 80}, {minute(-3), 5}, {minute(-2), 30}, {minute(-1), 5}}
	ingest(t, s, at, a, b)
	want := []string{"11-02 11:56 90", "11-02 11:57 95", "11-02 11:58 50", "11-02 11:59 10"}
	if got := points(t, s, "concurrent", Query{Step: StepMinute, Since: at.Add(-4 * time.Minute), Until: at}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	f := figures(t, s, at)
	wantFigure(t, f, "peak_concurrent_peers", "95")
	wantFigure(t, f, "concurrent_peers", "10")
}

func TestSeries_AMinuteThatIsOverKeepsWhatTheRelayToldOfIt(t *testing.T) {
	s := open(t, Options{})
	at := monday().Add(10 * time.Second)
	ingest(t, s, at, answer(1, at, 9))
	again := at.Add(30 * time.Second)
	r := answer(1, again, 0)
	r.Telemetry.Minutes, r.Telemetry.Gauges.Users = nil, 4 // no minute ended since
	fresh := answer(2, again, 0)
	fresh.Telemetry.Minutes, fresh.Telemetry.Gauges.Users = nil, 2 // it has just started
	ingest(t, s, again, r, fresh)
	if got := points(t, s, "concurrent", Query{Step: StepMinute, Since: at.Add(-time.Minute), Until: again.Truncate(time.Minute)}); !slices.Equal(got, []string{"11-02 11:59 11"}) {
		t.Errorf("got %q, want 9 and 2 at the end of 11:59", got)
	}
}

func TestSeries_DaysAreThoseOfTheTimeZone(t *testing.T) {
	s := open(t, Options{})
	zone := time.FixedZone("+05:45", 5*3600+45*60)
	at := time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC)
	edge := time.Date(2026, 11, 3, 0, 0, 0, 0, zone)
	ingest(t, s, at, answer(1, at, 0, entry(1, edge.Add(-time.Second), at), entry(2, edge, at), entry(3, edge.Add(time.Second), at)))
	want := []string{"11-02 00:00 1", "11-03 00:00 2", "11-04 00:00 0"}
	if got := points(t, s, "new", Query{Step: StepDay, Since: edge.Add(-time.Hour), Location: zone}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := points(t, s, "new", Query{Step: StepWeek, Since: edge}); !slices.Equal(got, []string{"11-02 00:00 3"}) {
		t.Errorf("by week: got %q, want one week from Monday", got)
	}
	if got := points(t, s, "new", Query{Step: StepMonth, Since: edge}); !slices.Equal(got, []string{"11-01 00:00 3"}) {
		t.Errorf("by month: got %q, want one month", got)
	}
}

func TestSeries_EveryMetricHasOneForEachStepOrSaysWhyNot(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	for _, when := range []string{"an empty store", "one collection"} {
		for _, m := range stats.Metrics() {
			for _, step := range append(Steps(), "") {
				for _, by := range []bool{false, true} {
					all, err := s.Series(t.Context(), m.Name, Query{Step: step, By: by})
					var hint interface{ Hint() string }
					if err != nil && !(errors.As(err, &hint) && errors.Is(err, ErrQuery)) {
						t.Errorf("%s of %s by %s, %t: got %v, want %v and a hint with it", m.Name, when, step, by, err, ErrQuery)
					}
					if err == nil && !by && (len(all) != 1 || all[0].Metric != m.Name || all[0].Points == nil) {
						t.Errorf("%s of %s by %s: got %+v, want one series", m.Name, when, step, all)
					}
				}
			}
		}
		ingest(t, s, at, answer(1, at, 3, entry(1, at.Add(-time.Hour), at)))
	}
	for _, bad := range []string{"", "users", "lifetime'; --"} {
		if _, err := s.Series(t.Context(), bad, Query{}); !errors.Is(err, ErrQuery) {
			t.Errorf("metric %q: got %v, want %v", bad, err, ErrQuery)
		}
	}
	if _, err := s.Series(t.Context(), "lifetime", Query{Step: "5m"}); !errors.Is(err, ErrQuery) {
		t.Errorf("step 5m: got %v, want %v", err, ErrQuery)
	}
	if _, err := s.Series(t.Context(), "lifetime", Query{Step: StepMinute, Since: at.AddDate(-10, 0, 0)}); !errors.Is(err, ErrQuery) {
		t.Errorf("ten years of minutes: got %v, want %v", err, ErrQuery)
	}
}

func TestCohorts_AWeekWithoutACollectionIsUnknown(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 0, entry(1, at, at), entry(2, at, at), entry(3, at, at)))
	at = at.AddDate(0, 0, 14) // a week is left out
	ingest(t, s, at, answer(1, at, 0, entry(1, monday(), at), entry(2, monday(), at), entry(4, at, at)))
	got, err := s.Cohorts(t.Context(), at, 0)
	if err != nil || len(got) != 3 {
		t.Fatalf("got %+v %v, want 3 cohorts", got, err)
	}
	for i, want := range [][]string{{"3", "unknown", "2"}, {"0", "unknown"}, {"1"}} {
		var have []string
		for _, f := range got[i].Active {
			have = append(have, text(f))
		}
		if i > 0 {
			have = have[:1]
			want = want[:1]
		}
		if !slices.Equal(have, want) {
			t.Errorf("cohort of %s: got %q, want %q", got[i].Week, have, want)
		}
	}
	all, err := s.Series(t.Context(), "retention", Query{Step: StepWeek, By: true, Since: monday()})
	if err != nil || len(all) != 3 || all[2].Label != "2" || text(all[2].Points[0].Figure) != fmt.Sprint(2.0/3) {
		t.Errorf("got %+v %v, want 2 of 3 after two weeks", all, err)
	}
}

func TestDiff_SaysWhatChangedAndWhatHappened(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 5, entry(1, at, at)))
	next := at.AddDate(0, 0, 3)
	r := answer(1, next, 8, entry(2, next, next), entry(3, next, next))
	r.Telemetry.Counters.Joined = 6
	ingest(t, s, next, r, silent(2, "no route"))
	d, err := s.Diff(t.Context(), at, next)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, c := range d.Changes {
		name := c.Metric
		if c.Label != "" {
			name += "/" + c.Label
		}
		delta := "unknown"
		if c.Delta != nil {
			delta = fmt.Sprintf("%+g", *c.Delta)
		}
		if c.DeltaExact {
			delta += " exactly"
		}
		got[name] = fmt.Sprintf("%s -> %s: %s", text(c.Before), text(c.After), delta)
	}
	for name, want := range map[string]string{
		"lifetime_unique_peers": "1 -> at least 3 without nyc1-2: +2",
		"peers_by_tier/edge":    "1 -> 3 without nyc1-2: +2",
		"joins":                 "unknown -> at least 6 without nyc1-2: +6",
		"new_peers":             "unknown -> 3 without nyc1-2: +3",
		"hole_punches":          "unknown -> unknown without nyc1-2: unknown",
		"relays_answering":      "1 -> 1 without nyc1-2: +0 exactly",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	if got := kinds(d.Events); !slices.Contains(got, EventUnreachable) {
		t.Errorf("events: got %v, want that a relay did not answer", got)
	}
}

func TestTidy_OldSamplesBecomeCoarserAndTotalsStay(t *testing.T) {
	day := 24 * time.Hour
	s := open(t, Options{Retention: Retention{Minutes: day, Hours: 3 * day, Days: 10 * day, Events: 2 * day, Details: 5 * day}})
	at := monday()
	joined := uint64(0)
	rows := func(step int) (n int) {
		t.Helper()
		if err := one(t.Context(), s.reader, `SELECT COUNT(*) FROM concurrent WHERE step = ?`, []any{step}, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for hour := range 9 * 24 {
		at = monday().Add(time.Duration(hour) * time.Hour)
		r := answer(1, at, hour, entry(1, monday(), monday()), entry(2, monday(), at))
		joined += 2
		r.Telemetry.Counters.Joined = joined
		ingest(t, s, at, r)
	}
	if m, h, d := rows(60), rows(3600), rows(86400); m > 2*25 || h > 2*73 || d < 2*4 || d > 2*8 {
		t.Errorf("got %d minutes, %d hours and %d days, want what is kept of each", m, h, d)
	}
	peaks := points(t, s, "peak", Query{Step: StepDay, Since: monday()})
	want := []string{"11-02 00:00 12", "11-03 00:00 36", "11-04 00:00 60", "11-05 00:00 84", "11-06 00:00 108", "11-07 00:00 132", "11-08 00:00 156", "11-09 00:00 180", "11-10 00:00 204", "11-11 00:00 215"}
	if !slices.Equal(peaks, want) {
		t.Errorf("peaks: got %q, want %q", peaks, want)
	}
	sum := 0.0
	all, err := s.Series(t.Context(), "joins", Query{Step: StepDay, Since: monday()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all[0].Points {
		sum += *p.Value
	}
	if sum != float64(joined-2) { // the first 2 were before
		t.Errorf("joins: got %g over all days, want %d", sum, joined-2)
	}
	var tier, family string
	if err := one(t.Context(), s.reader, `SELECT tier, family FROM peers WHERE key = ?`, []any{rawKey(1)}, &tier, &family); err != nil || tier != "" || family != "" {
		t.Errorf("details of a peer unseen for long: got %q %q %v, want none", tier, family, err)
	}
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "2")
}

func TestSeries_ByRelayWhoIsSilentIsUnknownAndTheOthersAreExact(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	for i := range 2 {
		hour := at.Add(time.Duration(i) * time.Hour)
		one, two := answer(1, hour, 1), silent(2, "dial: timed out")
		one.Telemetry.Counters.Joined = uint64(10 * (i + 1))
		if i == 0 {
			two = answer(2, hour, 1)
		}
		ingest(t, s, hour, one, two)
	}
	series, err := s.Series(t.Context(), "joins", Query{Since: at, Until: at.Add(2 * time.Hour), Step: StepHour, By: true})
	if err != nil || len(series) == 0 {
		t.Fatalf("got %d series, %v", len(series), err)
	}
	for _, one := range series {
		last := one.Points[len(one.Points)-1].Figure
		switch one.Label {
		case "nyc1-1":
			if got := text(last); got != "10" {
				t.Errorf("%s: got %s, want 10, all of it", one.Label, got)
			}
		case "nyc1-2":
			if last.Value != nil || !slices.Equal(last.Missing, []string{"nyc1-2"}) {
				t.Errorf("%s: got %+v, want unknown, and that it is missing", one.Label, last)
			}
		}
	}
}

func TestSeries_ConcurrentByRelayNamesWhoIsMissing(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 5), answer(2, at, 3), silent(3, "no route"))
	at = at.Add(time.Minute)
	ingest(t, s, at, answer(1, at, 6), silent(2, "no route"), silent(3, "no route"))
	for metric, want := range map[string][]string{
		"concurrent": {
			"nyc1-1 11-02 11:59 5", "nyc1-1 11-02 12:00 6", "nyc1-2 11-02 11:59 3", "nyc1-2 11-02 12:00 unknown without nyc1-2",
			"nyc1-3 11-02 11:59 unknown", "nyc1-3 11-02 12:00 unknown without nyc1-3", // it is known of since 12:00
		},
		"peak": {
			"nyc1-1 11-02 11:59 5", "nyc1-1 11-02 12:00 6", "nyc1-2 11-02 11:59 3", "nyc1-2 11-02 12:00 unknown without nyc1-2",
			"nyc1-3 11-02 11:59 unknown", "nyc1-3 11-02 12:00 unknown without nyc1-3",
		},
	} {
		got := points(t, s, metric, Query{Step: StepMinute, By: true, Since: at.Add(-2 * time.Minute), Until: at})
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", metric, got, want)
		}
	}
}
