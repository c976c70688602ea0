package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// allAt are counters in which every field is n, but for the pointers.
func allAt(n uint64) Counters {
	groups := func() map[string]uint64 { return map[string]uint64{"a": n} }
	return Counters{
		Joined: n, Left: n, Granted: n, Renewed: n, RefusedReserve: groups(), Circuits: n, RefusedCircuit: groups(), BytesRelayed: n,
		Sessions: n, SessionSecs: n, SessionLengths: []uint64{n, n}, ByTransport: groups(), ByFamily: groups(), ByAgent: groups(),
		ByVersion: groups(), ByTier: groups(),
	}
}

func TestAccumulator_AddsEveryField(t *testing.T) {
	var a Accumulator
	if got := a.Add("e", allAt(3)); !reflect.DeepEqual(got, allAt(3)) {
		t.Errorf("a new epoch: got %+v, want all of it", got)
	}
	if got := a.Add("e", allAt(5)); !reflect.DeepEqual(got, allAt(2)) {
		t.Errorf("what it grew by: got %+v, want 2 of each", got)
	}
	if got := a.Add("e", allAt(4)); !reflect.DeepEqual(got, allAt(0)) {
		t.Errorf("a value that fell: got %+v, want nothing", got)
	}
	if got := a.Add("e", allAt(6)); !reflect.DeepEqual(got, allAt(1)) {
		t.Errorf("after it fell: got %+v, want 1 beyond the highest", got)
	}
	if got := a.Add("another", allAt(10)); !reflect.DeepEqual(got, allAt(10)) || !reflect.DeepEqual(a.Total, allAt(16)) {
		t.Errorf("another epoch: got %+v, total %+v, want 10 and 16", got, a.Total)
	}
}

func TestAccumulator_UnknownIsNotZero(t *testing.T) {
	var a Accumulator
	grown := a.Add("e", Counters{})
	if grown.PunchesSucceeded != nil || a.Total.PunchesSucceeded != nil {
		t.Errorf("got %v, total %v, want unknown", grown.PunchesSucceeded, a.Total.PunchesSucceeded)
	}
	a.Add("e", Counters{PunchesSucceeded: ptr[uint64](4)})
	if grown = a.Add("e", Counters{}); grown.PunchesSucceeded != nil {
		t.Errorf("who does not know any more: got %d, want unknown", *grown.PunchesSucceeded)
	}
	equal(t, "total", a.Total.PunchesSucceeded, 4)
	a.Add("e", Counters{PunchesSucceeded: ptr[uint64](6)})
	equal(t, "total", a.Total.PunchesSucceeded, 6)
}

func TestAccumulator_TotalsStayAtTheLargestNumber(t *testing.T) {
	var a Accumulator
	a.Add("e", Counters{BytesRelayed: math.MaxUint64 - 1})
	a.Add("f", Counters{BytesRelayed: 7})
	if a.Total.BytesRelayed != math.MaxUint64 {
		t.Errorf("got %d, want %d", a.Total.BytesRelayed, uint64(math.MaxUint64))
	}
}

// A relay of the property: what it counted, and what it forgot when it was made anew.
type counting struct {
	epoch string
	now   Counters
	sent  []Counters // readings that may arrive again
}

func (c *counting) count(n uint64, group string) {
	c.now = c.now.Plus(Counters{
		Joined: n, BytesRelayed: n * 1000, SessionLengths: []uint64{0, n}, ByTier: map[string]uint64{group: n}, RefusedReserve: map[string]uint64{group: 1},
	})
}

func TestAccumulator_TotalsNeverFallAndNeverDouble(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			a      Accumulator
			relays = make([]*counting, rapid.IntRange(1, 4).Draw(t, "relays"))
			read   = make(map[string]Counters) // the truth, as far as it was told: the last of each epoch
			epochs int
		)
		anew := func() *counting { epochs++; return &counting{epoch: fmt.Sprintf("%032x", epochs)} }
		for i := range relays {
			relays[i] = anew()
		}
		check := func() {
			want := Counters{}.Plus(Counters{})
			for _, c := range read {
				want = want.Plus(c)
			}
			if !reflect.DeepEqual(a.Total.Plus(Counters{}), want) {
				t.Fatalf("got %+v, want %+v", a.Total, want)
			}
		}
		some := func(t *rapid.T) *counting { return rapid.SampledFrom(relays).Draw(t, "relay") }
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"peers come": func(t *rapid.T) {
				some(t).count(rapid.Uint64Range(1, 1000).Draw(t, "n"), rapid.SampledFrom([]string{"edge", "core"}).Draw(t, "tier"))
			},
			"is read": func(t *rapid.T) {
				r, before := some(t), a.Total
				grown := a.Add(r.epoch, r.now)
				r.sent, read[r.epoch] = append(r.sent, r.now), r.now
				if sum := before.Plus(grown); !reflect.DeepEqual(sum, a.Total) {
					t.Fatalf("%+v and %+v are not the total %+v", before, grown, a.Total)
				}
			},
			"an old answer arrives again": func(t *rapid.T) {
				if r := some(t); len(r.sent) > 0 {
					if grown := a.Add(r.epoch, rapid.SampledFrom(r.sent).Draw(t, "answer")); grown.Joined != 0 {
						t.Fatalf("it added %d", grown.Joined)
					}
				}
			},
			"is made anew": func(t *rapid.T) { relays[rapid.IntRange(0, len(relays)-1).Draw(t, "which")] = anew() },
			"the collector starts again": func(t *rapid.T) {
				text, err := json.Marshal(a)
				a = Accumulator{}
				if err != nil || json.Unmarshal(text, &a) != nil {
					t.Fatalf("%s is not read again: %v", text, err)
				}
			},
		})
	})
}

func TestAccumulator_OldDaemonsStartAgainAtZero(t *testing.T) {
	var a Accumulator
	for i, step := range []struct {
		after         time.Duration
		uptime, count uint64
		grown         uint64
		why           string
	}{
		{0, 100, 5, 5, "the first reading"},
		{time.Minute, 160, 7, 2, "it went on"},
		{time.Minute, 160, 9, 0, "the same reading again"},
		{2 * time.Minute, 30, 3, 3, "it started again"},
		{7 * 24 * time.Hour, 3 * 24 * 3600, 50, 50, "a week later, of which it ran for three days"},
		{8 * 24 * time.Hour, 4*24*3600 - 3, 60, 10, "a day later, though the report was slow"},
		{8*24*time.Hour + time.Minute, 4*24*3600 + 60, 55, 0, "a value that fell"},
		{time.Hour, 99, 1000, 0, "our clock moved back"},
	} {
		if got := a.AddOld("12D3KooWa", Process{At: at.Add(step.after), UptimeSecs: step.uptime}, Counters{Granted: step.count}).Granted; got != step.grown {
			t.Errorf("step %d, %s: got %d, want %d", i, step.why, got, step.grown)
		}
	}
	if a.Total.Granted != 70 || len(a.Lives) != 1 {
		t.Errorf("got a total of %d in %d lives, want 70 in 1", a.Total.Granted, len(a.Lives))
	}
}

func TestAccumulator_AClockThatJumpsMakesNoProcessAnotherOne(t *testing.T) {
	var a Accumulator
	for i, step := range []struct {
		ours, its     time.Duration // clocks
		uptime, count uint64
		grown         uint64
		why           string
	}{
		{0, 0, 3600, 5, 5, "the first look"},
		{40 * 24 * time.Hour, time.Minute, 3660, 6, 1, "our clock jumped ahead"},
		{2 * time.Minute, 2 * time.Minute, 3720, 8, 2, "and back"},
		{3 * time.Minute, 90 * 24 * time.Hour, 3780, 9, 1, "its clock jumped ahead"},
		{4 * time.Minute, 4 * time.Minute, 3840, 11, 2, "and back"},
		{3 * 24 * time.Hour, 3 * 24 * time.Hour, 7200, 4, 4, "it started again while nobody looked"},
	} {
		look := Process{At: at.Add(step.ours), Clock: at.Add(step.its).Unix(), UptimeSecs: step.uptime}
		if got := a.AddOld("a", look, Counters{Granted: step.count}).Granted; got != step.grown {
			t.Errorf("step %d, %s: got %d, want %d", i, step.why, got, step.grown)
		}
	}
}
