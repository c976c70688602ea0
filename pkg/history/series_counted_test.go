package history

import (
	"slices"
	"testing"
	"time"
)

func TestSeries_WhatIsKeptOfADayIsOfNoneOfItsHours(t *testing.T) {
	day := 24 * time.Hour
	s := open(t, Options{Retention: Retention{Minutes: day, Hours: 3 * day, Days: 100 * day}})
	at := monday().Add(30 * time.Second)
	for hour := range 6 * 24 {
		at = monday().Add(time.Duration(hour)*time.Hour + 30*time.Second)
		r := answer(1, at, hour, entry(1, monday(), monday()))
		r.Telemetry.Counters.Joined, r.Telemetry.Counters.Sessions, r.Telemetry.Counters.SessionSecs = 2*uint64(hour), uint64(hour), 60*uint64(hour)
		ingest(t, s, at, r)
	}
	// The last collection is of 11:00 on day 6: days 0 to 2 are days, the last day is minutes.
	hours, minutes := monday().AddDate(0, 0, 3).Truncate(day), at.Add(-day).Truncate(time.Hour)
	for metric, want := range map[string]float64{"joins": 2, "session_length_seconds": 60} {
		for step, from := range map[Step]time.Time{StepHour: hours, StepMinute: minutes} {
			for _, by := range []bool{false, true} {
				if by && step == StepMinute {
					continue
				}
				lines, err := s.Series(t.Context(), metric, Query{Step: step, Since: monday(), By: by})
				if err != nil {
					t.Fatal(err)
				}
				known := 0
				for _, p := range lines[0].Points {
					switch {
					case p.At.Before(from) && p.Value != nil:
						t.Errorf("%s of the %s at %s: got %g, want unknown: only longer steps are kept", metric, step, p.At, *p.Value)
					case p.Value != nil && *p.Value != 0:
						known++
						if *p.Value != want {
							t.Errorf("%s of the %s at %s: got %g, want %g", metric, step, p.At, *p.Value, want)
						}
					}
				}
				if most := int(at.Sub(from)/time.Hour) + 1; known != most {
					t.Errorf("%s by %s: got %d steps with something in them, want the %d that are kept", metric, step, known, most)
				}
			}
		}
	}
	got := points(t, s, "joins", Query{Step: StepDay, Since: monday()})
	want := []string{"11-02 00:00 at least 22", "11-03 00:00 48", "11-04 00:00 48", "11-05 00:00 48", "11-06 00:00 48", "11-07 00:00 48", "11-08 00:00 24"}
	if !slices.Equal(got, want) {
		t.Errorf("joins by day: got %q, want %q", got, want)
	}
	f := figures(t, s, monday().AddDate(0, 0, 1).Truncate(day).Add(day-time.Second))
	wantFigure(t, f, "joins", "48")
}
