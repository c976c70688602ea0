package chart

import (
	"math"
	"strconv"
	"time"
)

// tick is a place on an axis and what stands there.
type tick struct {
	at    float64
	label string
}

// valueTicks are round values from 0 to at least most, about five of them. Bytes go in
// powers of two, other things in powers of ten.
func valueTicks(most float64, unit string) []tick {
	if most <= 0 || math.IsInf(most, 0) || math.IsNaN(most) {
		most = 1
	}
	step := roundStep(most/5, unit)
	var ticks []tick
	for i := range 12 {
		at := float64(i) * step
		ticks = append(ticks, tick{at, label(at, unit)})
		if at >= most {
			break
		}
	}
	return ticks
}

// roundStep is the smallest of 1, 2, 5, 10, 20, … that is not below least. What is
// counted in whole pieces has no step below 1.
func roundStep(least float64, unit string) float64 {
	if unit == "bytes" {
		step := math.Exp2(math.Ceil(math.Log2(least)))
		return max(step, 1)
	}
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*power >= least*(1-1e-9) {
			step := m * power
			if unit == "peers" {
				return max(step, 1)
			}
			return step
		}
	}
	return 10 * power
}

// label is a value in few characters: 950, 12k, 3.5M, 2 GiB, 1h30m. It loses digits
// that an axis has no room for.
func label(v float64, unit string) string {
	if unit == "seconds" && v > 0 && v == math.Trunc(v) && v < 1e9 {
		return shortDuration(time.Duration(v) * time.Second)
	}
	base, names := 1000.0, []string{"", "k", "M", "G", "T", "P", "E"}
	if unit == "bytes" {
		base, names = 1024, []string{"", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"}
	}
	i := 0
	for math.Abs(v) >= base && i < len(names)-1 {
		v, i = v/base, i+1
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + names[i]
}

// shortDuration has no parts that are 0: 90s is 1m30s and an hour 1h.
func shortDuration(d time.Duration) string {
	var out string
	for _, part := range []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d / part.of; n > 0 {
			out += strconv.FormatInt(int64(n), 10) + part.name
			d -= n * part.of
		}
	}
	return out
}

// calendar is a distance between two ticks of time. Days and months follow the
// calendar of a place, so a day may have 23 hours.
type calendar struct {
	step         time.Duration
	days, months int
	format       string
}

func calendars() []calendar {
	return []calendar{
		{step: time.Minute, format: "15:04"},
		{step: 5 * time.Minute, format: "15:04"},
		{step: 15 * time.Minute, format: "15:04"},
		{step: time.Hour, format: "15:04"},
		{step: 3 * time.Hour, format: "Jan 2 15:04"},
		{step: 6 * time.Hour, format: "Jan 2 15:04"},
		{step: 12 * time.Hour, format: "Jan 2 15:04"},
		{days: 1, format: "Jan 2"},
		{days: 2, format: "Jan 2"},
		{days: 7, format: "Jan 2"},
		{days: 14, format: "Jan 2"},
		{months: 1, format: "Jan 2006"},
		{months: 3, format: "Jan 2006"},
		{months: 12, format: "2006"},
		{months: 60, format: "2006"},
	}
}

// length is how long a step is, about.
func (c calendar) length() time.Duration {
	const day = 24 * time.Hour
	return c.step + time.Duration(c.days)*day + time.Duration(c.months)*30*day
}

// first is the first tick not before t.
func (c calendar) first(t time.Time) time.Time {
	y, m, d := t.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, t.Location())
	var at time.Time
	switch {
	case c.months > 0:
		at = time.Date(y, time.Month(int(m-1)/min(c.months, 12)*min(c.months, 12)+1), 1, 0, 0, 0, 0, t.Location())
	case c.days > 0, c.step > time.Hour:
		at = midnight
	default:
		at = midnight.Add(t.Sub(midnight) / c.step * c.step)
	}
	for at.Before(t) {
		at = c.next(at)
	}
	return at
}

func (c calendar) next(t time.Time) time.Time {
	if c.step > time.Hour { // on the clock of the place, also where it is put forward or back
		y, m, d := t.Date()
		return time.Date(y, m, d, t.Hour()+int(c.step/time.Hour), 0, 0, 0, t.Location())
	}
	if c.step > 0 {
		return t.Add(c.step)
	}
	return t.AddDate(0, c.months, c.days)
}

// timeTicks are at most so many round times from one time to another, as UNIX seconds.
func timeTicks(from, to time.Time, at *time.Location, most int) []tick {
	all := calendars()
	chosen := all[len(all)-1]
	for _, c := range all {
		if to.Sub(from) <= time.Duration(most)*c.length() {
			chosen = c
			break
		}
	}
	var ticks []tick
	for t := chosen.first(from.In(at)); !t.After(to) && len(ticks) <= 2*most; t = chosen.next(t) {
		ticks = append(ticks, tick{seconds(t), t.Format(chosen.format)})
	}
	return ticks
}

// seconds is a time as a place on an axis.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
