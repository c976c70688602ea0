package host_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/stats"
)

const life = "0123456789abcdef0123456789abcdef"

// telling is a relay's telemetry and census, as its API answers.
type telling struct {
	mu    sync.Mutex
	t     stats.Telemetry
	pages map[string]string // by cursor
	asked []string          // queries
}

// tells routes both endpoints of a box, whose minute is one ago.
func tells(t *testing.T, box *hosttest.FakeBox) *telling {
	t.Helper()
	d := &telling{
		t:     someTelemetry(box.PeerID()),
		pages: map[string]string{"": page(t, true, life+"-2", false, "AAE=", "AAI="), life + "-2": page(t, false, life+"-2", false)},
	}
	box.Route("/api/telemetry", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked = append(d.asked, r.URL.RequestURI())
		compressed(w, d.t)
	})
	box.Route("/api/census/delta", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked = append(d.asked, r.URL.RequestURI())
		text, ok := d.pages[r.URL.Query().Get("after")]
		if !ok {
			http.Error(w, `{"error":"no cursor"}`, http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(text))
	})
	return d
}

// someTelemetry is that of a relay that two users joined, with one minute.
func someTelemetry(peerID string) stats.Telemetry {
	now := time.Now().Unix()
	none := map[string]uint64{}
	return stats.Telemetry{
		PeerID: peerID, Now: now, StartedAt: now - 100, Epoch: life, Registry: life, Cursor: life + "-2",
		Counters: stats.Counters{
			Joined: 2, RefusedReserve: none, RefusedCircuit: none, SessionLengths: make([]uint64, 8),
			ByTransport: none, ByFamily: none, ByAgent: none, ByVersion: none, ByTier: none,
		},
		Gauges: stats.Gauges{Users: 1, NATStatus: "public"}, Minutes: [][2]int64{{now - now%60 - 60, 1}}, Damaged: []string{},
	}
}

func (d *telling) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func compressed(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_ = json.NewEncoder(z).Encode(v)
	_ = z.Close()
}

// page is an answer with an entry for each key.
func page(t *testing.T, full bool, cursor string, more bool, keys ...string) string {
	t.Helper()
	var b strings.Builder
	out := json.NewEncoder(&b)
	lines := []any{stats.Delta{Registry: life, Full: full}}
	for _, key := range keys {
		lines = append(lines, stats.CensusEntry{PeerPubkey: key, FirstSeenAt: 1, LastSeenAt: 2, Transport: "tcp", Agent: "x/1"})
	}
	for _, line := range append(lines, stats.DeltaEnd{Cursor: cursor, Entries: len(keys), More: more}) {
		if err := out.Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func keysOf(entries []stats.CensusEntry) string {
	var keys []string
	for _, e := range entries {
		keys = append(keys, e.PeerPubkey)
	}
	return strings.Join(keys, " ")
}

func TestCollect_ReadsTelemetryAndTheCensusAndThenWhatIsNew(t *testing.T) {
	_, box, m, h := serving(t)
	d := tells(t, box)
	first := h.Collect(t.Context(), m, "")
	if first.Err != nil || len(first.Warnings) != 0 || first.Old || first.At.IsZero() || first.PeerID != box.PeerID() {
		t.Fatalf("Collect = %+v, want a reading without errors", first)
	}
	if first.Telemetry == nil || first.Telemetry.Counters.Joined != 2 || keysOf(first.Delta) != "AAE= AAI=" || !first.DeltaFull || first.Delta[0].Agent != "x/1" {
		t.Errorf("Collect = %+v, want telemetry and the whole census", first)
	}
	second := h.Collect(t.Context(), m, first.Cursor)
	if second.Err != nil || second.Delta == nil || len(second.Delta) != 0 || second.DeltaFull {
		t.Errorf("Collect of what is new = %+v, want nothing, and that it was read", second)
	}
	since := d.t.Minutes[0][0] + 60
	d.set(func() {
		for _, want := range []string{"/api/census/delta?after=" + life + "-2", fmt.Sprintf("/api/telemetry?since=%d", since)} {
			if got := strings.Join(d.asked, "\n"); !strings.Contains(got, want) {
				t.Errorf("asked %s\nwant %s: the cursor goes back to where it came from", got, want)
			}
		}
	})
	if second.Cursor != first.Cursor {
		t.Errorf("cursor %s after nothing, want %s", second.Cursor, first.Cursor)
	}
}

func TestCollect_PagesArePutTogether(t *testing.T) {
	_, box, m, h := serving(t)
	d := tells(t, box)
	for name, c := range map[string]struct {
		pages        map[string]string
		keys, cursor string
		full         bool
		err          string
	}{
		"two pages": {
			pages: map[string]string{"": page(t, true, life+"-1", true, "AAE="), life + "-1": page(t, false, life+"-2", false, "AAI=")},
			keys:  "AAE= AAI=", cursor: life + "-2", full: true,
		},
		"the census began again in between": {
			pages: map[string]string{"": page(t, true, life+"-1", true, "AAE="), life + "-1": page(t, true, life+"-2", false, "AAI=")},
			keys:  "AAI=", cursor: life + "-2", full: true,
		},
		"the second is cut off": {
			pages: map[string]string{"": page(t, true, life+"-1", true, "AAE="), life + "-1": strings.TrimSuffix(page(t, false, life+"-2", true, "AAI="), "}\n")},
			keys:  "AAE= AAI=", cursor: life + "-1", full: true, err: "cut off",
		},
		"the second is refused": {
			pages: map[string]string{"": page(t, true, life+"-1", true, "AAE=")},
			keys:  "AAE=", cursor: life + "-1", full: true, err: "status 400",
		},
		"pages without end": {
			pages: map[string]string{"": page(t, true, life+"-1", true, "AAE="), life + "-1": page(t, false, life+"-1", true, "AAI=")},
			keys:  "AAE= AAI=", cursor: life + "-1", full: true, err: "pages without end",
		},
	} {
		d.set(func() { d.pages = c.pages })
		got := h.Collect(t.Context(), m, "")
		cursor, _, _ := strings.Cut(got.Cursor, "@")
		if keysOf(got.Delta) != c.keys || got.DeltaFull != c.full || cursor != c.cursor {
			t.Errorf("%s: %q full %t cursor %s, want %q full %t cursor %s", name, keysOf(got.Delta), got.DeltaFull, cursor, c.keys, c.full, c.cursor)
		}
		if c.err == "" && got.Err != nil || c.err != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), c.err)) {
			t.Errorf("%s: Err = %v, want %q", name, got.Err, c.err)
		}
	}
}

func TestCollect_AnOldRelayIsReadThroughItsFilesAndMarked(t *testing.T) {
	fake, box, m, h := serving(t)
	counted(t, box)
	put(t, fake, m, host.CensusFile, census("AAE=", 3, 1, 2))
	got := h.Collect(t.Context(), m, life+"-7@60")
	if got.Err != nil || !got.Old || got.Report == nil || got.Census == nil || len(got.Registry) != 1 {
		t.Errorf("Collect = %+v, want report, census and register, marked as old", got)
	}
	if got.Telemetry != nil || got.Delta != nil || got.Cursor != "" {
		t.Errorf("Collect = %+v, want no telemetry, delta or cursor", got)
	}
}

func TestCollect_WhatCannotBeReadIsMissingAndNamed(t *testing.T) {
	const held = life + "-2@60"
	for name, c := range map[string]struct {
		spoil                      func(*testing.T, *hosttest.Fake, *hosttest.FakeBox, *telling)
		telemetry, delta, register bool
		err, warning               string
		broken                     bool
	}{
		"a dead daemon": {
			spoil:    func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox, _ *telling) { b.Kill() },
			register: true, err: "refused",
		},
		"an unreachable box": {
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox, _ *telling) {
				b.Unreachable(&sshx.TransportError{Op: "dial", Err: errors.New("no route to host")})
			},
			err: "no route",
		},
		"a telemetry that makes no sense": {
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox, _ *telling) {
				b.Route("/api/telemetry", says(200, `{"peer_id":7}`))
			},
			delta: true, err: "telemetry:",
		},
		"a telemetry without end": {
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox, _ *telling) {
				b.Route("/api/telemetry", endless)
			},
			delta: true, err: "larger than allowed",
		},
		"a delta that is refused": {
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox, _ *telling) {
				b.Route("/api/census/delta", says(503, `{"error":"too many requests in flight"}`))
			},
			telemetry: true, register: true, err: "status 503",
		},
		"a delta without end": {
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox, _ *telling) {
				b.Route("/api/census/delta", endless)
			},
			telemetry: true, register: true, err: "delta:",
		},
		"a delta that is none": {
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox, _ *telling) {
				b.Route("/api/census/delta", says(200, "<html>\n"))
			},
			telemetry: true, register: true, err: "delta:", broken: true,
		},
		"a delta that is cut off": {
			spoil: func(t *testing.T, _ *hosttest.Fake, _ *hosttest.FakeBox, d *telling) {
				d.set(func() { d.pages[life+"-2"] = strings.TrimSuffix(page(t, false, life+"-3", false, "AAE="), "}\n") })
			},
			telemetry: true, delta: true, err: "cut off",
		},
		"a delta that is refused, and a damaged register": {
			spoil: func(t *testing.T, f *hosttest.Fake, b *hosttest.FakeBox, _ *telling) {
				b.Route("/api/census/delta", says(503, `{"error":"too many requests in flight"}`))
				put(t, f, machine(22), host.CensusFile, `{"half":`)
			},
			telemetry: true, err: "status 503", warning: host.CensusFile, broken: true,
		},
		"a damaged row": {
			spoil: func(t *testing.T, _ *hosttest.Fake, _ *hosttest.FakeBox, d *telling) {
				d.set(func() { d.pages[life+"-2"] = page(t, false, life+"-3", false, "AAE=", "?") })
			},
			telemetry: true, delta: true, warning: "1 of 2 entries are damaged: line 3",
		},
		"another relay at the tunnel": {
			spoil: func(_ *testing.T, _ *hosttest.Fake, _ *hosttest.FakeBox, d *telling) {
				d.set(func() { d.t.PeerID = otherPeer })
			},
			register: true, err: "another relay answered",
		},
		"a clock that is wrong": { // whoever adds up says so
			spoil: func(_ *testing.T, _ *hosttest.Fake, _ *hosttest.FakeBox, d *telling) {
				d.set(func() { d.t.Now += 7200 })
			},
			telemetry: true, delta: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake, box, m, h := serving(t)
			d := tells(t, box)
			put(t, fake, m, host.CensusFile, census("AAE=", 3, 1, 2))
			c.spoil(t, fake, box, d)
			got := h.Collect(t.Context(), m, held)
			if (got.Telemetry != nil) != c.telemetry || (got.Delta != nil) != c.delta || (got.Registry != nil) != c.register || got.Old {
				t.Errorf("Collect has telemetry %t, delta %t, register %t, old %t; want %t, %t, %t, false",
					got.Telemetry != nil, got.Delta != nil, got.Registry != nil, got.Old, c.telemetry, c.delta, c.register)
			}
			if c.err == "" && got.Err != nil || c.err != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), c.err)) {
				t.Errorf("Err = %v, want %q", got.Err, c.err)
			}
			if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, c.warning) {
				t.Errorf("Warnings = %q, want %q", said, c.warning)
			}
			if want := strings.Count(c.warning, "damaged"); got.LeftOut != want {
				t.Errorf("LeftOut = %d, want %d", got.LeftOut, want)
			}
			if (got.Broken != nil) != c.broken {
				t.Errorf("Broken = %v, want one: %t", got.Broken, c.broken)
			}
			if c.register && got.Cursor != held {
				t.Errorf("Cursor = %q, want the one that was given, %q: nothing was read after it", got.Cursor, held)
			}
		})
	}
}

func TestCollect_AHungDaemonCostsItsDeadlineAndTheRegisterIsRead(t *testing.T) {
	fake, _, m, _ := serving(t)
	put(t, fake, m, host.CensusFile, census("AAE=", 3, 1, 2))
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: fake, Tunnel: stuck{fake}})
		got := h.Collect(t.Context(), m, "")
		if got.Err == nil || len(got.Registry) != 1 || got.Took > 15*time.Second {
			t.Errorf("Collect = %+v, want the register and an error at the API's deadline of 10 s", got)
		}
	})
}

func TestCollect_MinutesAreAskedForAgainAfterAClockWasSetBack(t *testing.T) {
	_, box, m, h := serving(t)
	d := tells(t, box)
	var minute int64
	d.set(func() { minute = d.t.Now - d.t.Now%60; d.t.Minutes = [][2]int64{} })
	got := h.Collect(t.Context(), m, fmt.Sprintf("%s-2@%d", life, minute+6000))
	if want := fmt.Sprintf("%s-2@%d", life, minute); got.Cursor != want {
		t.Errorf("Cursor = %q, want %q: minutes from the relay's now on", got.Cursor, want)
	}
}

func TestCollect_TheTelemetryIsOfWhenItArrivedAndNotOfTheEndOfALongCensus(t *testing.T) {
	fake, box, m, _ := serving(t)
	tells(t, box)
	whole := page(t, true, life+"-2", false, "AAE=")
	box.Route("/api/census/delta", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(whole[:40]))
		_ = http.NewResponseController(w).Flush()
		<-time.After(50 * time.Second)
		_, _ = w.Write([]byte(whole[40:]))
	})
	synctest.Test(t, func(t *testing.T) {
		got := host.New(host.Config{Runner: fake, Tunnel: fake}).Collect(t.Context(), m, "")
		if got.Err != nil || got.Took < 50*time.Second || got.Answered.Before(got.At) || got.Answered.Sub(got.At) > time.Second {
			t.Errorf("answered after %s of %s, %v; want the telemetry at once, and the census after 50 s", got.Answered.Sub(got.At), got.Took, got.Err)
		}
	})
}
