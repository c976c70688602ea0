package digitalocean

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

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

// One click takes the fleet's name off all droplets. What says that they are ours says also
// which node each one is, and adopt gives them the name back and nothing else.
func TestAdopt_GivesADropletOfOursTheNameBackThatItLost(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		m := create(t, r.ready(), order("nyc1-1"))
		before := r.list()
		r.do("DELETE", "/v2/tags/fleet:seabird", "")
		p := r.provider(nil)
		if ms := r.list(); len(ms) != 1 || !ms[0].Unmarked {
			t.Fatalf("got %+v, want one that is not shown to be ours", ms)
		}
		found, err := p.Candidates(t.Context(), fleet.Candidates{IDs: []string{m.ID}})
		must(t, "Candidates", err)
		if len(found) != 1 || found[0].Fleet != "seabird" || found[0].Node != "nyc1-1" || found[0].Unmarked || found[0].State != "" || found[0].Problem != "" {
			t.Fatalf("got %+v, want nyc1-1 of ours, as it was", found)
		}
		must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: m.ID, Node: "nyc1-1", HostKey: keyOf(7)}))
		if after := r.list(); len(after) != 1 || after[0].Unmarked || after[0].Adopted || after[0].Node != "nyc1-1" || after[0].HostKey != before[0].HostKey {
			t.Errorf("got %+v, want it as it was: %+v", after, before)
		}
	})
}

func TestCandidates_OurIDAndNameWithoutAnOrderProveNothing(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		id := r.add("seabird-nyc1-1-01jdv6zz", "fleetid:7f3a9c")
		found, err := r.provider(nil).Candidates(t.Context(), fleet.Candidates{IDs: []string{id}})
		must(t, "Candidates", err)
		if len(found) != 1 || found[0].Fleet != "" || found[0].Node != "" {
			t.Errorf("got %+v, want nobody's", found)
		}
	})
}

// Nothing noted what it leaves: its operation is known by its form and its age. A host key
// tells neither whose it was nor since when, and stays.
func TestCleanup_RemovesTheTagsOfADropletThatSomebodyElseDeleted(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		theirs := []string{"fleet:other", "op:01jdv6zz00000000000000000a", "hostkey:" + strings.Repeat("b", 64)}
		r.add("theirs", theirs...)
		p := r.ready()
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		for _, node := range []string{"nyc1-1", "fra1-1"} {
			r.do("DELETE", "/v2/droplets/"+create(t, p, order(node)).ID, "")
		}
		for _, tag := range r.tags() {
			if hasKind(tag, tagHostKey) && !slices.Contains(theirs, tag) {
				theirs = append(theirs, tag)
			}
		}
		time.Sleep(longUnused + time.Second) // of the bubble
		must(t, "Cleanup", r.provider(nil).Cleanup(t.Context()))
		if got, want := r.tags(), sorted(append(theirs, "relay")); len(theirs) != 5 || !slices.Equal(got, want) {
			t.Errorf("got tags %q left, want %q, with the two droplets' host keys", got, want)
		}
	})
}

// The tags of an order are on its droplet a while later than they are on the account.
func TestCleanup_LeavesTheTagsThatAnotherFleetIsAboutToUse(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		opAt := func(at time.Time) string {
			return tagOp + strings.ToLower(ulid.MustNew(ulid.Timestamp(at), nil).String())
		}
		now := time.Now()
		theirs := []string{
			opAt(now), opAt(now.Add(-longUnused + time.Minute)), opAt(now.Add(time.Hour)), "hostkey:" + strings.Repeat("b", 64),
			tagCached + fleet.FormatCached(now.Add(time.Hour)), tagCached + "tomorrow", tagCached + "0",
		}
		for _, tag := range append(theirs, opAt(now.Add(-longUnused-time.Minute)), tagCached+fleet.FormatCached(now.Add(-time.Minute))) {
			r.do("POST", "/v2/tags", `{"name":"`+tag+`"}`)
		}
		must(t, "Cleanup", r.provider(nil).Cleanup(t.Context()))
		if got := r.tags(); !slices.Equal(got, sorted(theirs)) {
			t.Errorf("got tags %q, want %q left", got, sorted(theirs))
		}
	})
}

// Another fleet may have put it on a droplet since the tags were listed.
func TestCleanup_LooksAgainBeforeItRemovesATagThatMayBeAnothersNow(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		tags := []string{"op:" + strings.Repeat("0", 26), "slot:nyc1-1", "phase:doomed", "cached:1", "adopted:yes"}
		for _, tag := range tags {
			r.do("POST", "/v2/tags", `{"name":"`+tag+`"}`)
		}
		id := r.add("theirs", "fleet:other")
		late := slices.Clone(tags)
		r.wire.seen = func(q *http.Request) {
			tag := path.Base(q.URL.Path)
			if i := slices.Index(late, tag); i >= 0 {
				late = slices.Delete(late, i, i+1)
				r.do("POST", "/v2/tags/"+tag+"/resources", `{"resources":[{"resource_id":"`+id+`","resource_type":"droplet"}]}`)
			}
		}
		must(t, "Cleanup", r.provider(nil).Cleanup(t.Context()))
		if got, want := r.tags(), sorted(append(tags, "fleet:other")); !slices.Equal(got, want) {
			t.Errorf("got tags %q, want the other fleet's left: %q", got, want)
		}
	})
}

// By its name it would be listed as before, and without its ID there were less to find it by.
func TestRelease_OfADropletThatOnlyItsNameSaysIsOursIsRefused(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		id := r.add("seabird-nyc1-1-01jdv6zz", "fleetid:7f3a9c", "slot:nyc1-1")
		before := writes(r)
		wantErr(t, "Release", r.provider(nil).Release(t.Context(), id), nil, "seabird-nyc1-1-01jdv6zz is that of a machine of this fleet", "rename the droplet")
		if got := writes(r) - before; got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}
