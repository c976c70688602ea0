//go:build unix && e2e

package main

import (
	"fmt"
	"testing"
)

// crashesAtOnce is how many kill points are tried side by side: they mostly wait.
const crashesAtOnce = 4

// TestCrashEvery_EveryKillPointOfEveryCommandOnRealProcesses takes minutes: make e2e runs it.
func TestCrashEvery_EveryKillPointOfEveryCommandOnRealProcesses(t *testing.T) {
	for _, c := range crashCommands() {
		var found crashTally
		for from, more := 0, true; more && !t.Failed(); from += crashesAtOnce {
			before := found.points
			t.Run(fmt.Sprintf("%s from %d", c.name, from), func(t *testing.T) {
				for n := from; n < from+crashesAtOnce; n++ {
					t.Run(fmt.Sprint(n), func(t *testing.T) {
						t.Parallel()
						crashAt(t, c, n, &found)
					})
				}
			})
			more = found.points == before+crashesAtOnce
		}
		t.Logf("%s: %s", c.name, &found)
		if found.twins+found.orphans+found.lost > 0 {
			t.Errorf("%s left something behind: %s", c.name, &found)
		}
	}
}
