package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// eachLine calls what comes next whenever a line is written.
type eachLine struct {
	bytes.Buffer
	next []func()
}

func (w *eachLine) Write(p []byte) (int, error) {
	if len(w.next) > 0 {
		w.next[0]()
		w.next = w.next[1:]
	}
	return w.Buffer.Write(p)
}

// following is an app whose fleet has a state directory and no machine, and what writes
// its fleet.yaml.
func following(t *testing.T) (a *app, stdout *eachLine, stderr *bytes.Buffer, write func(string)) {
	t.Helper()
	a, _, stderr = testApp(t)
	stdout = new(eachLine)
	a.stdout, a.globals.config = stdout, defaultConfig
	a.wrapRunner = func(r sshx.Runner) sshx.Runner { return r }
	a.wrap = func(b fleet.Backends) fleet.Backends {
		b.Provider = listed{}
		return b
	}
	write = func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(a.dir, defaultConfig), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a, stdout, stderr, write
}

// up makes the state directory of the fleet that is described.
func (a *app) up(t *testing.T) string {
	t.Helper()
	spec, err := a.loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := a.openState(spec)
	if err != nil {
		t.Fatal(err)
	}
	return dir.Path()
}

const tailOfSpec = "\ndns: {domain: p2p.later.test}\n"

func TestCollectEvery_GoesByTheSpecOfEachRoundAndKeepsTheLastGoodOne(t *testing.T) {
	a, stdout, stderr, write := following(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	one, two := "name: later\nnodes: [{region: nyc1}]"+tailOfSpec, "name: later\nnodes: [{region: nyc1, count: 2}]"+tailOfSpec
	nothing := func() {}
	stdout.next = []func(){
		func() { write(two) },
		func() { write("name: later\nnods: []" + tailOfSpec) },
		nothing, nothing,
		func() { write(one) },
		cancel,
	}
	write(one)
	a.up(t)
	c, err := a.collector(ctx, patience{box: time.Minute, total: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.rounds(ctx, time.Millisecond), c.close()); err != nil {
		t.Fatal(err)
	}
	var asked []string
	for line := range strings.Lines(stdout.String()) {
		_, rest, _ := strings.Cut(line, "  0 of ")
		n, _, _ := strings.Cut(rest, " answered")
		asked = append(asked, n)
	}
	if got, want := strings.Join(asked, " "), "1 2 2 2 2 1"; got != want {
		t.Errorf("relays asked in each round: got %s, want %s\n%s", got, want, stderr)
	}
	if n := strings.Count(stderr.String(), "nods"); n == 0 || strings.Count(stderr.String(), "is of no use, and the fleet is collected as before") != 1 {
		t.Errorf("a spec that is wrong for three rounds was not told of once:\n%s", stderr)
	}
}

func TestCollectEvery_NeverWritesToAHistoryThatIsGone(t *testing.T) {
	a, stdout, stderr, write := following(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	write("name: later\nnodes: [{region: nyc1}]" + tailOfSpec)
	dir := a.up(t)
	stdout.next = []func(){
		func() { // what down and up do
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
			a.up(t)
		},
		cancel,
	}
	c, err := a.collector(ctx, patience{box: time.Minute, total: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.rounds(ctx, time.Millisecond), c.close()); err != nil {
		t.Fatal(err)
	}
	if c.gone() || !strings.Contains(stderr.String(), "the history is a new one") {
		t.Errorf("gone: %t, want the second round in the new history\n%s", c.gone(), stderr)
	}
}
