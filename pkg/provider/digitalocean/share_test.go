package digitalocean

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// slowReading counts readings, each of which takes a second and sees the writes before it.
type slowReading struct {
	s        shared[uint64]
	writes   atomic.Uint64
	readings atomic.Int32
}

func (r *slowReading) get(ctx context.Context) (uint64, error) {
	return r.s.get(ctx, r.writes.Load, func(ctx context.Context) (uint64, error) {
		r.readings.Add(1)
		seen := r.writes.Load()
		return seen, pause(ctx, time.Second)
	})
}

func TestShared_WhoAsksAtTheSameTimeGetsOneReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r slowReading
		for range 8 {
			go func() { _, _ = r.get(t.Context()) }()
		}
		synctest.Wait()
		_, err := r.get(t.Context())
		must(t, "get", err)
		if got := r.readings.Load(); got != 1 {
			t.Errorf("got %d readings, want 1", got)
		}
		_, err = r.get(t.Context())
		must(t, "get", err)
		if got := r.readings.Load(); got != 2 {
			t.Errorf("got %d readings, want a new one for whoever asks later", got)
		}
	})
}

func TestShared_WhoAsksAfterAWriteGetsAReadingThatSawIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fresh := range []time.Duration{0, time.Minute} {
			var r slowReading
			r.s.fresh = fresh
			go func() { _, _ = r.get(t.Context()) }()
			synctest.Wait()
			r.writes.Add(1)
			if got, err := r.get(t.Context()); err != nil || got != 1 {
				t.Errorf("fresh for %s: got a reading that saw %d writes and error %v, want 1", fresh, got, err)
			}
		}
	})
}

func TestShared_WhomOnlySomeWritesConcernGetsAReadingThatSawThose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r slowReading
		since := func(need uint64) uint64 {
			got, err := r.s.since(t.Context(), need, time.Minute, r.writes.Load, func(context.Context) (uint64, error) {
				r.readings.Add(1)
				return r.writes.Load(), nil
			})
			must(t, "since", err)
			return got
		}
		since(0)
		r.writes.Add(1) // of another operation
		if since(0); r.readings.Load() != 1 {
			t.Errorf("got %d readings, want 1: that write is not about this operation", r.readings.Load())
		}
		if got := since(1); got != 1 {
			t.Errorf("got a reading that saw %d writes, want 1", got)
		}
		<-time.After(2 * time.Minute)
		if since(0); r.readings.Load() != 3 {
			t.Errorf("got %d readings, want a third when the last one is old", r.readings.Load())
		}
	})
}

func TestShared_WhoseReaderGaveUpReadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r slowReading
		ctx, cancel := contextOf(t)
		gaveUp := make(chan error, 1)
		go func() { _, err := r.get(ctx); gaveUp <- err }()
		synctest.Wait()
		done := make(chan error, 1)
		go func() { _, err := r.get(t.Context()); done <- err }()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
		must(t, "the one who waited", <-done)
	})
}

// readings counts readings of a poller, each of which takes a second.
type readings struct {
	p poller[int]
	n int
}

func (r *readings) next(ctx context.Context, newer time.Time) (int, time.Time, error) {
	return r.p.next(ctx, 5*time.Second, newer, func(ctx context.Context) (int, error) {
		r.n++
		return r.n, pause(ctx, time.Second)
	})
}

func TestPoller_ReadingsBeginAnIntervalApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r readings
		begin := time.Now()
		seen := begin.Add(-1)
		for want := 1; want <= 4; want++ {
			got, began, err := r.next(t.Context(), seen)
			must(t, "next", err)
			if got != want || began.Sub(begin) != time.Duration(want-1)*5*time.Second {
				t.Errorf("got reading %d, which began after %s; want reading %d, one every 5s and the first at once", got, began.Sub(begin), want)
			}
			seen = began
		}
	})
}

func TestPoller_AReadingServesAllWhoOrderedBeforeItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r readings
		ordered := time.Now()
		time.Sleep(time.Second) // of the bubble
		begin := time.Now()
		_, _, err := r.next(t.Context(), ordered)
		must(t, "next", err)
		got, began, err := r.next(t.Context(), ordered) // it waited a little longer, and comes when the reading is over
		must(t, "next", err)
		if got != 1 || !began.Equal(begin) || time.Since(begin) != time.Second {
			t.Errorf("got reading %d after %s, want the first at once: it began after the order", got, time.Since(begin))
		}
	})
}

func TestPoller_AReadingThatBeganBeforeTheOrderDoesNotServeIt(t *testing.T) {
	for what, late := range map[string]time.Duration{"under way": time.Second / 2, "over": 2 * time.Second, "put off": 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var r readings
			begin := time.Now()
			go func() {
				_, seen, _ := r.next(t.Context(), begin.Add(-1))
				if late > 5*time.Second {
					_, _, _ = r.next(t.Context(), seen)
				}
			}()
			time.Sleep(late) // of the bubble
			ordered := time.Now()
			got, began, err := r.next(t.Context(), ordered)
			must(t, "next", err)
			if !began.After(ordered) || began.Sub(begin)%(5*time.Second) != 0 || got != r.n {
				t.Errorf("%s: got reading %d, which began %s after the order, want the next one", what, got, began.Sub(ordered))
			}
		})
	}
}

func TestPoller_AReadingThatFailedServesNobodyWhoComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r readings
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, _, err := r.next(ctx, begin.Add(-1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got error %v, want the deadline's", err)
		}
		got, began, err := r.next(t.Context(), begin.Add(-1))
		must(t, "next", err)
		if got != 2 || began.Sub(begin) != 5*time.Second {
			t.Errorf("got reading %d, which began after %s; want the second after 5s", got, began.Sub(begin))
		}
	})
}

// Somebody who cleans up removes a tag that is on nothing yet.
func TestMark_ATagThatIsRemovedMeanwhileIsMadeAgain(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.wire.seen = func(q *http.Request) {
			if q.Method == http.MethodPost && q.URL.Path == "/v2/tags/phase:doomed/resources" {
				r.wire.seen = nil
				r.do("DELETE", "/v2/tags/phase:doomed", "")
			}
		}
		must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkPhase: "doomed"}, nil))
		if got := r.list()[0].Phase; got != fleet.PhaseDoomed {
			t.Errorf("got phase %q, want doomed", got)
		}
	})
}

// A droplet that was read a moment ago may be gone.
func TestMark_OfAHostKeyOnADropletThatIsGoneIsErrNoMachine(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.do("DELETE", "/v2/droplets/"+m.ID, "")
		wantErr(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkHostKey: m.HostKey + "\n" + keyOf(4)}, nil), fleet.ErrNoMachine)
	})
}
