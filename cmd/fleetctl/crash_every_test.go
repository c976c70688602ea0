//go:build unix && e2e

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// crashesAtOnce is how many kill points are tried side by side: they mostly wait.
const crashesAtOnce = 4

// TestCrashEvery_EveryKillPointOfEveryCommandOnRealProcesses takes minutes: make e2e runs
// it. CRASH_EVERY=3 tries every third point, from a random one on.
func TestCrashEvery_EveryKillPointOfEveryCommandOnRealProcesses(t *testing.T) {
	stride := 1
	if text := os.Getenv("CRASH_EVERY"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("CRASH_EVERY=%s: want a number from 1", text)
		}
		stride = n
	}
	first := rand.IntN(stride) //nolint:gosec // any point will do
	t.Logf("every %d. kill point, from %d on", stride, first)
	points := 0
	for _, c := range crashCommands() {
		var found crashTally
		for from, more := first, true; more && !t.Failed(); from += crashesAtOnce * stride {
			before := found.points
			t.Run(fmt.Sprintf("%s from %d", c.name, from), func(t *testing.T) {
				for n := from; n < from+crashesAtOnce*stride; n += stride {
					t.Run(fmt.Sprint(n), func(t *testing.T) {
						t.Parallel()
						crashAt(t, c, n, &found)
					})
				}
			})
			more = found.points == before+crashesAtOnce
		}
		t.Logf("%s: %s", c.name, &found)
		points += found.points
		if found.points == 0 && stride == 1 && !t.Failed() {
			t.Errorf("%s was never killed: it proves nothing", c.name)
		}
		if found.twins+found.orphans+found.lost > 0 {
			t.Errorf("%s left something behind: %s", c.name, &found)
		}
	}
	if points == 0 && !t.Failed() {
		t.Error("no command was ever killed: it proves nothing")
	}
}
