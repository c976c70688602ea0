package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone"
)

// scriptCommands are the commands that transcripts have beside testscript's own.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"needs-relay": needsRelay,
		"exits":       exits,
		"interrupt":   interrupt,
		"json":        jsonValue,
		"end":         endProcess,
		"big":         bigFile,
		"foreign":     foreignRecord,
		"wait-for":    waitFor,
	}
}

// needsRelay puts a relay built from this tree into $RELAY and first into $PATH.
func needsRelay(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: needs-relay")
	}
	path, err := binaries.relay()
	ts.Check(err)
	ts.Setenv("RELAY", path)
	ts.Setenv("PATH", filepath.Dir(path)+string(os.PathListSeparator)+ts.Getenv("PATH"))
}

// exits runs a program that must end with exactly this code: exits CODE PROGRAM ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	wantExit(ts, args[0], ts.Exec(args[1], args[2:]...))
}

// wantExit fails the script unless err is that of a process with this exit code.
func wantExit(ts *testscript.TestScript, want string, err error) {
	got := 0
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		got = exited.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("exit code: got %d, want %s", got, want)
	}
}

// interrupt runs a program, sends it SIGINT when a line of its output matches, and
// expects its exit code: interrupt CODE PATTERN PROGRAM ARG...
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt CODE PATTERN PROGRAM ARG...")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, args[2], args[3:]...) //nolint:gosec // what the script says
	c.Dir, c.WaitDelay = ts.MkAbs("."), 5*time.Second
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "USER", "GORACE", "TMPDIR"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	once := sync.OnceFunc(func() { _ = c.Process.Signal(os.Interrupt) }) // it may have ended already: the exit code says so
	stdout, stderr := &watched{pattern: pattern, seen: once}, &watched{pattern: pattern, seen: once}
	c.Stdout, c.Stderr = stdout, stderr
	err = c.Run()
	copyTo(ts, ts.Stdout(), stdout)
	copyTo(ts, ts.Stderr(), stderr)
	wantExit(ts, args[0], err)
}

func copyTo(ts *testscript.TestScript, w io.Writer, from *watched) {
	_, err := w.Write(from.all.Bytes())
	ts.Check(err)
}

// watched keeps what is written and tells when it matches.
type watched struct {
	all     bytes.Buffer
	pattern *regexp.Regexp
	seen    func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.all.Write(p)
	if w.pattern.Match(w.all.Bytes()) {
		w.seen()
	}
	return n, err
}

// jsonValue puts one value of a JSON file into the environment: json NAME FILE KEY...
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: json NAME FILE KEY...")
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[1])))
	decoder.UseNumber()
	var v any
	ts.Check(decoder.Decode(&v))
	for _, key := range args[2:] {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("%s: no element %d", args[1], i)
			}
			v = at[i]
		default:
			ts.Fatalf("%s: nothing below %s", args[1], key)
		}
	}
	if text, ok := v.(string); ok {
		ts.Setenv(args[0], text)
		return
	}
	text, err := json.Marshal(v)
	ts.Check(err)
	ts.Setenv(args[0], string(text))
}

// endProcess ends a process as hard as a power cut, and waits until it is gone.
func endProcess(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: end PID")
	}
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(p.Kill())
}

// bigFile makes a file of this many bytes without writing them: big FILE SIZE.
func bigFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: big FILE SIZE")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path, nil, 0o600))
	ts.Check(os.Truncate(path, size))
}

// foreignRecord puts a record of somebody else into a local zone: foreign FLEET DOMAIN VALUE.
func foreignRecord(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: foreign FLEET DOMAIN VALUE")
	}
	z, err := zone.Open("local", zone.Config{Domain: args[1], Dir: filepath.Join(ts.Getenv("XDG_STATE_HOME"), "fleetctl", args[0], "zone")})
	ts.Check(err)
	record := dnsaddr.Record{Value: args[2], TTL: time.Minute}
	ts.Check(z.Apply(context.Background(), "_dnsaddr."+args[1], dnsaddr.Changes{Add: []dnsaddr.Record{record}}))
}

// waitFor waits until a file is there.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait-for FILE")
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s: it does not appear", args[0])
		}
	}
}

// endFleets takes down what a script left: it may have failed half-way. What down
// cannot end is killed.
func endFleets(env *testscript.Env) {
	owners, err := filepath.Glob(filepath.Join(env.Getenv("XDG_STATE_HOME"), "fleetctl", "*", "owner.json"))
	if err != nil {
		return
	}
	for _, file := range owners {
		var owner struct {
			Spec string `json:"spec"`
		}
		text, err := os.ReadFile(file) //nolint:gosec // the script's own
		if err == nil {
			err = json.Unmarshal(text, &owner)
		}
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			c := exec.CommandContext(ctx, "fleetctl", "down", "--yes", "--quiet", "--lock-wait", "10s", "--config", owner.Spec) //nolint:gosec // as above
			c.Env, c.WaitDelay = env.Vars, time.Second
			_ = c.Run() // what it leaves, for whatever reason, is ended below
			cancel()
		}
		killFleet(filepath.Dir(file))
	}
}

// killFleet ends the processes that the files of a local fleet name.
func killFleet(dir string) {
	units, _ := filepath.Glob(filepath.Join(dir, "boxes", "*", "unit.json")) // the pattern is well formed
	for _, file := range append([]string{filepath.Join(dir, "supervisor.json")}, units...) {
		var named struct {
			Proc struct {
				PID     int32 `json:"pid"`
				Started int64 `json:"started"`
			} `json:"proc"`
		}
		text, err := os.ReadFile(file) //nolint:gosec // as above
		if err != nil || json.Unmarshal(text, &named) != nil || named.Proc.PID <= 1 {
			continue
		}
		p, err := process.NewProcess(named.Proc.PID)
		if err != nil {
			continue // it is gone
		}
		if started, err := p.CreateTime(); err == nil && started == named.Proc.Started {
			_ = p.Kill() // it may be gone by now
		}
	}
}
