//go:build unix && e2e

package main

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// crashesAtOnce is how many kill points are tried side by side: they mostly wait.
const crashesAtOnce = 4

// TestCrashEvery_EveryKillPointOfEveryCommandOnRealProcesses takes minutes: make e2e runs it.
func TestCrashEvery_EveryKillPointOfEveryCommandOnRealProcesses(t *testing.T) {
	for _, c := range crashCommands() {
		var points atomic.Int64
		for from, more := 0, true; more && !t.Failed(); from += crashesAtOnce {
			before := points.Load()
			t.Run(fmt.Sprintf("%s from %d", c.name, from), func(t *testing.T) {
				for n := from; n < from+crashesAtOnce; n++ {
					t.Run(fmt.Sprint(n), func(t *testing.T) {
						t.Parallel()
						if crashAt(t, c, n) {
							points.Add(1)
						}
					})
				}
			})
			more = points.Load() == before+crashesAtOnce
		}
		if !t.Failed() {
			t.Logf("%s: kill points %d twins 0 orphans 0 lost 0 floor held", c.name, points.Load())
		}
	}
}
