package digitalocean_test

import (
	"errors"
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

// TestTwoOperators_TwoUpsAtOnceMakeOneFleet runs two processes, each with a key of its own
// as its state directory has it: no lock is between them, and each slot ends with one droplet.
func TestTwoOperators_TwoUpsAtOnceMakeOneFleet(t *testing.T) {
	const otherKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			errs := make(chan error, 2)
			for _, key := range []string{operatorKey, otherKey} {
				go func() {
					_, err := w.convergeBy(t.Context(), w.backendsOf(key), fleet.Intent{})
					errs <- err
				}()
			}
			// Each may stop because the fleet changed under it; neither may break it.
			for range 2 {
				if err := <-errs; err != nil && !errors.Is(err, fleet.ErrStalePlan) {
					t.Errorf("one of them ended with %v, want success, or a fleet that changed meanwhile", err)
				}
			}
			must(t, "the up that settles it", w, fleet.Intent{})
			var found crashTally
			w.count(t, "two operators", &found, false)
			if n := len(w.cloud.Droplets(token)); n != len(w.spec.Slots()) {
				t.Errorf("droplets: got %d, want %d", n, len(w.spec.Slots()))
			}
			for _, d := range w.cloud.Droplets(token) {
				text, _ := w.boxes.Box(d.ID).File("/home/fleetctl/.ssh/authorized_keys")
				if !strings.Contains(text, operatorKey) {
					t.Errorf("droplet %s: its keys are %q, want that of the last up among them", d.Name, text)
				}
			}
		})
	}
}

// TestUp_WithPartialBuysWhatThereIsRoomForAndALaterOneTheRest is --partial, from the quote to
// the fleet.
func TestUp_WithPartialBuysWhatThereIsRoomForAndALaterOneTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cloud.SetAccount(dotest.Account{Token: token, DropletLimit: 2})
		if _, err := w.converge(t.Context(), fleet.Intent{}); !errors.Is(err, fleet.ErrQuota) {
			t.Errorf("up without room: got error %v, want that the quota is used up", err)
		}
		if n := len(w.cloud.Droplets(token)); n != 0 {
			t.Errorf("up without room: got %d droplets, want none: all or nothing", n)
		}
		b, in := w.backends(), w.intent(fleet.Intent{})
		st, err := fleet.Observe(t.Context(), b, w.spec)
		if err != nil {
			t.Fatal(err)
		}
		if st, err = fleet.WithQuote(t.Context(), b, w.spec, st, fleet.Diff(w.spec, st, in)); err != nil {
			t.Fatal(err)
		}
		if in, err = in.Fit(st.Quote.Value, true); err != nil {
			t.Fatalf("Fit: %v", err)
		}
		o, err := fleet.Converge(t.Context(), b, w.spec, in, st, fleet.Diff(w.spec, st, in), nil)
		if err != nil || o.Settled() {
			t.Errorf("up with --partial: got error %v and settled %t, want none, and one node that waits for room", err, o.Settled())
		}
		if n := len(w.ours(t)); n != 2 {
			t.Errorf("up with --partial: got %d relays published, want 2", n)
		}
		w.cloud.SetAccount(dotest.Account{Token: token, DropletLimit: 3})
		must(t, "up with room for all", w, fleet.Intent{})
		if n := len(w.ours(t)); n != 3 {
			t.Errorf("up with room for all: got %d relays published, want 3", n)
		}
	})
}
