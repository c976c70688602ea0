//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/relayfleet/fleetctl/stats"
)

// hostileBound is how long a command may take about boxes that answer with anything or
// never: the deadlines of a reading, not the patience of a box.
const hostileBound = 60 * time.Second

// TestHostileBoxes_AreNamedAndHarmless takes three boxes over: one talks without end, one
// lies in every field and with terminal escapes, one never answers. Every command that
// reads ends in bounded time, names them, and prints nothing that a terminal obeys.
func TestHostileBoxes_AreNamedAndHarmless(t *testing.T) {
	t.Parallel()
	f := newTestFleet(t)
	f.must(0, "up", "--yes")
	program := filepath.Join(f.dir, "hostile")
	if err := buildShipped("build", "-o", program, "./testdata/hostile"); err != nil {
		t.Fatal(err)
	}
	for node, kind := range map[string]string{"nyc1-1": "endless", "fra1-1": "liar", "sgp1-1": "silent"} {
		f.takeOver(node, kind, program)
	}
	commands := [][]string{
		{"stats"}, {"stats", "--json"}, {"stats", "--csv"}, {"status"}, {"status", "-o", "wide"}, {"status", "-o", "json"},
		{"verify"}, {"doctor"}, {"logs", "fra1-1"}, {"plan"},
	}
	codes := map[string]int{"stats": 3, "status": 0, "verify": 4, "doctor": 3, "logs": 0, "plan": 3}
	results := make([]result, len(commands))
	start := time.Now()
	var all sync.WaitGroup
	for i, args := range commands {
		all.Go(func() { results[i] = f.run(nil, args...) })
	}
	all.Wait()
	if took := time.Since(start); took > hostileBound {
		t.Errorf("took %s, want %s at most", took, hostileBound)
	}
	for i, args := range commands {
		r := results[i]
		name := strings.Join(args, " ")
		if r.code != codes[args[0]] {
			t.Errorf("%s: exit %d, want %d\n%s\n%s", name, r.code, codes[args[0]], r.stdout, r.stderr)
		}
		for stream, text := range map[string]string{"stdout": r.stdout, "stderr": r.stderr} {
			if !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\x07\u202e") || len(text) > 1<<17 {
				t.Errorf("%s: %s is not fit for a terminal: %.300q", name, stream, text)
			}
		}
		for _, node := range []string{"nyc1-1", "fra1-1", "sgp1-1"} {
			if args[0] != "logs" && !strings.Contains(r.stdout+r.stderr, node) {
				t.Errorf("%s: %s is not named\n%s\n%s", name, node, r.stdout, r.stderr)
			}
		}
	}
	var snapshot stats.Snapshot
	if err := json.Unmarshal([]byte(results[1].stdout), &snapshot); err != nil {
		t.Fatalf("stats --json: %v", err)
	}
	if !snapshot.Partial || len(snapshot.Unreachable) != 3 {
		t.Errorf("stats: partial %t, unreachable %v; want all three", snapshot.Partial, snapshot.Unreachable)
	}
	for _, node := range []string{"nyc1-1", "fra1-1", "sgp1-1"} {
		f.silence(node) // so that down need not wait for them
	}
	f.must(exitPartial, "dnsaddr", "sync", "--yes")
	if v := f.must(0, "dnsaddr", "list", "--csv", "--no-header"); strings.Count(v.stdout, "\n") != 3 {
		t.Errorf("records: got\n%s, want all three kept", v.stdout)
	}
}

// takeOver puts another program in the place of a node's relay.
func (f *testFleet) takeOver(node, kind, program string) {
	f.t.Helper()
	r := f.relay(node)
	root := filepath.Join(f.state, "fleetctl", f.name, "boxes", r.Machine, "root")
	if err := os.WriteFile(filepath.Join(root, "var", "lib", "relay", "hostile"), []byte(kind), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		f.t.Fatal(err)
	}
	binary := filepath.Join(root, "opt", "relay", "current", "relay")
	text, err := os.ReadFile(program) //nolint:gosec // just built
	if err == nil {
		err = os.Rename(binary, binary+".was") // it may still be mapped
	}
	if err == nil {
		err = os.WriteFile(binary, text, 0o755) //nolint:gosec // a program
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.must(0, "exec", "--on", node, "--", "systemctl", "start", "relay.service")
}

// silence stops a node's relay, whatever it is.
func (f *testFleet) silence(node string) {
	f.t.Helper()
	f.must(0, "exec", "--on", node, "--", "systemctl", "stop", "relay.service")
}

// TestUp_APortThatSomebodyTookIsNamedWithItsBox occupies the port of a relay that died.
func TestUp_APortThatSomebodyTookIsNamedWithItsBox(t *testing.T) {
	t.Parallel()
	f := newTestFleet(t)
	f.must(0, "up", "--yes")
	old := f.relay("fra1-1")
	if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	port := old.Addresses[0][strings.LastIndex(old.Addresses[0], "/")+1:]
	squatter := f.squat(port)
	r := f.run(nil, "up", "--yes")
	if r.code != exitPartial || !strings.Contains(r.stderr, port) || !strings.Contains(r.stderr, "fra1-1") {
		t.Errorf("up: exit %d, want %d and port %s of fra1-1 named\n%s", r.code, exitPartial, port, r.stderr)
	}
	if now := f.status(); now.Zone.Records != 3 {
		t.Errorf("records: got %d, want 3: nothing is withdrawn for this", now.Zone.Records)
	}
	if err := squatter.Close(); err != nil {
		t.Fatal(err)
	}
	f.must(0, "up", "--yes")
	if now := f.check().Relays[1]; now.PeerID != old.PeerID || fmt.Sprint(now.Addresses) != fmt.Sprint(old.Addresses) {
		t.Errorf("fra1-1: got %s %v, want %s %v", now.PeerID, now.Addresses, old.PeerID, old.Addresses)
	}
}

// squat listens where a relay did, as soon as the system has freed the port.
func (f *testFleet) squat(port string) net.Listener {
	f.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		l, err := (&net.ListenConfig{}).Listen(f.t.Context(), "tcp", "127.0.0.1:"+port)
		if err == nil {
			go answerNothing(l)
			return l
		}
		if time.Now().After(deadline) {
			f.t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// answerNothing closes every connection, until l is closed.
func answerNothing(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.Close() // the other side may have been faster
	}
}
