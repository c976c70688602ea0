//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// built is a binary of `make build`: what users run, stripped and without the race detector.
func built(b *testing.B, name string) string {
	b.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", name))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		b.Fatalf("%v: run 'make build' first", err)
	}
	return path
}

// BenchmarkVersion is the cost of starting fleetctl at all, against /bin/true in the same run.
func BenchmarkVersion(b *testing.B) {
	program := built(b, "fleetctl")
	spent := func(argv ...string) time.Duration {
		start := time.Now()
		if err := exec.CommandContext(b.Context(), argv[0], argv[1:]...).Run(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	var own, nothing time.Duration
	for b.Loop() {
		own += spent(program, "version")
		nothing += spent("/bin/true")
	}
	b.ReportMetric(own.Seconds()*1e3/float64(b.N), "ms/version")
	b.ReportMetric(nothing.Seconds()*1e3/float64(b.N), "ms/true")
	b.ReportMetric(0, "ns/op")
	for _, name := range []string{"fleetctl", "relay"} {
		info, err := os.Stat(built(b, name))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB-"+name)
	}
}

// BenchmarkUp brings fleets of local relays up, from nothing to verified, and measures
// the resident memory of each relay.
func BenchmarkUp(b *testing.B) {
	for _, n := range []int{3, 50} {
		b.Run(fmt.Sprintf("relays=%d", n), func(b *testing.B) {
			var up time.Duration
			var rss float64
			for b.Loop() {
				took, memory := upOnce(b, n)
				up += took
				rss += memory
			}
			b.ReportMetric(up.Seconds()/float64(b.N), "s/up")
			b.ReportMetric(rss/float64(b.N), "MB/relay")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func upOnce(b *testing.B, n int) (took time.Duration, megabytes float64) {
	b.Helper()
	dir, err := os.MkdirTemp("", "fb-")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	spec := fmt.Sprintf("name: bench\nnodes: [{region: nyc1, count: %d}]\nrelay: {network: /bench}\ndns: {domain: p2p.bench.test, ttl: 1}\nrollout: {healthy_deadline: 2m, drain_timeout: 1s}\n", n)
	if err := os.WriteFile(filepath.Join(dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		b.Fatal(err)
	}
	fleetctl := func(args ...string) []byte {
		c := exec.CommandContext(context.Background(), built(b, "fleetctl"), args...)
		c.Dir, c.Env = dir, append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
		var stderr strings.Builder
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			b.Errorf("fleetctl %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
		return out
	}
	defer fleetctl("down", "--yes", "-q")
	start := time.Now()
	fleetctl("up", "--yes", "-q")
	took = time.Since(start)
	var v statusView
	if err := json.Unmarshal(fleetctl("status", "-o", "json"), &v); err != nil {
		b.Fatal(err)
	}
	for _, r := range v.Relays {
		megabytes += residentMB(b, r.PID)
	}
	return took, megabytes / float64(max(len(v.Relays), 1))
}

// residentMB reads VmRSS (proc(5)), in units of 10^6 bytes.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	b.Fatalf("no VmRSS of process %d", pid)
	return 0
}
