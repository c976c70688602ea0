package main

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// listed is a provider that lists machines.
type listed struct {
	fleet.Provider
	machines []fleet.Machine
}

func (l listed) Machines(context.Context) ([]fleet.Machine, error) { return l.machines, nil }

func TestStats_HungBoxesCostTheirDeadlineOnceAndTheOthersAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machines := []fleet.Machine{{Node: "off-1", Status: fleet.StatusStopped}}
		for _, node := range []string{"hung-1", "hung-2", "hung-3", "well-1"} {
			machines = append(machines, fleet.Machine{Node: node, Status: fleet.StatusRunning})
		}
		s := &session{b: fleet.Backends{Provider: listed{machines: machines}}}
		began := time.Now()
		readings, err := s.readings(t.Context(), patience{box: time.Minute, total: 5 * time.Minute}, func(ctx context.Context, m fleet.Machine) stats.Reading {
			r := stats.Reading{Node: m.Node}
			if strings.HasPrefix(m.Node, "hung") {
				<-ctx.Done()
				r.Err = ctx.Err()
			}
			return r
		})
		if took := time.Since(began); err != nil || took != time.Minute {
			t.Errorf("took %s (%v), want a minute for three hung boxes", took, err)
		}
		for i, want := range []string{"the machine is ", "no answer within 1m0s", "no answer within 1m0s", "no answer within 1m0s", ""} {
			got := ""
			if readings[i].Err != nil {
				got = readings[i].Err.Error()
			}
			if readings[i].Node != machines[i].Node || (want == "") != (got == "") || !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %q, want %q", machines[i].Node, got, want)
			}
		}
	})
}

func TestStats_TheDeadlineForAllEndsThemAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var machines []fleet.Machine
		for range 3 * statsParallel {
			machines = append(machines, fleet.Machine{Node: "hung-1", Status: fleet.StatusRunning})
		}
		s := &session{b: fleet.Backends{Provider: listed{machines: machines}}}
		began := time.Now()
		readings, err := s.readings(t.Context(), patience{box: time.Minute, total: 90 * time.Second}, func(ctx context.Context, m fleet.Machine) stats.Reading {
			<-ctx.Done()
			return stats.Reading{Node: m.Node, Err: ctx.Err()}
		})
		if took := time.Since(began); err != nil || took != 90*time.Second || len(readings) != len(machines) {
			t.Errorf("took %s (%v), %d readings; want 90s and %d", took, err, len(readings), len(machines))
		}
		if last := readings[len(readings)-1]; last.Err == nil || !strings.Contains(last.Err.Error(), "it was not asked") {
			t.Errorf("the last one: got %v, want that it was not asked", last.Err)
		}
	})
}

func TestStats_BarsStandBehindSumsOnATerminalThatCan(t *testing.T) {
	one, two := uint64(7), 3.0
	v := statsView{Snapshot: stats.Snapshot{LifetimeUniquePeers: &one, Relays: []stats.RelayRow{{Status: stats.StatusUnreachable}}}, past: map[string][]*float64{"lifetime_unique_peers": {&two, nil, &two}}}
	for graphic, want := range map[bool]string{true: "at least 7  ", false: "at least 7\n"} {
		var out strings.Builder
		if err := render.Write(&out, v, render.Options{Graphic: graphic}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "█ █") != graphic {
			t.Errorf("graphic %t: got\n%s", graphic, out.String())
		}
	}
}

func TestStats_AHistoryOfANewerVersionIsLeftAlone(t *testing.T) {
	a, stdout, stderr := testApp(t)
	spec := "name: later\nnodes: [{region: nyc1}]\ndns: {domain: p2p.later.test}\n"
	if err := os.WriteFile(filepath.Join(a.dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), a, []string{"stats", "import", "fleet.yaml"}); code == exitOK {
		t.Fatalf("a spec was imported as CSV: %s", stdout)
	}
	files, err := filepath.Glob(filepath.Join(a.dir, ".local", "state", "fleetctl", "later", history.FileName))
	if err != nil || len(files) != 1 {
		t.Fatalf("history: %v (%v)\n%s", files, err, stderr)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(text[60:], 9999) // SQLite's user_version
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"stats", "history"}, {"stats", "diff"}, {"stats", "chart", "lifetime"}, {"stats", "forget", "12D3KooWA6LSqJ6GqbQzQuirHvNk8AMBpyYGUbttinCaJfaj588J", "--yes"}} {
		stderr.Reset()
		if code := run(t.Context(), a, args); code != exitError || !strings.Contains(stderr.String(), history.ErrNewer.Error()) || !strings.Contains(stderr.String(), "hint: use the fleetctl that wrote it") {
			t.Errorf("%v: exit %d\n%s", args, code, stderr)
		}
	}
	if now, err := os.ReadFile(files[0]); err != nil || string(now) != string(text) {
		t.Errorf("the file was changed (%v)", err)
	}
}

func TestStats_WhatAnAgentCallsItselfReachesNeitherATerminalNorASpreadsheet(t *testing.T) {
	seven := 7.0
	v := historyView{Series: []stats.Series{{
		Metric: "peers_by_agent", Label: "=cmd|' /C calc'!A1\x1b[2J\u202e", Unit: "peers",
		Points: []stats.Point{{At: time.Unix(0, 0).UTC(), Figure: stats.Figure{Value: &seven, AtLeast: true, Missing: []string{"=nyc1\x1b[2J"}}}},
	}}}
	for _, form := range []render.Format{render.FormatTable, render.FormatCSV, render.FormatJSON, render.FormatYAML} {
		var out strings.Builder
		if err := render.Write(&out, v, render.Options{Format: form}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(out.String(), "\x1b\u202e") {
			t.Errorf("%s: %q", form, out.String())
		}
		if form == render.FormatCSV && (!strings.Contains(out.String(), ",'=cmd|") || !strings.Contains(out.String(), ",'=nyc1")) {
			t.Errorf("a formula is left: %s", out.String())
		}
	}
}

func TestSpan_ReadsDaysAndWeeksAndRefusesTheRest(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "4w": 672 * time.Hour, "90m": 90 * time.Minute, "1d12h": 36 * time.Hour} {
		var s span
		if err := s.Set(text); err != nil || time.Duration(s) != want {
			t.Errorf("%s: got %s (%v), want %s", text, time.Duration(s), err, want)
		}
	}
	for _, text := range []string{"", "0d", "-1d", "d", "30", "30 d", "1.5d", "1y", "99999999999999999999d", "999999999w", "１d", "1d\x1b"} {
		var s span
		if err := s.Set(text); err == nil || s != 0 {
			t.Errorf("%q: got %s, want an error", text, time.Duration(s))
		}
	}
}

func TestReasonOf_IsTheFirstThatIsKnown(t *testing.T) {
	lost := errors.New("lost")
	for want, r := range map[string]stats.Reading{
		"lost": {Err: lost, Warnings: []string{"w"}}, "w": {Warnings: []string{"w"}},
		"torn": {Telemetry: &stats.Telemetry{Damaged: []string{"torn"}}, Warnings: []string{"w"}},
	} {
		if got := reasonOf(r); got == nil || got.Error() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	if got := reasonOf(stats.Reading{}); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}
