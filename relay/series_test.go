package relay

import (
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	dto "github.com/prometheus/client_model/go"
)

// scraped are the counters of ours in /metrics, those of all labels together.
func scraped(t testing.TB, r *Relay) map[string]float64 {
	t.Helper()
	families, err := r.gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetType() == dto.MetricType_COUNTER && strings.HasPrefix(f.GetName(), "relay_") {
				got[f.GetName()] += m.GetCounter().GetValue()
			}
		}
	}
	return got
}

// Prometheus takes a counter that fell for one that began again at 0, and counts all of it
// a second time.
func TestMetrics_CountersNeverFallAndBeginAgainWithTheProcess(t *testing.T) {
	cfg := loopback(t)
	r := idle(t, cfg)
	now := time.Now()
	join := func(n int) (joined []peer.ID) {
		for range n {
			p, _ := someone(t)
			desk{r.ledger, r.archive}.user(t, p, now)
			r.ledger.granted(p, now.Add(time.Hour), now)
			r.ledger.granted(p, now.Add(2*time.Hour), now)
			r.ledger.circuitOpened(p, now)
			r.ledger.refused(p, connectRequest, "NO_RESERVATION", now)
			r.ledger.refused(p, reserveRequest, "PERMISSION_DENIED", now)
			r.ledger.bytes.Add(10)
			r.ledger.ownBytes.Add(10)
			joined = append(joined, p)
		}
		return joined
	}
	first := join(5)
	r.ledger.disconnected(first[0], now)
	before := scraped(t, r)
	if len(before) != 10 {
		t.Fatalf("got %d counters, want 10: %v", len(before), before)
	}
	for name, v := range before {
		if v == 0 {
			t.Errorf("%s = 0, want what was done", name)
		}
	}
	r.ledger.setFleet(first[1:3]) // they were no users
	for name, v := range scraped(t, r) {
		if v < before[name] {
			t.Errorf("with a fleet relay that was taken for a user: %s fell from %v to %v", name, before[name], v)
		}
	}

	if err := r.archive.flush(now); err != nil {
		t.Fatal(err)
	}
	join(2) // is not written
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = idle(t, cfg) // after kill -9
	for name, v := range scraped(t, r) {
		if v != 0 {
			t.Errorf("in a new process: %s = %v, want 0: less than before is a reset to 0", name, v)
		}
	}
}
