//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quickSpec is a fleet of three whose waits are as short as they go.
const quickSpec = `name: %s
nodes:
  - {region: nyc1}
  - {region: fra1}
  - {region: sgp1}
relay: {network: /fleettest, limits: {reservations: 64}}
dns: {domain: p2p.quick.test, ttl: 1, min_relays: 2}
rollout: {min_healthy_time: 0s, healthy_deadline: 30s, drain_timeout: 3s}
`

// testFleet is a fleet of real processes below a directory of the test's own.
type testFleet struct {
	t     *testing.T
	dir   string // where fleet.yaml is
	state string // XDG_STATE_HOME
	name  string
}

// newTestFleet writes the spec; nothing runs yet. Whatever runs later is ended with the test.
func newTestFleet(t *testing.T) *testFleet {
	t.Helper()
	dir, err := os.MkdirTemp("", "ft-")
	if err != nil {
		t.Fatal(err)
	}
	f := &testFleet{t: t, dir: dir, state: filepath.Join(dir, "state"), name: strings.ToLower(filepath.Base(dir))}
	spec := fmt.Sprintf(quickSpec, f.name)
	spec = strings.Replace(spec, "relay: {", "relay: {binary: "+relayBinary(t)+", ", 1)
	if err := os.WriteFile(filepath.Join(dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.end()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return f
}

// end brings the fleet down; a test that failed half-way leaves processes otherwise.
func (f *testFleet) end() {
	if _, err := os.Stat(filepath.Join(f.state, "fleetctl", f.name)); err == nil {
		if r := f.run(nil, "down", "--yes", "--lock-wait", "20s"); r.code != 0 {
			f.t.Errorf("down at the end: exit %d\n%s", r.code, r.stderr)
		}
	}
}

// result is how a fleetctl ended. code is -1 if a signal ended it.
type result struct {
	code           int
	stdout, stderr string
}

// run executes fleetctl in the fleet's directory, as a process of its own.
func (f *testFleet) run(env []string, args ...string) result {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := f.command(ctx, env, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		f.t.Fatalf("fleetctl %s: %v", strings.Join(args, " "), err)
	}
	return result{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (f *testFleet) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "fleetctl", args...) // TestMain put itself there by that name
	c.Dir = f.dir
	c.Env = append(os.Environ(), "XDG_STATE_HOME="+f.state, "XDG_CONFIG_HOME="+filepath.Join(f.dir, "config"), "GORACE=atexit_sleep_ms=0")
	c.Env = append(c.Env, env...)
	c.WaitDelay = 5 * time.Second
	return c
}

// must runs fleetctl and fails the test unless it ends with code.
func (f *testFleet) must(code int, args ...string) result {
	f.t.Helper()
	r := f.run(nil, args...)
	if r.code != code {
		f.t.Fatalf("fleetctl %s: exit %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// status reads `fleetctl status -o json`.
func (f *testFleet) status() statusView {
	f.t.Helper()
	r := f.run(nil, "status", "-o", "json")
	var v statusView
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		f.t.Fatalf("status: exit %d: %v\n%s\n%s", r.code, err, r.stdout, r.stderr)
	}
	return v
}

// relay finds a node in the status.
func (f *testFleet) relay(node string) relayStatus {
	f.t.Helper()
	for _, r := range f.status().Relays {
		if r.Node == node {
			return r
		}
	}
	f.t.Fatalf("status has no %s", node)
	return relayStatus{}
}

// check holds a settled fleet to its spec: three relays that serve, published once each,
// no twin, no orphan, and as many boxes on disk.
func (f *testFleet) check() statusView {
	f.t.Helper()
	v := f.status()
	var nodes, peers []string
	for _, r := range v.Relays {
		nodes = append(nodes, r.Node)
		if !r.Published || !r.Verified || r.State != "serving" || !alive(r.PID) {
			f.t.Errorf("%s: state %q published %t verified %t pid %d", r.Node, r.State, r.Published, r.Verified, r.PID)
		}
		if slices.Contains(peers, r.PeerID) {
			f.t.Errorf("%s: its peer ID is another's, too", r.Node)
		}
		peers = append(peers, r.PeerID)
	}
	if want := []string{"nyc1-1", "fra1-1", "sgp1-1"}; !slices.Equal(nodes, want) {
		f.t.Errorf("relays: got %q, want %q", nodes, want)
	}
	if v.Zone.Records != 3 || len(v.Orphans) != 0 {
		f.t.Errorf("records %d, orphans %v; want 3, none", v.Zone.Records, v.Orphans)
	}
	boxes, err := os.ReadDir(filepath.Join(f.state, "fleetctl", f.name, "boxes"))
	if err != nil || len(boxes) != 3 {
		f.t.Errorf("boxes on disk: got %d (%v), want 3", len(boxes), err)
	}
	return v
}

// pids lists the processes of the fleet's relays.
func (f *testFleet) pids() []int {
	var out []int
	for _, r := range f.status().Relays {
		if r.PID != 0 {
			out = append(out, r.PID)
		}
	}
	return out
}

// gone fails unless nothing is left of the fleet: no directory, no process.
func (f *testFleet) gone(pids []int) {
	f.t.Helper()
	if _, err := os.Stat(filepath.Join(f.state, "fleetctl")); !os.IsNotExist(err) {
		f.t.Errorf("the state directory is still there: %v", err)
	}
	for _, pid := range pids {
		if alive(pid) {
			f.t.Errorf("relay process %d still runs", pid)
		}
	}
}

// alive reports whether a process runs. Signal 0 asks and does nothing.
func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }
