//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/stats"
)

// TestStats_OfAFleet goes through the life of a fleet's telemetry with one fleet, for a
// fleet costs seconds.
func TestStats_OfAFleet(t *testing.T) {
	t.Parallel()
	f := newTestFleet(t)
	f.must(0, "up", "--yes")
	f.met("nyc1-1", 0, 600)
	f.met("fra1-1", 400, 600) // 200 of them are on both
	f.must(0, "up", "--yes")

	f.killedCollectorsLoseAndDoubleNothing(1000)
	f.collectorsRunOneAtATimeAndEndWhenAsked()
	f.historyIsWhatWasCollected(1000)
	f.nobodyIsLeftOutOfAnyOutput()
}

// met makes a node's relay have met n peers, and stops it: the next up starts it again.
func (f *testFleet) met(node string, first, n int) {
	f.t.Helper()
	now := time.Now().Unix()
	entries := make([]stats.CensusEntry, n)
	for i := range entries {
		key := make([]byte, 32)
		binary.BigEndian.PutUint64(key, uint64(first+i+1))
		seen := now - int64(i%48)*3600
		entries[i] = stats.CensusEntry{
			PeerPubkey: base64.StdEncoding.EncodeToString(key), FirstSeenAt: seen - int64(i%20)*86400, LastSeenAt: seen,
			Tier: "edge", AddressType: "ipv4_public", ConnectionCount: 1,
		}
	}
	text, err := json.Marshal(entries)
	if err != nil {
		f.t.Fatal(err)
	}
	f.census(node, text)
}

// census kills a node's relay and leaves it this census.
func (f *testFleet) census(node string, text []byte) {
	f.t.Helper()
	r := f.relay(node)
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		f.t.Fatal(err)
	}
	state := filepath.Join(f.state, "fleetctl", f.name, "boxes", r.Machine, "root", "var", "lib", "relay")
	if err := os.WriteFile(filepath.Join(state, "bootnode-peers.json"), text, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// killedCollectorsLoseAndDoubleNothing kills collectors at moments drawn by seed. What
// comes after them knows every peer once.
func (f *testFleet) killedCollectorsLoseAndDoubleNothing(peers uint64) {
	f.t.Helper()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	var counted uint64
	killed := 0
	for i := range 6 {
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
		c := f.command(ctx, nil, "stats", "collect", "--json")
		var stdout strings.Builder
		c.Stdout = &stdout
		if err := c.Start(); err != nil {
			f.t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.IntN(150*(i+1)))*time.Millisecond, func() { _ = c.Process.Kill() }) // it may have ended
		err := c.Wait()
		timer.Stop()
		cancel()
		switch c.ProcessState.ExitCode() {
		case -1:
			killed++
		case 0:
		default:
			f.t.Fatalf("seed %d: collect: %v", seed, err)
		}
	}
	f.t.Logf("seed %d: %d of 6 collectors were killed", seed, killed)
	var v collectView
	f.decode(f.must(0, "stats", "collect", "--json"), &v)
	counted += v.New
	if v.Answered != 3 || len(v.Unread) != 0 || counted > peers {
		f.t.Errorf("seed %d: %d answered, %v unread, %d new; want 3, none, at most %d", seed, v.Answered, v.Unread, counted, peers)
	}
	if got := f.lifetime(); got.Value == nil || *got.Value != float64(peers) || got.AtLeast {
		f.t.Errorf("seed %d: lifetime: got %+v, want exactly %d", seed, got, peers)
	}
	f.decode(f.must(0, "stats", "collect", "--json"), &v)
	if v.New != 0 || v.Changed != 0 {
		f.t.Errorf("a collection right after: %d new, %d changed; want none", v.New, v.Changed)
	}
}

// lifetime is the newest figure of the history.
func (f *testFleet) lifetime() stats.Figure {
	f.t.Helper()
	var v historyView
	f.decode(f.must(0, "stats", "history", "--metric", "lifetime", "--since", "2d", "--step", "1d", "--json"), &v)
	if len(v.Series) != 1 || len(v.Series[0].Points) == 0 {
		f.t.Fatalf("history: %+v, want one series with points", v)
	}
	points := v.Series[0].Points
	return points[len(points)-1].Figure
}

func (f *testFleet) decode(r result, into any) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), into); err != nil {
		f.t.Fatalf("%v\n%s\n%s", err, r.stdout, r.stderr)
	}
}

// collectorsRunOneAtATimeAndEndWhenAsked starts one in the foreground.
func (f *testFleet) collectorsRunOneAtATimeAndEndWhenAsked() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	c := f.command(ctx, nil, "stats", "collect", "--every", "1s")
	stdout, err := c.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		f.t.Fatal(err)
	}
	line := make([]byte, 4096)
	n, err := stdout.Read(line)
	if err != nil || !strings.Contains(string(line[:n]), "  3 of 3 answered, 0 new peers, ") {
		f.t.Errorf("a round says %q (%v)", line[:n], err)
	}
	second := f.must(exitLocked, "stats", "collect")
	if !strings.Contains(second.stderr, history.ErrLocked.Error()) || !strings.Contains(second.stderr, "hint: ") {
		f.t.Errorf("a second collector says\n%s", second.stderr)
	}
	f.must(0, "stats", "history") // readers are not kept out
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		f.t.Fatal(err)
	}
	for err == nil {
		_, err = stdout.Read(line)
	}
	if err := c.Wait(); err != nil {
		f.t.Errorf("after SIGTERM: %v, want exit 0", err)
	}
}

// historyIsWhatWasCollected looks at every form of it.
func (f *testFleet) historyIsWhatWasCollected(peers int) {
	f.t.Helper()
	csv := f.must(0, "stats", "history", "--metric", "lifetime", "--since", "2d", "--step", "1d", "--tz", "Europe/Berlin", "-o", "csv").stdout
	if !strings.HasPrefix(csv, "at,metric,label,unit,value,at_least,missing,since,error,blurred\n") || !strings.Contains(csv, fmt.Sprintf(",lifetime_unique_peers,,peers,%d,false,,", peers)) {
		f.t.Errorf("CSV:\n%s", csv)
	}
	if !strings.Contains(csv, "T00:00:00+0") {
		f.t.Errorf("days do not begin at midnight in Berlin:\n%s", csv)
	}
	parquet := f.must(0, "stats", "history", "-o", "parquet", "--out", "history.parquet")
	text, err := os.ReadFile(filepath.Join(f.dir, "history.parquet"))
	if err != nil || !strings.HasPrefix(string(text), "PAR1") || parquet.stdout != "" {
		f.t.Errorf("Parquet: %v, begins %.4q, and stdout has %q", err, text, parquet.stdout)
	}
	if table := f.must(0, "stats", "history").stdout; !strings.Contains(table, "LIFETIME") || !strings.Contains(table, fmt.Sprint(peers)) {
		f.t.Errorf("table:\n%s", table)
	}
	if table := f.must(0, "stats", "history", "--metric", "retention").stdout; !strings.Contains(table, "+0W %") {
		f.t.Errorf("retention:\n%s", table)
	}
	if chart := f.must(0, "stats", "chart", "lifetime", "--since", "40d").stdout; !strings.HasPrefix(chart, "Peers ever seen (peers)\n1k │") {
		f.t.Errorf("chart:\n%s", chart)
	}
	f.must(0, "stats", "chart", "lifetime", "-o", "svg", "--out", "lifetime.svg")
	if svg, err := os.ReadFile(filepath.Join(f.dir, "lifetime.svg")); err != nil || !strings.Contains(string(svg), "<svg") {
		f.t.Errorf("SVG: %v, %.100q", err, svg)
	}
	var d diffView
	f.decode(f.must(0, "stats", "diff", "--since", "7d", "--json"), &d)
	if len(d.Changes) == 0 || len(d.Events) == 0 {
		f.t.Errorf("diff: %d changes, %d events; want some of both", len(d.Changes), len(d.Events))
	}
	if rows := f.must(0, "stats", "export", "--anonymous").stdout; strings.Contains(rows, "12D3KooW") || strings.Count(rows, "\n") < 2 {
		f.t.Errorf("export:\n%.300s", rows)
	}
	key := make([]byte, 32)
	binary.BigEndian.PutUint64(key, 1)
	peer := base64.StdEncoding.EncodeToString(key)
	f.must(exitRefused, "stats", "forget", peer)
	var gone forgottenView
	f.decode(f.must(0, "stats", "forget", peer, "--yes", "--json"), &gone)
	if got := f.lifetime(); !gone.Known || got.Value == nil || *got.Value != float64(peers-1) {
		f.t.Errorf("after forget: known %t, lifetime %+v; want true, %d", gone.Known, got, peers-1)
	}
}

// nobodyIsLeftOutOfAnyOutput makes one relay unreachable, one dead and one damaged.
func (f *testFleet) nobodyIsLeftOutOfAnyOutput() {
	f.t.Helper()
	f.census("nyc1-1", []byte(`[{"peer_pubkey": "AAAA`))
	f.must(exitPartial, "up", "--yes") // it says what is damaged
	if err := syscall.Kill(f.relay("sgp1-1").PID, syscall.SIGKILL); err != nil {
		f.t.Fatal(err)
	}
	nodes := []string{"nyc1-1", "fra1-1", "sgp1-1"}
	for _, args := range [][]string{
		{"stats"}, {"stats", "--json"}, {"stats", "--csv"}, {"stats", "collect"}, {"stats", "collect", "--json"}, {"usage"}, {"usage", "--json"}, {"usage", "-o", "csv"},
	} {
		r := f.without("fra1-1", args...)
		if r.code != exitPartial {
			f.t.Errorf("%v: exit %d, want %d\n%s", args, r.code, exitPartial, r.stderr)
		}
		for _, node := range nodes {
			if !strings.Contains(r.stdout, node) && args[len(args)-1] != "collect" {
				f.t.Errorf("%v: stdout does not name %s\n%s", args, node, r.stdout)
			}
			if !strings.Contains(r.stderr, node+": ") {
				f.t.Errorf("%v: stderr does not name %s\n%s", args, node, r.stderr)
			}
		}
		if args[len(args)-1] == "stats" {
			for _, sum := range []string{"lifetime unique peers:       at least 999\n", "lifetime counted in:         the registries, and the history since 20", "connected, sum of relays:    at least ", "relays answering:            1 of 3"} {
				if !strings.Contains(r.stdout, sum) {
					f.t.Errorf("it does not say %q\n%s", sum, r.stdout)
				}
			}
		}
	}
	for _, args := range [][]string{ // what is read from the history
		{"history"}, {"history", "--json"}, {"history", "-o", "csv"}, {"diff", "--since", "7d"}, {"diff", "--since", "7d", "--json"}, {"diff", "--since", "7d", "-o", "csv"},
		{"chart", "active"}, {"chart", "active", "-o", "svg"},
	} {
		r := f.must(0, append([]string{"stats"}, args...)...)
		for _, node := range nodes {
			if !strings.Contains(r.stdout, node) {
				f.t.Errorf("stats %v does not name %s\n%s", args, node, r.stdout)
			}
		}
	}
	if got := f.lifetime(); !got.AtLeast || len(got.Missing) == 0 || got.Value == nil || *got.Value != 999 {
		f.t.Errorf("lifetime: got %+v, want at least 999 and who is missing", got)
	}
}

// without runs fleetctl in this process, where one node's machine is at a port that
// nothing listens at.
func (f *testFleet) without(node string, args ...string) result {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	a := processApp()
	a.stdout, a.stderr, a.in, a.out, a.err = &stdout, &stderr, stream{}, stream{}, stream{}
	a.dir = f.dir
	a.env = func(name string) (string, bool) {
		if name == "XDG_STATE_HOME" {
			return f.state, true
		}
		return os.LookupEnv(name)
	}
	a.wrap = func(b fleet.Backends) fleet.Backends {
		b.Provider = movedAway{b.Provider, node}
		return b
	}
	code := run(f.t.Context(), a, args)
	return result{code, stdout.String(), stderr.String()}
}

// movedAway is a provider that is wrong about one node.
type movedAway struct {
	fleet.Provider
	node string
}

func (p movedAway) Machines(ctx context.Context) ([]fleet.Machine, error) {
	machines, err := p.Provider.Machines(ctx)
	for i := range machines {
		if machines[i].Node == p.node {
			machines[i].Ports.SSH = 1
		}
	}
	return machines, err
}
