package chart

import (
	"slices"
	"testing"
	"time"
)

func TestValueTicks_AreRoundAndCoverTheLargest(t *testing.T) {
	for _, c := range []struct {
		most float64
		unit string
		want []string
	}{
		{0, "peers", []string{"0", "1"}},
		{3, "peers", []string{"0", "1", "2", "3"}},
		{950, "peers", []string{"0", "200", "400", "600", "800", "1k"}},
		{12_345_678, "peers", []string{"0", "5M", "10M", "15M"}},
		{5 << 30, "bytes", []string{"0", "1 GiB", "2 GiB", "3 GiB", "4 GiB", "5 GiB"}},
		{0.9, "1", []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{240, "seconds", []string{"0", "50s", "1m40s", "2m30s", "3m20s", "4m10s"}},
	} {
		var got []string
		ticks := valueTicks(c.most, c.unit)
		for _, one := range ticks {
			got = append(got, one.label)
		}
		if last := ticks[len(ticks)-1].at; last < c.most {
			t.Errorf("%g %s: the last tick is %g", c.most, c.unit, last)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%g %s: got %q, want %q", c.most, c.unit, got, c.want)
		}
	}
}

func TestTimeTicks_StandAtRoundTimesOfThePlaceAlsoWhereClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	day := func(d int) time.Time { return time.Date(2026, 10, d, 12, 0, 0, 0, berlin) }
	for _, c := range []struct {
		from, to time.Time
		want     []string
	}{
		{day(24), day(27), []string{"Oct 24 12:00", "Oct 25 00:00", "Oct 25 12:00", "Oct 26 00:00", "Oct 26 12:00", "Oct 27 00:00", "Oct 27 12:00"}},
		{day(23), day(29), []string{"Oct 24", "Oct 25", "Oct 26", "Oct 27", "Oct 28", "Oct 29"}},
		{day(1), day(1).AddDate(0, 0, 40), []string{"Oct 8", "Oct 15", "Oct 22", "Oct 29", "Nov 5"}},
		{day(1), day(1).AddDate(0, 5, 0), []string{"Nov 2026", "Dec 2026", "Jan 2027", "Feb 2027", "Mar 2027"}},
		{day(1), day(1).AddDate(3, 0, 0), []string{"2027", "2028", "2029"}},
	} {
		var got []string
		for _, one := range timeTicks(c.from, c.to, berlin, 7) {
			got = append(got, one.label)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s to %s: got %q, want %q", c.from, c.to, got, c.want)
		}
	}
}
