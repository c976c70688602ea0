package digitalocean

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// behind lists the droplets that the fleet's firewall is before.
func (r *rig) behind() []string {
	r.t.Helper()
	out := []string{}
	for _, d := range r.Droplets(dotest.DefaultToken) {
		if strings.Contains(r.do("GET", fmt.Sprintf("/v2/droplets/%d/firewalls", d.ID), ""), `"fleetctl-seabird"`) {
			out = append(out, strconv.Itoa(d.ID))
		}
	}
	return out
}

// A relay that others made may serve on ports that nobody knows of.
func TestAdopt_PutsNoFirewallBeforeAMachineUntilItIsTakenOver(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		own, id := create(t, p, order("fra1-1")), r.add("old", "relay")
		must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: id, Node: "nyc1-1", HostKey: keyOf(7)}))
		must(t, "Adjust", p.Adjust(t.Context(), id))
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		if got := r.behind(); !slices.Equal(got, []string{own.ID}) {
			t.Errorf("behind the firewall: got %q, want the one that was ordered alone", got)
		}
		must(t, "take over", p.Mark(t.Context(), id, nil, []string{fleet.MarkAdopted}))
		must(t, "Adjust", p.Adjust(t.Context(), id))
		if got := r.behind(); !slices.Contains(got, id) {
			t.Errorf("behind the firewall: got %q, want the one that was taken over, too", got)
		}
		if ms := r.list(); slices.ContainsFunc(ms, func(m fleet.Machine) bool {
			return slices.ContainsFunc(m.Drift, func(d fleet.Drift) bool { return d.Fix == fleet.FixInPlace })
		}) {
			t.Errorf("got %+v, want nothing left to put right", ms)
		}
		must(t, "Release", p.Release(t.Context(), id))
		if got := r.behind(); slices.Contains(got, id) {
			t.Errorf("behind the firewall: got %q, want not the one that was given back", got)
		}
	})
}

// earlier is a fleet whose firewall is attached by the fleet's tag: two droplets that were
// ordered, and one that was adopted.
func earlier(r *rig) (ids []string) { return earlierBy(r, "fleetid:7f3a9c") }

// earlierBy is one whose adopted droplet has these tags, too.
func earlierBy(r *rig, tags ...string) (ids []string) {
	for i, node := range []string{"nyc1-1", "nyc1-2"} {
		tags := slices.DeleteFunc(ourTags(node, i+1), func(tag string) bool { return hasKind(tag, tagFence) })
		ids = append(ids, r.add("seabird-"+node+"-01jdv6zz", tags...))
	}
	ids = append(ids, r.add("old", append(tags, "fleet:seabird", "slot:fra1-1", "adopted:yes")...))
	time.Sleep(time.Minute) // of the bubble: their tags are there
	r.do("POST", "/v2/firewalls", `{"name":"fleetctl-seabird","tags":["fleet:seabird"],"inbound_rules":[{"protocol":"icmp","sources":{"addresses":["::/0"]}}]}`)
	return ids
}

// share attaches the fleet's firewall by tags of others, too.
func (r *rig) share(tags ...string) {
	r.t.Helper()
	if len(tags) == 0 {
		return
	}
	for _, tag := range tags {
		r.do("POST", "/v2/tags", `{"name":"`+tag+`"}`)
	}
	r.do("POST", "/v2/firewalls/"+r.walls()[0].ID+"/tags", `{"tags":["`+strings.Join(tags, `","`)+`"]}`)
}

// Killed anywhere, and seen at any request, the firewall is before every droplet that it was
// before; and the next run ends the move.
func TestFirewall_OfAnEarlierFleetIsMovedWithoutAMomentInWhichADropletIsOpen(t *testing.T) {
	movedWhole(t)
}

// With four tags of others, five in all, both of ours have no room at once.
func TestFirewall_OfAnEarlierFleetIsMovedAmongFourTagsOfOthers(t *testing.T) {
	movedWhole(t, "web0", "web1", "web2", "web3")
}

// movedWhole kills the move of a firewall that others attached by tags, too, at each request.
func movedWhole(t *testing.T, others ...string) {
	t.Helper()
	for n, reached := 1, true; reached; n++ {
		reached = false
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			ids := earlier(r)
			r.share(others...)
			p := r.provider(nil)
			_, err := p.Quote(t.Context(), []fleet.NewMachine{order("sgp1-1")})
			must(t, "Quote", err)
			drift, err := p.Drift(t.Context())
			if err != nil || !slices.ContainsFunc(drift, func(d fleet.Drift) bool { return d.Name == "firewall tags" && d.From == "fleet:seabird" }) {
				t.Fatalf("got drift %+v and error %v, want the move shown", drift, err)
			}
			seen := 0
			r.wire.seen = func(q *http.Request) {
				if got := r.behind(); !slices.Equal(got, ids) {
					t.Errorf("before %s %s: behind the firewall %q, want %q", q.Method, q.URL.Path, got, ids)
				}
			}
			ctx, cancel := contextOf(t)
			inner := r.wire.cloud
			r.wire.cloud = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				inner.ServeHTTP(w, q)
				if seen++; seen == n {
					reached = true
					cancel()
				}
			})
			_ = p.EnsureFirewall(ctx)
			r.wire.cloud = inner
			must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
			if got, want := sorted(r.walls()[0].Tags), append([]string{"fence:seabird"}, others...); !slices.Equal(got, want) {
				t.Errorf("killed at request %d: got the firewall's tags %q, want %q", n, got, want)
			}
			if got := r.behind(); !slices.Equal(got, ids) {
				t.Errorf("killed at request %d: behind the firewall %q, want %q", n, got, ids)
			}
			if drift, err := r.provider(nil).Drift(t.Context()); err != nil || len(drift) != 0 {
				t.Errorf("killed at request %d: got drift %+v and error %v, want none", n, drift, err)
			}
		})
	}
}

// Up is no way to have it moved: it would order a machine for the slot of the one to adopt,
// and it does nothing where all are adopted.
func TestAdopt_MovesAnEarlierFleetsFirewallAndLeavesItsRules(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		ids := earlier(r)
		more := []string{r.add("another", "relay"), r.add("a-third", "relay")}
		before := r.walls()[0]
		r.wire.seen = func(q *http.Request) {
			if got := r.behind(); !slices.Equal(got, ids) {
				t.Errorf("before %s %s: behind the firewall %q, want %q", q.Method, q.URL.Path, got, ids)
			}
		}
		p := r.provider(nil)
		errs := make(chan error, len(more))
		for i, id := range more {
			go func() {
				errs <- p.Adopt(t.Context(), fleet.Adoption{ID: id, Node: []string{"sgp1-1", "sgp1-2"}[i], HostKey: keyOf(byte(7 + i))})
			}()
		}
		for range more {
			must(t, "Adopt", <-errs)
		}
		r.wire.seen = nil
		if got := r.count("PUT /v2/firewalls/{firewall_id}"); got != 2 {
			t.Errorf("the firewall was written %d times, want 2: one of the two moves it", got)
		}
		got := r.walls()[0]
		if !slices.Equal(got.Tags, []string{"fence:seabird"}) || !slices.Equal(got.rules(), before.rules()) {
			t.Errorf("got the firewall's tags %q and rules %q, want its own tag alone and rules %q", got.Tags, got.rules(), before.rules())
		}
		if got := r.behind(); !slices.Equal(got, ids) {
			t.Errorf("behind the firewall: got %q, want %q as before", got, ids)
		}
	})
}

// A droplet that may be another fleet's gets no tag of ours, and who ends that is said.
func TestAdopt_MovesNoFirewallBeforeWhatMayBeAnotherFleets(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		ids := earlierBy(r)
		a := fleet.Adoption{ID: r.add("another", "relay"), Node: "sgp1-1", HostKey: keyOf(7)}
		p := r.provider(nil)
		wantErr(t, "Adopt", p.Adopt(t.Context(), a), nil, "attach the firewall fleetctl-seabird by fence:seabird", "fleetctl adopt --id "+ids[2])
		if got := r.walls()[0].Tags; !slices.Equal(got, []string{"fleet:seabird"}) {
			t.Errorf("got the firewall's tags %q, want them as they were", got)
		}
		must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: ids[2], Node: "fra1-1", HostKey: keyOf(8)}))
		must(t, "Adopt", p.Adopt(t.Context(), a))
	})
}

// Up says that the droplet lacks the ID and who gives it: that must not wait for up.
func TestAdopt_GivesTheIDToAnAdoptedDropletOfAnEarlierFleet(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		ids := earlierBy(r)
		p := r.provider(nil)
		wantErr(t, "EnsureFirewall", p.EnsureFirewall(t.Context()), nil, "fleetctl adopt --id "+ids[2])
		must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: ids[2], Node: "fra1-1", HostKey: keyOf(7)}))
		if got := r.behind(); !slices.Equal(got, ids) {
			t.Errorf("behind the firewall: got %q, want %q as before", got, ids)
		}
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		if got := r.behind(); !slices.Equal(got, ids) {
			t.Errorf("moved: behind the firewall: got %q, want %q as before", got, ids)
		}
	})
}

// The firewall is before what carries its tag. A droplet that may be another fleet's and has
// it not is no reason to leave all the others open.
func TestFirewall_IsPutRightBesideADropletThatIsNotBehindIt(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		own, stray := create(t, p, order("fra1-1")), r.add("database", "fleet:seabird")
		for what, body := range map[string]string{
			"the tag": `{"name":"fleetctl-seabird","tags":[],"inbound_rules":[{"protocol":"icmp","sources":{"addresses":["::/0"]}}]}`,
			"a rule":  `{"name":"fleetctl-seabird","tags":["fence:seabird"],"inbound_rules":[{"protocol":"icmp","sources":{"addresses":["::/0"]}}]}`,
		} {
			r.do("PUT", "/v2/firewalls/"+r.walls()[0].ID, body)
			if drift, err := r.provider(nil).Drift(t.Context()); err != nil || len(drift) == 0 {
				t.Errorf("%s was lost: got drift %+v and error %v, want it shown", what, drift, err)
			}
			_, err := r.ready().Quote(t.Context(), []fleet.NewMachine{order("nyc1-1")})
			must(t, what+" was lost: Quote", err)
			must(t, what+" was lost: EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
			if got := r.behind(); !slices.Equal(got, []string{own.ID}) {
				t.Errorf("%s was lost: behind the firewall: got %q, want %q and not %s", what, got, own.ID, stray)
			}
			if drift, err := r.provider(nil).Drift(t.Context()); err != nil || len(drift) != 0 {
				t.Errorf("%s was lost: got drift %+v and error %v, want none", what, drift, err)
			}
		}
	})
}

// It was read, and is left as it is for another reason: that is what is said.
func TestFirewall_BeforeWhatMayBeAnotherFleetsIsLeftAsItIsAndSaidSo(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		id := r.add("seabird-nyc1-1-01jdv6zz", "fleet:seabird", "slot:nyc1-1", "op:01jdv6zzzzzzzzzzzzzzzzzzzz", "fence:seabird")
		r.do("PUT", "/v2/firewalls/"+r.walls()[0].ID, `{"name":"fleetctl-seabird","tags":["fence:seabird"],"inbound_rules":[{"protocol":"icmp","sources":{"addresses":["::/0"]}}]}`)
		before := writes(r)
		_, err := r.provider(nil).Drift(t.Context())
		for what, err := range map[string]error{"Drift": err, "EnsureFirewall": r.provider(nil).EnsureFirewall(t.Context())} {
			wantErr(t, what, err, nil, "firewall fleetctl-seabird", "would close ports of droplet "+id, "hint: run `fleetctl adopt --id "+id+"`", "take fence:seabird off it")
			if strings.Contains(err.Error(), "read firewall") {
				t.Errorf("%s: got error %q, want none of a reading that failed", what, err)
			}
		}
		if got := writes(r) - before; got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}
