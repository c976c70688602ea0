package digitalocean_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
)

// crashCommand is a command that is killed, and the one that goes on from there.
type crashCommand struct {
	name   string
	up     bool // a fleet is up before
	run    func(context.Context, *world) (fleet.Outcome, error)
	resume func(context.Context, *world) (fleet.Outcome, error)
	floor  bool // published relays that serve never fall below the floor
}

func crashCommands() []crashCommand {
	up := func(ctx context.Context, w *world) (fleet.Outcome, error) { return w.converge(ctx, fleet.Intent{}) }
	replace := func(ctx context.Context, w *world) (fleet.Outcome, error) {
		st, err := fleet.Observe(ctx, w.backends(), w.spec)
		if err != nil {
			return fleet.Outcome{}, err
		}
		ids, _ := st.ToReplace("nyc1")
		return w.converge(ctx, fleet.Intent{Replace: ids})
	}
	down := func(ctx context.Context, w *world) (fleet.Outcome, error) {
		return w.converge(ctx, fleet.Intent{Down: true})
	}
	return []crashCommand{
		{name: "up", run: up, resume: up},
		{name: "replace-region", up: true, floor: true, run: replace, resume: func(ctx context.Context, w *world) (fleet.Outcome, error) {
			if rand.IntN(2) == 0 { // up ends what was begun, and so does the same command
				return up(ctx, w)
			}
			w.merge() // it may have been over: then its successor is replaced, with all that it was given
			return replace(ctx, w)
		}},
		{name: "down", up: true, run: down, resume: down},
	}
}

// crashTally is what was found after the kills of one command.
type crashTally struct{ points, twins, orphans, lost, below int }

func (c crashTally) String() string {
	floor := "held"
	if c.below > 0 {
		floor = fmt.Sprintf("broken %d times", c.below)
	}
	return fmt.Sprintf("kill points %d twins %d orphans %d lost %d floor %s", c.points, c.twins, c.orphans, c.lost, floor)
}

// TestCrash_KilledAtAnyRequestOrCommandTheNextRunFindsTheSameFleet kills each command at
// each of its HTTP requests, remote commands and zone writes that have an effect: before
// the effect, and after it with the answer unread. Then it runs again. Under the race
// detector it tries every crashStride-th, from a random one on.
func TestCrash_KilledAtAnyRequestOrCommandTheNextRunFindsTheSameFleet(t *testing.T) {
	for _, c := range crashCommands() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var found crashTally
			for n, more := rand.IntN(crashStride), true; more && !t.Failed(); n += crashStride {
				for _, after := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) { more = crashOnce(t, c, n, after, &found) })
				}
			}
			t.Logf("%s: %s", c.name, found)
			if found.points*crashStride < 40 {
				t.Errorf("%s: only %d kill points were found", c.name, found.points)
			}
			if found.twins+found.orphans+found.lost+found.below > 0 {
				t.Errorf("%s left something behind: %s", c.name, found)
			}
		})
	}
}

// crashOnce kills at the (n+1)th effect. It returns false if the command had no more.
func crashOnce(t *testing.T, c crashCommand, n int, after bool, found *crashTally) (killed bool) {
	w := newWorld(t)
	if c.up {
		must(t, "up", w, fleet.Intent{})
		w.meet()
	}
	if c.floor {
		w.watch = func(what string) { found.below += w.belowFloor(t, what) }
	}
	w.kill.arm(n, after)
	_, err := c.run(t.Context(), w)
	if !w.kill.dead() {
		w.kill.arm(-1, false)
		if err != nil {
			t.Fatalf("kill point %d: %v", n, err)
		}
		return false
	}
	found.points++
	w.kill.arm(-1, false)
	where := fmt.Sprintf("%s, kill point %d (%s), after its effect: %t", c.name, n, w.kill.what, after)
	o, err := c.resume(t.Context(), w)
	if err != nil {
		t.Fatalf("%s: resume: %v", where, err)
	}
	if !o.Settled() {
		t.Fatalf("%s: the resumed run did not settle: %+v %v", where, o.Plan, o.Failures)
	}
	w.watch = nil
	w.count(t, where, found, c.name == "down")
	return true
}

// count adds second droplets of a slot, droplets, records, tags and firewalls that belong
// to nothing, and census entries that nobody knows any more.
func (c *crashTally) add(t *testing.T, where, what string, n *int) {
	t.Helper()
	*n++
	t.Errorf("%s: %s", where, what)
}

func (w *world) count(t *testing.T, where string, found *crashTally, gone bool) {
	t.Helper()
	slots := make(map[string]int)
	for _, d := range w.cloud.Droplets(token) {
		node := tagged(d.Tags, "slot:")
		slots[node]++
		switch {
		case gone || node == "":
			found.add(t, where, fmt.Sprintf("droplet %d %s %q is left", d.ID, d.Name, d.Tags), &found.orphans)
		case slots[node] > 1:
			found.add(t, where, "two droplets for "+node, &found.twins)
		}
	}
	records := w.ours(t)
	want := len(w.spec.Slots())
	if gone {
		want = 0
	}
	if len(records) != want {
		found.add(t, where, fmt.Sprintf("records %q, want %d", records, want), &found.orphans)
	}
	for _, r := range records {
		if !w.serves(r) {
			found.add(t, where, "nobody serves at "+r, &found.orphans)
		}
	}
	if gone {
		if left, err := w.backends().Provider.Leftovers(t.Context()); err != nil || len(left) > 0 {
			found.add(t, where, fmt.Sprintf("left on the account: %q, %v", left, err), &found.orphans)
		}
		return
	}
	for _, peer := range w.lost() {
		found.add(t, where, "nobody knows "+peer+" any more", &found.lost)
	}
}

func tagged(tags []string, prefix string) string {
	for _, tag := range tags {
		if rest, ok := strings.CutPrefix(tag, prefix); ok {
			return rest
		}
	}
	return ""
}

// TestContract_AValidTokenOfAnotherAccountBuysAndWithdrawsNothing: the relays answer,
// although the account lists none of them.
func TestContract_AValidTokenOfAnotherAccountBuysAndWithdrawsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		must(t, "up", w, fleet.Intent{})
		before := w.ours(t)
		w.token = otherToken
		w.cloud.ResetCalls()
		_, err := w.converge(t.Context(), fleet.Intent{})
		var refusal *fleet.Refusal
		if !errors.As(err, &refusal) {
			t.Fatalf("got %v, want a refusal", err)
		}
		for call := range w.cloud.Calls() {
			if !strings.HasPrefix(call, "GET ") {
				t.Errorf("%s was called with the token of another account", call)
			}
		}
		if got := w.ours(t); !slices.Equal(got, before) {
			t.Errorf("records: got %q, want %q", got, before)
		}
	})
}
