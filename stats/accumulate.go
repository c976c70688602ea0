package stats

import (
	"fmt"
	"math"
	"reflect"
	"time"
)

// Accumulator adds up what the relays of a fleet counted, so that totals never fall and
// never double: over restarts of a relay and of the collector, over machines that were
// made anew, identities that were rotated and relays that were away for however long. The
// zero value has counted nothing. It is JSON as it is, to be kept. Not safe for
// concurrent use.
type Accumulator struct {
	// Lives is the highest that each epoch was seen to reach. One that is forgotten would
	// count twice when it comes back.
	Lives map[string]Counters `json:"lives"`
	// Processes are the daemons that know no epochs, by relay.
	Processes map[string]Process `json:"processes"`
	// Total is the sum of all lives.
	Total Counters `json:"total"`
}

// Process is the last that was seen of a daemon that begins at 0 whenever it starts.
type Process struct {
	At         time.Time `json:"at"`    // when its report arrived, by our clock
	Clock      int64     `json:"clock"` // its own clock then, UNIX seconds; 0 is unknown
	UptimeSecs uint64    `json:"uptime_secs"`
	Starts     int       `json:"starts"` // that were noticed
}

// isLater reports whether a look came after that at p, by any of the two clocks: ours may
// have moved back.
func (p Process) isLater(look Process) bool {
	return look.At.After(p.At) || p.Clock > 0 && look.Clock > p.Clock
}

// isOther reports whether a look met another process: it runs for less time than it did
// at p, or than there was since then. Of that both clocks have to be sure: one that jumps
// makes no process another one, which would count all of it twice.
func (p Process) isOther(look Process) bool {
	const slack = 5 // seconds that a report takes to arrive, and that are cut off
	passed := int64(look.At.Sub(p.At) / time.Second)
	if p.Clock > 0 && look.Clock > 0 {
		passed = min(passed, look.Clock-p.Clock)
	}
	return look.UptimeSecs < p.UptimeSecs || look.UptimeSecs+slack < uint64(max(0, passed))
}

// Add takes in what a relay counted in an epoch, and returns how much of it is new: all of
// it in an epoch that was never seen, nothing of a counter that is lower than it was.
// Adding a reading again changes nothing, and an older one adds nothing. Whose epoch it is
// does not matter: a relay that got another identity goes on counting in its epoch, and
// two machines made of one image count together no more than the one that counted more.
func (a *Accumulator) Add(epoch string, now Counters) Counters {
	if a.Lives == nil {
		a.Lives = make(map[string]Counters)
	}
	last := a.Lives[epoch]
	grown := now.Since(last)
	a.Lives[epoch] = now.Highest(last)
	a.Total = a.Total.Plus(grown)
	return grown
}

// AddOld is Add for a daemon that knows no epochs: its counters are since it started. A
// start between two looks is a new epoch. A look that is not later than the last one adds
// nothing. Starts of the look are left out.
func (a *Accumulator) AddOld(relay string, look Process, now Counters) Counters {
	if a.Processes == nil {
		a.Processes = make(map[string]Process)
	}
	last, known := a.Processes[relay]
	look.Starts = last.Starts
	if known {
		if !last.isLater(look) {
			return Counters{}.Plus(Counters{})
		}
		if last.isOther(look) {
			look.Starts++
			delete(a.Lives, last.life(relay)) // a process that ended does not come back
		}
	}
	a.Processes[relay] = look
	return a.Add(look.life(relay), now)
}

// life is the name of its epoch, which no epoch of 32 hex digits is.
func (p Process) life(relay string) string { return fmt.Sprintf("process %d of %s", p.Starts, relay) }

// Since is what was counted beyond last, an earlier reading of the same epoch: field by
// field, and 0 where a counter is not higher. A pointer is nil where c does not know. The
// result shares no memory with the arguments, as those of Below, Plus and Highest.
func (c Counters) Since(last Counters) Counters {
	return c.with(last, func(now, last uint64) uint64 {
		if now < last {
			return 0
		}
		return now - last
	}, func(now, _ bool) bool { return now })
}

// Below is by how much c is lower than last, an earlier reading of the same epoch: field by
// field, and 0 where it is not. A pointer is nil where one of them does not know: a daemon
// that does not tell of something any more counted no less of it.
func (c Counters) Below(last Counters) Counters {
	return c.with(last, func(now, last uint64) uint64 { return last - min(now, last) }, func(now, last bool) bool { return now && last })
}

// Plus is the sum, field by field. It stays at the largest number rather than beginning
// again at 0. A pointer is nil where neither knows.
func (c Counters) Plus(d Counters) Counters {
	return c.with(d, func(a, b uint64) uint64 {
		if a > math.MaxUint64-b {
			return math.MaxUint64
		}
		return a + b
	}, func(a, b bool) bool { return a || b })
}

// Highest is the larger of each field. A pointer is nil where neither knows.
func (c Counters) Highest(d Counters) Counters {
	return c.with(d, func(a, b uint64) uint64 { return max(a, b) }, func(a, b bool) bool { return a || b })
}

// with combines every number of two sets of counters, those of fields added later too:
// what a map or a list lacks is 0. known decides whether a pointer is not nil, from which
// of the two are not.
func (c Counters) with(d Counters, f func(c, d uint64) uint64, known func(c, d bool) bool) Counters {
	var out Counters
	left, right, into := reflect.ValueOf(c), reflect.ValueOf(d), reflect.ValueOf(&out).Elem()
	for i := range into.NumField() {
		switch v := into.Field(i).Addr().Interface().(type) {
		case *uint64:
			*v = f(left.Field(i).Uint(), right.Field(i).Uint())
		case **uint64:
			a, _ := left.Field(i).Interface().(*uint64)
			b, _ := right.Field(i).Interface().(*uint64)
			if known(a != nil, b != nil) {
				*v = ptr(f(value(a), value(b)))
			}
		case *[]uint64:
			a, _ := left.Field(i).Interface().([]uint64)
			b, _ := right.Field(i).Interface().([]uint64)
			*v = lists(a, b, f)
		case *map[string]uint64:
			a, _ := left.Field(i).Interface().(map[string]uint64)
			b, _ := right.Field(i).Interface().(map[string]uint64)
			*v = groups(a, b, f)
		}
	}
	return out
}

// lists combines element by element; the result is as long as the longer one, never nil.
func lists(a, b []uint64, f func(a, b uint64) uint64) []uint64 {
	out := make([]uint64, max(len(a), len(b)))
	for i := range out {
		var x, y uint64
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		out[i] = f(x, y)
	}
	return out
}

// groups combines key by key; the result is never nil.
func groups(a, b map[string]uint64, f func(a, b uint64) uint64) map[string]uint64 {
	out := make(map[string]uint64, max(len(a), len(b)))
	for key, x := range a {
		out[key] = f(x, b[key])
	}
	for key, y := range b {
		if _, both := a[key]; !both {
			out[key] = f(0, y)
		}
	}
	return out
}
