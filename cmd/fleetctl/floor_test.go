//go:build unix

package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/probe"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/stats"
)

// provenFor is how long a probe that passed counts for the floor.
const provenFor = 5 * time.Minute

// witness looks at a fleet from outside: at the zone every 20 ms, and at every address
// that it ever saw there, again and again.
type witness struct {
	server, name string
	prober       *probe.Prober

	mu      sync.Mutex
	known   map[string]dnsaddr.Addr // by record value
	passed  map[string]time.Time    // last probe that found it serving
	least   int                     // over all samples
	lost    int                     // samples that nobody answered
	atLeast string                  // what the sample of the least saw
	samples int
}

// sample reads the zone once and counts the published records that were proven lately.
func (w *witness) sample(ctx context.Context) error {
	values, _, err := resolve.Values(ctx, w.server, w.name)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	proven := 0
	for _, v := range values {
		a, err := dnsaddr.ParseValue(v)
		if err != nil {
			return err
		}
		w.known[v] = a
		if at, ok := w.passed[v]; ok && time.Since(at) <= provenFor {
			proven++
		}
	}
	w.samples++
	if proven < w.least {
		w.least, w.atLeast = proven, fmt.Sprintf("sample %d: %d published, %d proven ever", w.samples, len(values), len(w.passed))
	}
	return nil
}

// begin counts from here on: everything that is published now has been proven.
func (w *witness) begin(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), provenFor/2)
	defer cancel()
	for err := w.sample(ctx); err != nil || w.prove(ctx) < len(w.known); err = w.sample(ctx) {
		if ctx.Err() != nil {
			t.Fatalf("proven before the replacement: %d of %d published records, and %v", len(w.passed), len(w.known), err)
		}
	}
	w.least, w.samples = len(w.known), 0
}

// prove probes everything that was ever published, once, and says how many records have
// passed a probe so far.
func (w *witness) prove(ctx context.Context) int {
	w.mu.Lock()
	known := make(map[string]dnsaddr.Addr, len(w.known))
	for v, a := range w.known {
		known[v] = a
	}
	w.mu.Unlock()
	var all sync.WaitGroup
	for v, a := range known {
		all.Go(func() {
			if p, err := w.prober.Probe(ctx, a); err == nil && p.Verdict.Verified() {
				w.mu.Lock()
				w.passed[v] = p.At
				w.mu.Unlock()
			}
		})
	}
	all.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.passed)
}

// every calls f again and again until ctx ends, d apart.
func every(ctx context.Context, d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// TestReplaceRegion_AtNoSampleDoTheProvenRecordsFallBelowTheFloor samples the zone every
// 20 ms through a whole replacement, and checks that the census went along.
func TestReplaceRegion_AtNoSampleDoTheProvenRecordsFallBelowTheFloor(t *testing.T) {
	t.Parallel()
	f := newTestFleet(t)
	f.must(0, "up", "--yes")
	f.meet("fra1-1")
	v := f.status()
	w := &witness{
		server: v.Zone.Server, name: v.Zone.Name, prober: probe.New(probe.Config{Version: "test"}),
		known: make(map[string]dnsaddr.Addr), passed: make(map[string]time.Time),
	}
	w.begin(t)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		every(ctx, 20*time.Millisecond, func() {
			if err := w.sample(t.Context()); err != nil {
				t.Logf("no sample: %v", err)
				w.lost++
			}
		})
	})
	watching.Go(func() { every(ctx, 200*time.Millisecond, func() { w.prove(t.Context()) }) })
	old := f.relay("fra1-1").PeerID
	f.must(0, "replace-region", "fra1", "--yes")
	cancel()
	watching.Wait()
	t.Logf("samples %d minimum of proven published records %d floor 2", w.samples, w.least)
	if w.least < 2 || w.samples < 10 || w.lost > w.samples/10 {
		t.Errorf("samples %d, minimum %d (%s), %d without an answer; want many, never below 2, and few without", w.samples, w.least, w.atLeast, w.lost)
	}
	if now := f.relay("fra1-1").PeerID; now == old {
		t.Error("fra1-1 was not replaced")
	}
	f.check()
	var snapshot stats.Snapshot
	if err := json.Unmarshal([]byte(f.must(0, "stats", "--json").stdout), &snapshot); err != nil {
		t.Fatal(err)
	}
	if snapshot.LifetimeUniquePeers == nil || *snapshot.LifetimeUniquePeers != 1 {
		t.Errorf("lifetime unique peers: got %s, want the 1 that the old relay had met", said(snapshot.LifetimeUniquePeers))
	}
}

// meet makes a node's relay know a peer, by a census that is dropped beside its own; it
// is merged at the next start.
func (f *testFleet) meet(node string) {
	f.t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	now := time.Now().Unix()
	text, err := json.Marshal([]map[string]any{{
		"peer_pubkey": base64.StdEncoding.EncodeToString(public), "last_peer_id": f.relay("nyc1-1").PeerID,
		"first_seen_at": now - 60, "last_seen_at": now, "tier": "edge", "address_type": "ipv4_public", "connection_count": 1,
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	r := f.relay(node)
	path := filepath.Join(f.state, "fleetctl", f.name, "boxes", r.Machine, "root", "var", "lib", "relay", "bootnode-peers.import.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		f.t.Fatal(err)
	}
	f.must(0, "up", "--yes")
}
