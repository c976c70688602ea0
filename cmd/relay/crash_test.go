package main

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// body reads one answer.
func (p *process) body(path string) []byte {
	p.t.Helper()
	q, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.api+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != 200 {
		p.t.Fatalf("GET %s = %d %s, %v", path, a.StatusCode, text, err)
	}
	return text
}

func (p *process) telemetry() stats.Telemetry {
	p.t.Helper()
	got, err := stats.ParseTelemetry(p.body("/api/telemetry"))
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

func (p *process) delta(after string) stats.CensusPage {
	p.t.Helper()
	got, err := stats.ParseDelta(bytes.NewReader(p.body("/api/census/delta?after="+after)), time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

// The kill comes before the census is written again, or just after: either is fine.
func TestRun_KilledBetweenTwoCollectionsLosesAndDoublesNothing(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	args := []string{"run", "--state", state, "--listen", "/ip4/127.0.0.1/tcp/0"}
	p := spawn(t, nil, args...)
	user(t, p)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.code()

	p = spawn(t, nil, args...)
	first := p.delta("")
	user(t, p)
	collected, told := p.delta(first.End.Cursor), p.telemetry()
	if len(first.Entries) != 1 || collected.Full || len(collected.Entries) != 1 || told.Counters.Joined != 2 {
		t.Fatalf("before the kill: %d and %d entries, joined %d; want one each, and 2", len(first.Entries), len(collected.Entries), told.Counters.Joined)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended

	p = spawn(t, nil, args...)
	user(t, p)
	after, now := p.delta(collected.End.Cursor), p.telemetry()
	known := map[string]bool{first.Entries[0].PeerPubkey: true, collected.Entries[0].PeerPubkey: true}
	fresh := 0
	for _, e := range after.Entries {
		if !known[e.PeerPubkey] {
			fresh++
		}
	}
	if after.Full || fresh != 1 {
		t.Errorf("after the kill: %+v, want the one that came since: a number stands for one change", after)
	}
	if now.Epoch != told.Epoch || now.Counters.Joined != 3 || now.Counters.Left != 2 {
		t.Errorf("after the kill: epoch %s, joined %d, left %d; want %s, 3, 2", now.Epoch, now.Counters.Joined, now.Counters.Left, told.Epoch)
	}
}
