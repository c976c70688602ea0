package digitalocean

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestAdopt_TagsADropletOfOthersAndReleaseTakesAllOfItBack(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		id := r.add("bitterbot-nyc", "bitterbot", "relay")
		before := r.tags()
		p := r.provider(nil)
		a := fleet.Adoption{ID: id, Node: "nyc1-1", HostKey: keyOf(7), State: "/var/lib/old-relay"}
		for range 2 {
			must(t, "Adopt", p.Adopt(t.Context(), a))
		}
		ms := r.list()
		if len(ms) != 1 || ms[0].ID != id || ms[0].Node != "nyc1-1" || !ms[0].Adopted || ms[0].HostKey != keyOf(7) || ms[0].State != a.State ||
			ms[0].User != "root" || ms[0].Sudo || ms[0].Op != "" || !slices.Equal(ms[0].Labels, []string{"bitterbot", "relay"}) {
			t.Errorf("got %+v, want an adopted nyc1-1", ms)
		}
		if !slices.ContainsFunc(ms[0].Drift, func(d fleet.Drift) bool { return d.Name == "cloud firewall" }) {
			t.Errorf("got drift %+v, want what a take-over would change", ms[0].Drift)
		}
		wantErr(t, "Delete", p.Delete(t.Context(), id), nil, "adopted")
		must(t, "Adjust", p.Adjust(t.Context(), id))
		for range 2 {
			must(t, "Release", p.Release(t.Context(), id))
		}
		if got := r.list(); len(got) != 0 {
			t.Errorf("got machines %+v after Release, want none", got)
		}
		must(t, "Cleanup", p.Cleanup(t.Context()))
		if got := r.tags(); !slices.Equal(got, before) {
			t.Errorf("got tags %q, want %q as before", got, before)
		}
	})
}

func TestAdopt_TakeOverIsAMark(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		id := r.add("old", "relay")
		p := r.provider(nil)
		must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: id, Node: "nyc1-1", HostKey: keyOf(7)}))
		if m := r.list()[0]; m.State != "/var/lib/bitterbot" {
			t.Errorf("got state %q, want that of older tooling", m.State)
		}
		must(t, "Mark", p.Mark(t.Context(), id, nil, []string{fleet.MarkAdopted}))
		if m := r.list()[0]; m.Adopted || m.User != "root" {
			t.Errorf("got %+v, want a machine of ours with its old user", m)
		}
		must(t, "Delete", p.Delete(t.Context(), id))
	})
}

// A key that is not Ed25519 does not fit into a tag.
func TestAdopt_LeavesAnotherKindOfKeyToThePins(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		id := r.add("old")
		_, key, err := rsaHostKey()
		must(t, "key", err)
		must(t, "Adopt", r.provider(nil).Adopt(t.Context(), fleet.Adoption{ID: id, Node: "nyc1-1", HostKey: key}))
		if m := r.list()[0]; m.HostKey != "" {
			t.Errorf("got host key %q, want none", m.HostKey)
		}
	})
}

func TestAdopt_RefusesWhatIsNotFree(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		ours := create(t, p, order("fra1-1"))
		free, theirs, slotted := r.add("old"), r.add("x", "fleet:other", "slot:nyc1-1"), r.add("y", "slot:sgp1-1")
		before := r.tags()
		for what, a := range map[string]fleet.Adoption{
			"another fleet's":    {ID: theirs, Node: "nyc1-1", HostKey: keyOf(7)},
			"no droplet":         {ID: "12", Node: "nyc1-1", HostKey: keyOf(7)},
			"no ID":              {ID: "old", Node: "nyc1-1", HostKey: keyOf(7)},
			"no node":            {ID: free, HostKey: keyOf(7)},
			"a bad node":         {ID: free, Node: "nyc1 1", HostKey: keyOf(7)},
			"no key":             {ID: free, Node: "nyc1-1"},
			"a state elsewhere":  {ID: free, Node: "nyc1-1", HostKey: keyOf(7), State: "/etc"},
			"a state below":      {ID: free, Node: "nyc1-1", HostKey: keyOf(7), State: "/var/lib/a/b"},
			"a state with a dot": {ID: free, Node: "nyc1-1", HostKey: keyOf(7), State: "/var/lib/.."},
			"another slot":       {ID: slotted, Node: "nyc1-1", HostKey: keyOf(7)},
		} {
			if err := p.Adopt(t.Context(), a); err == nil {
				t.Errorf("%s: got no error", what)
			}
		}
		wantErr(t, "another fleet's", p.Adopt(t.Context(), fleet.Adoption{ID: theirs, Node: "nyc1-1", HostKey: keyOf(7)}), fleet.ErrOtherFleet, "other")
		wantErr(t, "release of another fleet's", p.Release(t.Context(), theirs), fleet.ErrOtherFleet)
		wantErr(t, "release of a machine with our name", p.Release(t.Context(), ours.ID), nil, "rename the droplet")
		must(t, "Adopt of a machine of ours", p.Adopt(t.Context(), fleet.Adoption{ID: ours.ID, Node: "fra1-1", HostKey: keyOf(7)}))
		if got := r.tags(); !slices.Equal(got, before) {
			t.Errorf("got tags %q, want %q", got, before)
		}
		r.alone(ours)
	})
}

// Killed anywhere, an adoption leaves a droplet that is nobody's or adopted: never one
// that could be sent away.
func TestAdopt_KilledAnywhereLeavesNothingToSendAway(t *testing.T) {
	for n, reached := 1, true; reached; n++ {
		reached = false
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			id := r.add("old")
			p := r.provider(nil)
			kill := func(call func() error) {
				seen := 0
				r.Around(func(_ int, q httpRequest, commit func()) bool {
					if seen++; seen >= n {
						reached = true
						if seen == n {
							commit()
						}
						return false
					}
					return true
				})
				_ = call()
				r.Around(nil)
				for _, m := range r.list() {
					if !m.Adopted && !m.Unmarked {
						t.Errorf("killed at request %d: got %+v, which a plan could send away", n, m)
					}
				}
			}
			a := fleet.Adoption{ID: id, Node: "nyc1-1", HostKey: keyOf(7), State: "/var/lib/x"}
			kill(func() error { return p.Adopt(t.Context(), a) })
			must(t, "Adopt again", p.Adopt(t.Context(), a))
			kill(func() error { return p.Release(t.Context(), id) })
			must(t, "Release again", p.Release(t.Context(), id))
			if got := r.list(); len(got) != 0 {
				t.Errorf("got %+v, want none", got)
			}
		})
	}
}

func TestCandidates_AreDropletsAsTheyAre(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		ours := create(t, p, order("fra1-1"))
		one, two := r.add("bitterbot-nyc", "Bitterbot"), r.add("bitterbot-sgp")
		theirs := r.add("bitterbot-ams", "fleet:other", "bitterbot")
		before := writes(r)
		for _, tc := range []struct {
			c    fleet.Candidates
			want []string
		}{
			{fleet.Candidates{Tag: "bitterbot"}, []string{one, theirs}},
			{fleet.Candidates{Name: "bitterbot-*"}, []string{one, two, theirs}},
			{fleet.Candidates{IDs: []string{two}}, []string{two}},
			{fleet.Candidates{Tag: "bitterbot", Name: "*-sgp"}, []string{}},
			{fleet.Candidates{}, []string{ours.ID, one, two, theirs}},
		} {
			ms, err := p.Candidates(t.Context(), tc.c)
			must(t, "Candidates", err)
			var got []string
			for _, m := range ms {
				got = append(got, m.ID)
				switch m.ID {
				case ours.ID:
					if m.Fleet != "seabird" || m.Node != "fra1-1" || m.Problem != "" {
						t.Errorf("got %+v, want our machine", m)
					}
				case theirs:
					if !strings.Contains(m.Problem, "the fleet other") {
						t.Errorf("got %+v, want the problem named", m)
					}
				default:
					if m.Fleet != "" || m.Node != "" || m.Problem != "" || m.Unmarked || len(m.Addrs) == 0 {
						t.Errorf("got %+v, want a free one", m)
					}
				}
			}
			if !slices.Equal(sorted(got), sorted(tc.want)) {
				t.Errorf("%+v: got %q, want %q", tc.c, got, tc.want)
			}
		}
		for what, c := range map[string]fleet.Candidates{"an unknown ID": {IDs: []string{one, "7"}}, "a bad pattern": {Name: "["}} {
			if _, err := p.Candidates(t.Context(), c); err == nil {
				t.Errorf("%s: got no error", what)
			}
		}
		if got := writes(r) - before; got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}

// What has our name and no ID may be of an older fleet of this name, or of ours from before it
// had an ID: somebody has to say so.
func TestMachines_OneOfOurNameWithoutOurIDIsAProblemUntilItIsAdopted(t *testing.T) {
	for what, tags := range map[string][]string{
		"ordered": {"fleet:seabird", "slot:nyc1-1", "op:01jdv6zzzzzzzzzzzzzzzzzzzz", "fence:seabird"},
		"adopted": {"fleet:seabird", "slot:nyc1-1", "adopted:yes"},
	} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			id := r.add("seabird-nyc1-1-01jdv6zz", tags...)
			p := r.ready()
			if ms := r.list(); len(ms) != 1 || !ms[0].Unmarked {
				t.Errorf("%s: got %+v, want one whose marks are waited for", what, ms)
			}
			time.Sleep(marksLate) // of the bubble
			if ms := r.list(); len(ms) != 1 || ms[0].Problem == "" || ms[0].Node != "nyc1-1" || ms[0].Drift != nil {
				t.Errorf("%s: got %+v, want one with a problem, in its slot", what, ms)
			}
			before := writes(r)
			for call, err := range map[string]error{
				"Delete": p.Delete(t.Context(), id), "Adjust": p.Adjust(t.Context(), id), "Start": p.Start(t.Context(), id),
				"Mark":    p.Mark(t.Context(), id, map[string]string{fleet.MarkPhase: "doomed"}, nil),
				"Release": p.Release(t.Context(), id),
			} {
				wantErr(t, what+": "+call, err, nil, "fleetctl adopt --id "+id)
			}
			wantErr(t, what+": Cleanup", p.Cleanup(t.Context()), nil, "1 machines are listed")
			if got := writes(r) - before; got != 0 {
				t.Errorf("%s: got %d writes, want none", what, got)
			}
			must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: id, Node: "nyc1-1", HostKey: keyOf(7)}))
			if ms := r.list(); len(ms) != 1 || ms[0].Problem != "" || ms[0].Unmarked || ms[0].Adopted != (what == "adopted") {
				t.Errorf("%s: got %+v after Adopt, want a machine of ours as it was", what, ms)
			}
		})
	}
}
