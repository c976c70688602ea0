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

func TestPoller_OneReadingForAllAtMostEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p poller[int]
		n := 0
		read := func(context.Context) (int, error) { n++; return n, nil }
		begin := time.Now()
		for range 4 {
			_, err := p.next(t.Context(), 5*time.Second, read)
			must(t, "next", err)
		}
		if d := time.Since(begin); d != 15*time.Second || n != 4 {
			t.Errorf("got %d readings in %s, want 4 in 15s: the first at once", n, d)
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
