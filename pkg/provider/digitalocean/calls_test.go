package digitalocean_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// TestCalls_OfCommandsAreBounded counts the requests of whole commands but for polls: what
// looks whether a droplet is there or gone, every five seconds at most.
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
					must(t, c.what, w, c.in)
					total, polls := 0, 0
					for call, times := range w.cloud.Calls() {
						total += times
						if strings.HasPrefix(call, "DELETE /v2/droplets") {
							t.Errorf("%s: got %d of %s, want none", c.what, times, call)
						}
					}
					for _, q := range w.cloud.Requests() {
						if q.Method == "GET" && (strings.Contains(q.Query, "tag_name=") || strings.HasPrefix(q.Path, "/v2/droplets/")) {
							polls++
						}
					}
					t.Logf("%s, %d machines: %d calls and %d polls", c.what, n, total-polls, polls)
					if total-polls > c.calls {
						t.Errorf("%s, %d machines: got %d calls and %d polls %v, want at most %d", c.what, n, total-polls, polls, w.cloud.Calls(), c.calls)
					}
				}
			})
		})
	}
}
