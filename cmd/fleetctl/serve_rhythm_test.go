package main

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/pkg/web"
)

// looksAt are the times, since the begin, of the looks that a watcher makes within a while.
// Each takes a second. disturb runs beside it.
func looksAt(t *testing.T, every, long time.Duration, disturb func(w *watcher)) []time.Duration {
	t.Helper()
	var at []time.Duration
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		a, _, _ := testApp(t)
		w := &watcher{app: a, flags: serveFlags{look: every}, again: make(chan struct{}, 1), board: web.NewBoard(web.Fleet{})}
		begun := time.Now()
		if disturb != nil {
			go disturb(w)
		}
		err := w.looks(ctx, func(context.Context) look {
			at = append(at, time.Since(begun))
			time.Sleep(time.Second) // in the bubble
			return look{}
		})
		if err == nil {
			t.Error("looks ended without an error, want that of its context")
		}
	})
	return at
}

func TestLooks_AChangeAfterAQuietTimeIsLookedAtAtOnce(t *testing.T) {
	const second = time.Second
	for name, c := range map[string]struct {
		every   time.Duration
		disturb func(w *watcher)
		want    []time.Duration
	}{
		"nothing happens":       {15 * second, nil, []time.Duration{0, 16 * second, 32 * second}},
		"a change after quiet":  {15 * second, after(13 * second), []time.Duration{0, 13 * second, 29 * second}},
		"a change soon":         {15 * second, after(3 * second), []time.Duration{0, 11 * second, 27 * second}},
		"a change in a look":    {15 * second, func(w *watcher) { w.lookAgain() }, []time.Duration{0, 11 * second, 27 * second}},
		"looks are often":       {2 * second, after(30 * second), nil},
		"one that is not quiet": {15 * second, flap, []time.Duration{0, 11 * second, 22 * second, 33 * second}},
	} {
		got := looksAt(t, c.every, 40*second, c.disturb)
		if c.want == nil {
			if n := len(got); n != 14 {
				t.Errorf("%s: %d looks in 40s, want 14: one every 3 s", name, n)
			}
			continue
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: looks at %v, want %v", name, got, c.want)
		}
	}
}

// after asks for a look once.
func after(long time.Duration) func(w *watcher) {
	return func(w *watcher) {
		time.Sleep(long) // in the bubble
		w.lookAgain()
	}
}

// flap asks for a look every 2 seconds, as a relay does that comes and goes.
func flap(w *watcher) {
	for range 15 {
		time.Sleep(2 * time.Second) // in the bubble
		w.lookAgain()
	}
}
