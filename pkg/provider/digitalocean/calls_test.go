package digitalocean_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// polls counts the lists by tag that come five seconds or more after the one before: those
// that only wait. Every other request is a call.
type polls struct {
	mu   sync.Mutex
	last time.Time
	n    int
}

func (p *polls) around(_ int, r *http.Request, _ func()) bool {
	if r.Method == http.MethodGet && r.URL.Query().Has("tag_name") {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.last.IsZero() && time.Since(p.last) >= 5*time.Second {
			p.n++
		}
		p.last = time.Now()
	}
	return true
}

// TestCalls_OfCommandsAreBounded counts the requests of whole commands, polls apart.
func TestCalls_OfCommandsAreBounded(t *testing.T) {
	for _, n := range []int{1, 3, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cloud.SetAccount(dotest.Account{Token: token, DropletLimit: 100})
				w.spec.Nodes = []fleet.NodeSpec{{Region: "nyc1", Count: n}}
				w.spec.DNS.MinRelays, w.spec.Ocean.MaxMachines = 1, 2*n
				for _, c := range []struct {
					what  string
					in    fleet.Intent
					calls int
				}{
					{"up of new machines", fleet.Intent{}, 5*n + 30},
					{"up with nothing to do", fleet.Intent{}, 8},
				} {
					w.cloud.ResetCalls()
					waits := &polls{}
					w.cloud.Around(waits.around)
					must(t, c.what, w, c.in)
					total := 0
					for call, times := range w.cloud.Calls() {
						total += times
						if strings.HasPrefix(call, "DELETE /v2/droplets") {
							t.Errorf("%s: got %d of %s, want none", c.what, times, call)
						}
					}
					w.cloud.Around(nil)
					total -= waits.n
					t.Logf("%s, %d machines: %d calls and %d polls", c.what, n, total, waits.n)
					if total > c.calls {
						t.Errorf("%s, %d machines: got %d calls and %d polls %v, want at most %d", c.what, n, total, waits.n, w.cloud.Calls(), c.calls)
					}
				}
			})
		})
	}
}
