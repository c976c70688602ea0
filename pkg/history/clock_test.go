package history

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestIngest_ClocksThatAreWrongAreSaidAndBounded(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	fast := answer(1, at, 4, entry(1, at.Add(time.Hour-time.Minute), at.Add(time.Hour)), entry(2, at, at.Add(48*time.Hour)))
	fast.Telemetry.Now += 3600
	fast.Telemetry.Minutes[0][0] += 3600
	sum := ingest(t, s, at, fast)
	if want := []EventKind{EventJoined, EventClockSkew}; !slices.Equal(kinds(sum.Events), want) {
		t.Errorf("events: got %v, want %v", kinds(sum.Events), want)
	}
	if got := strings.Join(sum.Warnings, "; "); !strings.Contains(got, "1 sights in its census lie in the future") {
		t.Errorf("warnings: got %q, want one sight in the future", got)
	}
	f := figures(t, s, at)
	wantFigure(t, f, "active_peers_24h", "2")
	wantFigure(t, f, "concurrent_peers", "4")
	// Our own clock is set back: nothing falls, nothing doubles.
	back := at.Add(-30 * 24 * time.Hour)
	r := answer(1, back, 1, entry(1, back, back))
	sum = ingest(t, s, back, r)
	if !slices.Contains(kinds(sum.Events), EventClockBack) {
		t.Errorf("events: got %v, want %s", kinds(sum.Events), EventClockBack)
	}
	at = at.Add(time.Minute)
	ingest(t, s, at, answer(1, at, 1))
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "2")
	// A clock that is years ahead once does not erase the history.
	ahead := at.AddDate(20, 0, 0)
	ingest(t, s, ahead, answer(1, ahead, 1))
	at = at.Add(time.Minute)
	ingest(t, s, at, answer(1, at, 1))
	wantFigure(t, figures(t, s, at), "active_peers_24h", "2")
	if got := points(t, s, "lifetime", Query{Step: StepDay, Since: at.Add(-time.Minute), Until: at}); !slices.Equal(got, []string{"11-02 00:00 2"}) {
		t.Errorf("lifetime: got %q, want 2", got)
	}
}

func TestIngest_ALongTransferIsNoWrongClockAndHidesNone(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	slow := func(n int, ahead time.Duration) stats.Reading {
		r := answer(n, at, 1)
		r.At, r.Answered, r.Took = at.Add(-10*time.Minute), at.Add(-10*time.Minute+2*time.Second), 10*time.Minute
		r.Telemetry.Now = r.Answered.Add(ahead).Unix()
		return r
	}
	ingest(t, s, at, slow(1, 0), slow(2, 4*time.Minute))
	relays, err := s.Relays(t.Context())
	if err != nil || relays[0].SkewSecs != 0 || relays[1].SkewSecs != 240 {
		t.Errorf("got clocks ahead by %d and %d s, %v; want 0 and 240", relays[0].SkewSecs, relays[1].SkewSecs, err)
	}
}

// minutesUntil are all that a relay tells: at the end of minute n of this hour there were
// so many users.
func minutesUntil(r stats.Reading, at time.Time, users func(minute int64) int64) stats.Reading {
	hour := monday().Unix()
	r.Telemetry.Minutes = nil
	for m := int64(0); hour+60*m+60 <= at.Unix(); m++ {
		r.Telemetry.Minutes = append(r.Telemetry.Minutes, [2]int64{hour + 60*m, users(m)})
	}
	return r
}

func TestIngest_OurClockAheadForAWhileLosesNoMinuteAndDoublesNone(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		times int
		step  Step // by which that time is known afterwards
	}{{2 * time.Hour, 1, StepHour}, {40 * 24 * time.Hour, 1, StepDay}, {400 * 24 * time.Hour, 3, StepDay}} {
		s := open(t, Options{})
		tell := func(minute int, ahead time.Duration) {
			t.Helper()
			at := monday().Add(time.Duration(minute)*time.Minute + 10*time.Second)
			one := minutesUntil(answer(1, at, 0), at, func(m int64) int64 { return 6 * m * m })
			two := minutesUntil(answer(2, at, 0), at, func(int64) int64 { return 100 })
			one.Telemetry.Counters.Joined = uint64(minute)
			for _, r := range []*stats.Reading{&one, &two} {
				r.At = r.At.Add(ahead)
				switch { // a collector asks for what it has not read yet, or for all
				case ahead > 0:
					r.Telemetry.Minutes = r.Telemetry.Minutes[29:]
				case minute > 31:
					r.Telemetry.Minutes = r.Telemetry.Minutes[31:]
				}
			}
			for range 2 {
				ingest(t, s, at.Add(ahead), one, two)
			}
		}
		tell(10, 0)
		tell(29, 0)
		for range c.times {
			tell(30, c.ahead)
		}
		for _, minute := range []int{31, 32, 33, 34, 35, 60} {
			tell(minute, 0)
		}
		hour := Query{Step: c.step, Since: monday(), Until: monday().Add(time.Hour)}
		for metric, want := range map[string]string{"concurrent": "7121", "peak": "20986"} {
			if got := points(t, s, metric, hour); len(got) != 1 || !strings.HasSuffix(got[0], " "+want) {
				t.Errorf("%s ahead, %d times: %s: got %q, want %s", c.ahead, c.times, metric, got, want)
			}
		}
		now := monday().Add(time.Hour + 10*time.Second)
		wantFigure(t, figures(t, s, now), "concurrent_peers", "20986")
		relays, err := s.Relays(t.Context())
		if err != nil || relays[0].Totals["joins"] != 60 {
			t.Errorf("%s ahead: got %d joins, %v; want 60", c.ahead, relays[0].Totals["joins"], err)
		}
		if got := s.clock(t); got != now.Unix() {
			t.Errorf("%s ahead: retention goes by %s, want %s", c.ahead, stamp(got), now)
		}
	}
}

func (s *Store) clock(t *testing.T) (clock int64) {
	t.Helper()
	if err := one(t.Context(), s.reader, `SELECT clock FROM meta`, nil, &clock); err != nil {
		t.Fatal(err)
	}
	return clock
}

func TestIngest_WhoIsSilentSinceOurClockWasAheadIsNamed(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 1), answer(2, at, 1, entry(1, at, at)), answer(3, at, 1))
	ahead := at.AddDate(0, 0, 20)
	ingest(t, s, ahead, answer(1, ahead, 1), answer(2, ahead, 1), answer(4, ahead, 1)) // the third retires, the fourth joins
	at = at.Add(time.Minute)
	ingest(t, s, at, answer(1, at, 1), silent(2, "no route"), silent(4, "no route"))
	f := figures(t, s, at)
	wantFigure(t, f, "lifetime_unique_peers", "at least 1 without nyc1-2 nyc1-4")
	wantFigure(t, f, "concurrent_peers", "at least 1 without nyc1-2 nyc1-4")
	relays, err := s.Relays(t.Context())
	if err != nil || len(relays) != 4 {
		t.Fatalf("got %d relays, %v", len(relays), err)
	}
	for _, r := range relays {
		for what, when := range map[string]time.Time{"answered": r.LastAnswered, "read": r.LastCensus, "asked": r.LastAsked, "retired": r.Retired, "in the fleet": r.Since} {
			if when.After(at) {
				t.Errorf("%s: %s at %s, which is after now, %s", r.Node, what, when, at)
			}
		}
	}
}

func TestOpen_AStoreOfTheFirstVersionGoesOnAndDoublesNoMinute(t *testing.T) {
	s := open(t, Options{})
	at := monday().Add(5 * time.Minute)
	ingest(t, s, at, minutesUntil(answer(1, at, 0), at, func(int64) int64 { return 7 }))
	for _, text := range []string{ // as the first version left it after a clock that was ahead
		`INSERT INTO concurrent SELECT 3600, relay, at - at % 3600, SUM(minutes), SUM(relays), SUM(users), MAX(most) FROM concurrent WHERE step = 60 GROUP BY relay`,
		`DELETE FROM concurrent WHERE step = 60`, `ALTER TABLE meta DROP COLUMN rolled`, `ALTER TABLE relays DROP COLUMN counted`, `PRAGMA user_version = 1`,
	} {
		if _, err := s.writer.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	s = openAt(t, s.path, Options{})
	ingest(t, s, at, minutesUntil(answer(1, at, 0), at, func(int64) int64 { return 7 }))
	var minutes int
	if err := one(t.Context(), s.reader, `SELECT SUM(minutes) FROM concurrent WHERE relay = 0`, nil, &minutes); err != nil || minutes != 5 {
		t.Errorf("got %d minutes, %v; want 5", minutes, err)
	}
}
