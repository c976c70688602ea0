package digitalocean

import (
	"slices"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// By its name alone a droplet would be the node's for as long as nobody renames it.
func TestMachines_ALostSlotIsDriftThatAdjustPutsRight(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.do("DELETE", "/v2/tags/slot:nyc1-1", "")
		want := []fleet.Drift{{Name: "tags", From: "without slot:nyc1-1", To: "with them", Fix: fleet.FixInPlace}}
		if ms := r.list(); len(ms) != 1 || ms[0].Node != "nyc1-1" || !slices.Equal(ms[0].Drift, want) {
			t.Fatalf("got %+v, want nyc1-1 with drift %+v", ms, want)
		}
		must(t, "Adjust", r.provider(nil).Adjust(t.Context(), m.ID))
		if ms := r.list(); len(ms) != 1 || ms[0].Node != "nyc1-1" || len(ms[0].Drift) != 0 || !slices.Contains(r.tags(), "slot:nyc1-1") {
			t.Errorf("got %+v and tags %q, want nyc1-1 without drift, tagged slot:nyc1-1", ms, r.tags())
		}
	})
}

// What has our tag, no slot, and no name of ours is no node: it gets no slot of its name.
func TestAdjust_GivesNoSlotToADropletThatIsNoNode(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		id := r.add("database", "fleet:seabird", "fleetid:7f3a9c")
		must(t, "Adjust", r.provider(nil).Adjust(t.Context(), id))
		if got := r.tags(); slices.ContainsFunc(got, func(tag string) bool { return hasKind(tag, tagSlot) }) {
			t.Errorf("got tags %q, want no slot", got)
		}
	})
}
