//go:build unix && !linux

package main

import "testing"

// everyStage reports whether this system has a stage for every section: simulated
// droplets need loopback addresses of their own.
const everyStage = false

func cloudStages() map[string]func(*testing.T) *stage {
	return map[string]func(*testing.T) *stage{}
}
