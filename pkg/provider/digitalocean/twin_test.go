package digitalocean_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// TestUp_TheSurvivorOfAnOrderThatWasCarriedOutTwiceKeepsItsMarks: two droplets have one
// operation and one host key between them. A tag that is removed from the account is
// removed from both.
func TestUp_TheSurvivorOfAnOrderThatWasCarriedOutTwiceKeepsItsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		must(t, "up", w, fleet.Intent{})
		all := w.cloud.Droplets(token)
		first := all[slices.IndexFunc(all, func(d dotest.Droplet) bool { return tagged(d.Tags, "slot:") == "nyc1-1" })]
		if _, err := w.cloud.AddDroplet(t.Context(), token, dotest.Machine{Name: first.Name, Region: first.Region, Tags: first.Tags}); err != nil {
			t.Fatal(err)
		}
		must(t, "the up that ends the twin", w, fleet.Intent{})
		after := w.cloud.Droplets(token)
		if len(after) != 3 {
			t.Errorf("droplets: got %d, want 3", len(after))
		}
		for _, d := range after {
			if d.ID != first.ID {
				continue
			}
			for _, tag := range first.Tags {
				if !slices.Contains(d.Tags, tag) && !strings.HasPrefix(tag, "hostkey:") {
					t.Errorf("droplet %d lost its tag %s", d.ID, tag)
				}
			}
			if tagged(d.Tags, "hostkey:") == "" {
				t.Errorf("droplet %d has no host key any more: %q", d.ID, d.Tags)
			}
		}
		must(t, "a second up", w, fleet.Intent{})
	})
}

// TestUp_ADropletThatLostItsOperationIsStillARelayOfOurs: somebody tidied the account's tags.
func TestUp_ADropletThatLostItsOperationIsStillARelayOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		must(t, "up", w, fleet.Intent{})
		machines, err := w.backends().Provider.Machines(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.removeTag(t, "op:"+strings.ToLower(machines[0].Op))
		got, err := w.backends().Provider.Machines(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m := got[0]; m.User != fleet.LoginUser || !m.Sudo || m.State != "" {
			t.Errorf("login and state of %s: got %s, sudo %t, %q; want those of a machine that fleetctl ordered", m.Name, m.User, m.Sudo, m.State)
		}
		must(t, "up", w, fleet.Intent{})
	})
}

func (w *world) removeTag(t *testing.T, tag string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://127.0.0.1:1/v2/tags/"+tag, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&wire{w.cloud.Handler(), w.kill}).RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("remove tag %s: %v, %v", tag, resp, err)
	}
}
