//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
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

// crashTally is what was found after kills. Add is safe for concurrent use.
type crashTally struct {
	mu                           sync.Mutex
	points, twins, orphans, lost int
}

func (c *crashTally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("kill points %d twins %d orphans %d lost %d", c.points, c.twins, c.orphans, c.lost)
}

// add counts what is there after a kill and the run that went on: second boxes of a
// node, what status calls an orphan, and relays that lost their identity.
func (c *crashTally) add(f *testFleet, before map[string]string) {
	v := f.status()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.points++
	c.orphans += len(v.Orphans)
	seen := make(map[string]bool)
	for _, r := range v.Relays {
		if seen[r.Node] {
			c.twins++
		}
		seen[r.Node] = true
		if old, known := before[r.Node]; known && r.Node != "fra1-1" && old != r.PeerID {
			c.lost++
		}
	}
}

// crashAt kills a command before its (n+1)th side effect, runs again, and checks that
// the fleet is the same as without the kill. It returns false if the command had no more
// than n side effects.
func crashAt(t *testing.T, c crashCommand, n int, found *crashTally) (killed bool) {
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
		found.add(f, nil)
		return true
	}
	f.check()
	found.add(f, before)
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
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	commands := crashCommands()
	var found crashTally
	t.Cleanup(func() {
		t.Logf("seed %d: %s", seed, &found)
		if found.twins+found.orphans+found.lost > 0 {
			t.Errorf("something was left behind: %s", &found)
		}
	})
	for i := range 5 {
		c := commands[i%len(commands)]
		n := rng.IntN(20)
		t.Run(fmt.Sprintf("%s after %d", c.name, n), func(t *testing.T) {
			t.Parallel()
			if !crashAt(t, c, n, &found) {
				t.Errorf("%s had no more than %d side effects (seed %d)", c.name, n, seed)
			}
		})
	}
}
