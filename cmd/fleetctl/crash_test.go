//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// crashCommand is a command that is killed, and the one that goes on from there.
type crashCommand struct {
	name   string
	args   []string
	resume []string
	up     bool // a fleet is up before
}

func crashCommands() []crashCommand {
	return []crashCommand{
		{name: "up", args: []string{"up", "--yes"}, resume: []string{"up", "--yes"}},
		{name: "replace-region", args: []string{"replace-region", "fra1", "--yes"}, resume: []string{"up", "--yes"}, up: true},
		{name: "down", args: []string{"down", "--yes"}, resume: []string{"down", "--yes"}, up: true},
	}
}

// crashAt kills a command before its (n+1)th side effect, runs again, and checks that
// the fleet is the same as without the kill. It returns false if the command had no more
// than n side effects.
func crashAt(t *testing.T, c crashCommand, n int) (killed bool) {
	t.Helper()
	f := newTestFleet(t)
	var before map[string]string
	var pids []int
	if c.up {
		f.must(0, "up", "--yes")
		before = f.peers()
		pids = f.pids()
	}
	r := f.run([]string{fmt.Sprintf("%s=%d", killAfter, n)}, c.args...)
	if r.code == 0 {
		return false
	}
	if r.code != -1 {
		t.Fatalf("%s, kill point %d: exit %d instead of the kill\n%s", c.name, n, r.code, r.stderr)
	}
	if again := f.run(nil, c.resume...); again.code != 0 {
		t.Fatalf("%s, kill point %d: then %v: exit %d\n%s", c.name, n, c.resume, again.code, again.stderr)
	}
	if c.name == "down" {
		f.gone(pids)
		return true
	}
	f.check()
	for node, peer := range f.peers() {
		if old, known := before[node]; known && node != "fra1-1" && old != peer {
			t.Errorf("%s, kill point %d: %s lost its identity", c.name, n, node)
		}
	}
	return true
}

// peers lists the peer ID of each node.
func (f *testFleet) peers() map[string]string {
	out := make(map[string]string)
	for _, r := range f.status().Relays {
		out[r.Node] = r.PeerID
	}
	return out
}

// TestCrash_RealProcessesKilledAtFivePointsDrawnBySeed kills real commands on real boxes.
// make e2e tries every point.
func TestCrash_RealProcessesKilledAtFivePointsDrawnBySeed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	commands := crashCommands()
	for i := range 5 {
		c := commands[i%len(commands)]
		n := rng.IntN(20)
		t.Run(fmt.Sprintf("%s after %d", c.name, n), func(t *testing.T) {
			t.Parallel()
			if !crashAt(t, c, n) {
				t.Errorf("%s had no more than %d side effects (seed %d)", c.name, n, seed)
			}
		})
	}
	t.Logf("seed %d: kill points 5 twins 0 orphans 0 lost 0 floor held, unless a line above says otherwise", seed)
}
