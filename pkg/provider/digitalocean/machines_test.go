package digitalocean

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// add puts a droplet of others, or one that looks like ours, on the account.
func (r *rig) add(name string, tags ...string) string {
	r.t.Helper()
	id, err := r.AddDroplet(r.t.Context(), dotest.DefaultToken, dotest.Machine{Name: name, Tags: tags})
	if err != nil {
		r.t.Fatal(err)
	}
	return strconv.Itoa(id)
}

// ourTags are the marks of a machine as an earlier run left them.
func ourTags(node string, n int) []string {
	return []string{
		"fleet:seabird", "fleetid:7f3a9c", "fence:seabird", "slot:" + node, fmt.Sprintf("op:%026d", n), fmt.Sprintf("hostkey:%064x", n), "relay",
	}
}

func TestMachines_ReadsAllPagesAndNothingOfOthers(t *testing.T) {
	bubble(t, dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, DropletLimit: 1000}}}, func(t *testing.T, r *rig) {
		for i := range 450 {
			if i%3 == 0 {
				r.add(fmt.Sprintf("seabird-nyc1-%d-01jdv6zz", i+1), ourTags(fmt.Sprintf("nyc1-%d", i+1), i)...)
			} else {
				r.add("web", "fleet:seabird-two", fmt.Sprintf("slot:nyc1-%d", i))
			}
		}
		ms := r.list()
		if len(ms) != 150 || !slices.IsSortedFunc(ms, func(a, b fleet.Machine) int { return strings.Compare(a.ID, b.ID) }) {
			t.Errorf("got %d machines, want 150 by ID", len(ms))
		}
		if got := r.count(listDroplet); got != 3 {
			t.Errorf("got %d calls for 450 droplets, want 3 pages", got)
		}
	})
}

func TestMachines_AListThatChangesIsReadAgain(t *testing.T) {
	bubble(t, dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, DropletLimit: 1000}}}, func(t *testing.T, r *rig) {
		for i := range 250 {
			r.add(fmt.Sprintf("seabird-nyc1-%d-01jdv6zz", i+1), ourTags(fmt.Sprintf("nyc1-%d", i+1), i)...)
		}
		first := r.Droplets(dotest.DefaultToken)[0].ID
		changed := false
		r.Around(func(_ int, q *http.Request, commit func()) bool {
			if !changed && strings.Contains(q.URL.RawQuery, "page=2") {
				changed = true
				r.Around(nil)
				r.do("DELETE", fmt.Sprintf("/v2/droplets/%d", first), "") // everything moves up by one
			}
			return true
		})
		if got := len(r.list()); got != 249 {
			t.Errorf("got %d machines, want 249: none lost between two pages", got)
		}
	})
}

func TestMachines_AListThatNeverStandsStillIsAnError(t *testing.T) {
	bubble(t, dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, DropletLimit: 1000}}}, func(t *testing.T, r *rig) {
		for range 201 {
			r.add("web")
		}
		r.wire.seen = func(q *http.Request) {
			if strings.Contains(q.URL.RawQuery, "page=2") {
				r.add("web")
			}
		}
		ms, err := r.provider(nil).Machines(t.Context())
		wantErr(t, "Machines", err, errChanged)
		if ms != nil {
			t.Errorf("got machines %v with the error", ms)
		}
		if got := r.count(listDroplet); got != 2*rereads {
			t.Errorf("got %d calls, want %d", got, 2*rereads)
		}
	})
}

// What fails on the last page is no shorter list.
func TestMachines_APageThatFailsIsAnError(t *testing.T) {
	bubble(t, dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, DropletLimit: 1000}}}, func(t *testing.T, r *rig) {
		for range 201 {
			r.add("web")
		}
		r.Fail(dotest.Fault{Path: dropletsPath, Nth: 2, Times: -1, How: dotest.ErrorBefore})
		if ms, err := r.provider(nil).Machines(t.Context()); err == nil {
			t.Errorf("got %d machines and no error", len(ms))
		}
	})
}

func TestMachines_ADropletWithOurFormOfNameAndWithoutTagsIsUnmarked(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		id := r.add("seabird-nyc1-2-01jdv6zz")
		for _, name := range []string{
			"seabird", "seabird-nyc1", "seabird-nyc1-1", "seabird-fra1-1-01jdv6zz" /* is in nyc1 */, "seabird-two-nyc1-1-01jdv6zz",
			"seabird-nyc1-01-01jdv6zz", "seabird-nyc1-1-01jdv6zu", "xseabird-nyc1-1-01jdv6zz", "seabird-nyc1-1-01jdv6zzz", "seabird-nyc1--01jdv6zz",
		} {
			r.add(name)
		}
		r.add("seabird-nyc1-3-01jdv6zz", "fleet:other")
		ms := r.list()
		if len(ms) != 1 || ms[0].ID != id || !ms[0].Unmarked || ms[0].Node != "nyc1-2" || ms[0].Region != "nyc1" || ms[0].Created.IsZero() {
			t.Errorf("got %+v, want the droplet %s as an unmarked nyc1-2", ms, id)
		}
		for what, err := range map[string]error{
			"Delete": r.provider(nil).Delete(t.Context(), id),
			"Mark":   r.provider(nil).Mark(t.Context(), id, map[string]string{fleet.MarkPhase: "doomed"}, nil),
			"Start":  r.provider(nil).Start(t.Context(), id),
			"Adjust": r.provider(nil).Adjust(t.Context(), id),
		} {
			wantErr(t, what+" of an unmarked machine", err, nil, "not tagged fleet:seabird")
		}
	})
}

// A droplet that somebody gave our tag by hand is not a machine to send away.
func TestMachines_OurTagWithoutASlotIsLeftAlone(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.add("database", "fleet:seabird", "fleetid:7f3a9c")
		if ms := r.list(); len(ms) != 1 || !ms[0].Unmarked || ms[0].Node != "database" {
			t.Errorf("got %+v, want one unmarked machine", ms)
		}
	})
}

func TestMachines_AnotherFleetOfThisNameIsAnError(t *testing.T) {
	for what, tags := range map[string][]string{
		"another id":  {"fleet:seabird", "fleetid:other", "slot:nyc1-1"},
		"both ids":    {"fleet:seabird", "fleetid:other", "fleetid:7f3a9c", "slot:nyc1-1"},
		"two fleets":  {"fleet:seabird", "fleet:other", "slot:nyc1-1"},
		"upper case":  {"Fleet:Seabird", "FleetID:OTHER", "slot:nyc1-1"},
		"beside ours": {"fleet:seabird", "fleetid:other", "slot:fra1-1"},
		"no id here":  {"fleet:seabird", "fleetid:other", "slot:nyc1-1"},
	} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			if what == "no id here" {
				r.spec.ID = ""
			}
			id := r.add("seabird-nyc1-1-01jdv6zz", tags...)
			r.add("seabird-nyc1-9-01jdv6zz", ourTags("nyc1-9", 9)...)
			p := r.ready()
			ms, err := p.Machines(t.Context())
			wantErr(t, what, err, fleet.ErrOtherFleet, id)
			if ms != nil {
				t.Errorf("%s: got machines %v with the error", what, ms)
			}
			for call, err := range map[string]error{
				"Delete": p.Delete(t.Context(), id), "Cleanup": p.Cleanup(t.Context()),
				"Mark":   p.Mark(t.Context(), id, map[string]string{fleet.MarkPhase: "doomed"}, nil),
				"Adjust": p.Adjust(t.Context(), id), "Start": p.Start(t.Context(), id), "EnsureFirewall": p.EnsureFirewall(t.Context()),
				"Adopt":   p.Adopt(t.Context(), fleet.Adoption{ID: id, Node: "nyc1-1", HostKey: keyOf(7)}),
				"Release": p.Release(t.Context(), id),
			} {
				wantErr(t, what+": "+call, err, fleet.ErrOtherFleet)
			}
			if what == "no id here" {
				wantErr(t, what, err, nil, "add id: ")
			}
			if got := len(r.Droplets(dotest.DefaultToken)); got != 2 {
				t.Errorf("%s: got %d droplets, want both", what, got)
			}
		})
	}
}

// A valid token of another account: nothing is listed, and that is no error here.
func TestMachines_OfAnotherTeamAreNone(t *testing.T) {
	cfg := dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken}, {Token: "theirs"}}}
	bubble(t, cfg, func(t *testing.T, r *rig) {
		r.add("seabird-nyc1-1-01jdv6zz", ourTags("nyc1-1", 1)...)
		p := r.provider(func(c *Config) { c.Token = tokenIs("theirs") })
		if ms, err := p.Machines(t.Context()); err != nil || ms == nil || len(ms) != 0 {
			t.Errorf("got %v and error %v, want an empty list", ms, err)
		}
	})
}

// Tags keep the case in which they were first used, and URLs must use it.
func TestTags_KeepTheCaseOfTheAccount(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		for _, tag := range []string{"Fleet:SeaBird", "RELAY", "Phase:Doomed", "Slot:NYC1-1", "Adopted:YES"} {
			r.do("POST", "/v2/tags", `{"name":"`+tag+`"}`)
		}
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		m := create(t, r.ready(), order("nyc1-1"))
		r.alone(m)
		if len(m.Drift) != 0 || m.Node != "nyc1-1" {
			t.Errorf("got %+v, want node nyc1-1 without drift", m)
		}
		for _, set := range []bool{true, false} {
			var err error
			if set {
				err = r.provider(nil).Mark(t.Context(), m.ID, map[string]string{fleet.MarkPhase: "doomed"}, nil)
			} else {
				err = r.provider(nil).Mark(t.Context(), m.ID, nil, []string{fleet.MarkPhase})
			}
			must(t, "Mark", err)
			if got := r.list()[0].Phase == fleet.PhaseDoomed; got != set {
				t.Errorf("got doomed %v, want %v", got, set)
			}
		}
		must(t, "Delete", r.provider(nil).Delete(t.Context(), m.ID))
		must(t, "Cleanup", r.provider(nil).Cleanup(t.Context()))
		if got := r.tags(); !slices.Equal(got, []string{"RELAY"}) {
			t.Errorf("got tags %q left, want the operator's", got)
		}
	})
}

func TestMachines_SayHowTheyDifferFromTheSpec(t *testing.T) {
	for _, tc := range []struct {
		what string
		spec func(*fleet.Spec)
		want []fleet.Drift
	}{
		{"nothing", func(*fleet.Spec) {}, nil},
		{"size", func(s *fleet.Spec) { s.Ocean.Size = "s-2vcpu-2gb" }, []fleet.Drift{{Name: "size", From: "s-1vcpu-1gb", To: "s-2vcpu-2gb", Fix: fleet.FixReplace}}},
		{"image", func(s *fleet.Spec) { s.Ocean.Image = "debian-13-x64" }, []fleet.Drift{{Name: "image", From: "debian-12-x64", To: "debian-13-x64", Fix: fleet.FixReplace}}},
		{"tags", func(s *fleet.Spec) { s.Ocean.Tags = []string{"Relay", "blue", "green"} }, []fleet.Drift{{Name: "tags", From: "without blue, green", To: "with them", Fix: fleet.FixInPlace}}},
		{"keys are of first boot", func(s *fleet.Spec) { s.Ocean.SSHKeys = []string{keyOf(3)} }, nil},
	} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			m := create(t, r.ready(), order("nyc1-1"))
			p := r.provider(func(c *Config) { tc.spec(&c.Spec) })
			ms, err := p.Machines(t.Context())
			if err != nil || len(ms) != 1 || !slices.Equal(ms[0].Drift, tc.want) {
				t.Fatalf("%s: got %+v and error %v, want drift %+v", tc.what, ms, err, tc.want)
			}
			must(t, "Adjust", p.Adjust(t.Context(), m.ID))
			ms, err = p.Machines(t.Context())
			must(t, "Machines", err)
			for _, d := range ms[0].Drift {
				if d.Fix == fleet.FixInPlace {
					t.Errorf("%s: got %+v after Adjust, want it put right", tc.what, d)
				}
			}
		})
	}
}

func TestMachine_ReadsWhatADropletIs(t *testing.T) {
	p := newRig(t, dotest.Config{}).provider(nil)
	d := godo.Droplet{
		ID: 7, Name: "x\x1b", Status: "active", Region: &godo.Region{Slug: "nyc1"}, Created: "2025-03-01T12:00:00Z",
		Networks: &godo.Networks{
			V4: []godo.NetworkV4{{IPAddress: "10.0.0.2", Type: "private"}, {IPAddress: "198.51.100.7", Type: "public"}, {IPAddress: "no", Type: "public"}},
			V6: []godo.NetworkV6{{IPAddress: "2001:db8::7", Type: "public"}},
		},
		Tags: []string{"fleet:seabird", "slot:nyc1-1", "phase:draining", "phase:outgoing", "hostkey:zz", "op:" + strings.Repeat("0", 26), "web", "state:relay"},
	}
	m := p.machine(d)
	if m.Phase != fleet.PhaseDraining || m.Name != "x" || m.HostKey != "" || m.State != "/var/lib/relay" || !m.Created.Equal(time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)) ||
		!slices.Equal(m.Addrs, []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")}) || !slices.Equal(m.Labels, []string{"web"}) {
		t.Errorf("got %+v", m)
	}
	for status, want := range map[string]fleet.Status{
		"new": fleet.StatusPending, "active": fleet.StatusRunning, "off": fleet.StatusStopped, "archive": fleet.StatusStopped, "": fleet.StatusPending, "odd": fleet.StatusPending,
	} {
		d.Status = status
		if got := p.machine(d).Status; got != want {
			t.Errorf("status %q: got %q, want %q", status, got, want)
		}
	}
	d.Status, d.Networks = "active", nil
	if got := p.machine(d).Status; got != fleet.StatusPending {
		t.Errorf("active without an address: got %q, want pending", got)
	}
}
