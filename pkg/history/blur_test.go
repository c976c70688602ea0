package history

import (
	"slices"
	"testing"
	"time"
)

// blurred are the days of a series that are, as "01-02".
func blurred(t *testing.T, s *Store, metric string, q Query) []string {
	t.Helper()
	all, err := s.Series(t.Context(), metric, q)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, p := range all[0].Points {
		if p.Blurred {
			out = append(out, p.At.Format("01-02"))
		}
	}
	return out
}

func TestSeries_SaysWhichOfItsDaysAreCutFromThoseOfUTC(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	began := at
	for joined := range uint64(41) { // a collection at each noon: the first days become coarse
		r := answer(1, at, 3)
		r.Telemetry.Counters.Joined = joined
		ingest(t, s, at, r)
		at = at.AddDate(0, 0, 1)
	}
	zone := func(name string) *time.Location {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return loc
	}
	for _, metric := range []string{"joins", "concurrent_peers", "peak_concurrent_peers"} {
		old := []string{"11-02", "11-03", "11-04", "11-05", "11-06", "11-07"} // of days of UTC until 11-07 00:00, 35 days before the last
		if metric == "joins" {
			old = old[1:] // what was counted before the first collection is unknown
		}
		for _, c := range []struct {
			zone string
			want []string
		}{{"UTC", []string{}}, {"Europe/Berlin", old}} {
			q := Query{Step: StepDay, Since: began, Until: began.AddDate(0, 0, 20), Location: zone(c.zone)}
			if got := blurred(t, s, metric, q); !slices.Equal(got, c.want) {
				t.Errorf("%s in %s: %v are blurred, want %v", metric, c.zone, got, c.want)
			}
		}
	}
	if got := blurred(t, s, "lifetime", Query{Step: StepDay, Since: began, Location: zone("Europe/Berlin")}); len(got) > 0 {
		t.Errorf("%v of lifetime are blurred: first sights are known to the second", got)
	}
}

func TestSeries_HoursThatADayOfHalfAnHourCutsAreNoSecret(t *testing.T) {
	s := open(t, Options{})
	at := time.Date(2026, 11, 2, 18, 5, 0, 0, time.UTC)
	for joined := range uint64(3) {
		r := answer(1, at, 3)
		r.Telemetry.Counters.Joined = joined
		ingest(t, s, at, r)
		at = at.Add(10 * time.Minute) // 18:05, 18:15, 18:25: in India it is midnight at 18:30
	}
	ingest(t, s, at.Add(time.Hour), answer(1, at.Add(time.Hour), 3))
	india := time.FixedZone("India", 5*3600+1800)
	q := Query{Step: StepDay, Since: at.AddDate(0, 0, -1), Location: india}
	if got := blurred(t, s, "joins", q); !slices.Equal(got, []string{"11-02", "11-03"}) {
		t.Errorf("%v are blurred, want both days that have a part of the hour from 18:00", got)
	}
	if got := blurred(t, s, "concurrent", q); len(got) > 0 {
		t.Errorf("%v are blurred of what is kept by the minute", got)
	}
}
