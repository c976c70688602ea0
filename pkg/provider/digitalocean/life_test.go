package digitalocean

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestDelete_ReturnsWhenTheDropletIsNotFound(t *testing.T) {
	bubble(t, dotest.Config{Delete: dotest.Lag{Wait: 90 * time.Second}}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		begin := time.Now()
		must(t, "Delete", p.Delete(t.Context(), m.ID))
		if d := time.Since(begin); d < 90*time.Second || d > 100*time.Second {
			t.Errorf("it returned after %s, the droplet was gone after 90s", d)
		}
		if got := len(r.Droplets(dotest.DefaultToken)); got != 0 {
			t.Errorf("got %d droplets, want none", got)
		}
	})
}

func TestDelete_ADropletThatLivesOnIsAnErrorAfterTenMinutes(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.Fail(dotest.Fault{Method: "DELETE", Path: oneDropletPath, How: dotest.NeverGone, Times: -1})
		begin := time.Now()
		wantErr(t, "Delete", p.Delete(t.Context(), m.ID), nil, "still there, and is paid for", "10m0s")
		if d := time.Since(begin); d < 10*time.Minute {
			t.Errorf("it gave up after %s, want 10 minutes", d)
		}
		r.alone(m) // with all of its marks: the next run goes on
		r.Heal()
		must(t, "Delete again", p.Delete(t.Context(), m.ID))
	})
}

func TestDelete_ThatWasAcceptedAndNotDoneIsAskedForAgain(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.Fail(dotest.Fault{Method: "DELETE", Path: oneDropletPath, How: dotest.NeverGone})
		begin := time.Now()
		must(t, "Delete", p.Delete(t.Context(), m.ID))
		if d := time.Since(begin); d < time.Minute || d > 80*time.Second {
			t.Errorf("it returned after %s, want soon after the second delete, which is sent after a minute", d)
		}
		if got := r.count(deleteDroplet); got != 2 {
			t.Errorf("got %d deletes, want 2: one that was not done, and one that was", got)
		}
		if got := len(r.Droplets(dotest.DefaultToken)); got != 0 {
			t.Errorf("got %d droplets, want none", got)
		}
	})
}

func TestDelete_SaysWhyItWasRefusedTheLastTime(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.Fail(dotest.Fault{Method: "DELETE", Path: oneDropletPath, How: dotest.NeverGone})
		r.Fail(dotest.Fault{Method: "DELETE", Path: oneDropletPath, How: dotest.ErrorBefore, Nth: 2, Times: -1})
		wantErr(t, "Delete", p.Delete(t.Context(), m.ID), nil, "still there, and is paid for", "asked for again: the API answers 500")
		r.alone(m)
	})
}

// Somebody gives the droplet another owner while its delete is waited for.
func TestDelete_IsNotAskedForAgainWhenTheDropletIsNotOursAnyMore(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.Fail(dotest.Fault{Method: "DELETE", Path: oneDropletPath, How: dotest.NeverGone})
		r.wire.seen = func(q *http.Request) {
			if q.Method == http.MethodDelete && strings.HasPrefix(q.URL.Path, dropletsPath) {
				r.wire.seen = nil
				r.do("DELETE", "/v2/tags/fleet:seabird/resources", `{"resources":[{"resource_id":"`+m.ID+`","resource_type":"droplet"}]}`)
			}
		}
		wantErr(t, "Delete", p.Delete(t.Context(), m.ID), nil, "still there")
		if got := r.count(deleteDroplet); got != 1 {
			t.Errorf("got %d deletes, want 1: what is not tagged ours is let be", got)
		}
	})
}

func TestDelete_OfWhatIsGoneSucceeds(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.wire.seen = func(q *http.Request) { // somebody else is faster
			if q.Method == http.MethodDelete && strings.HasPrefix(q.URL.Path, dropletsPath) {
				r.wire.seen = nil
				r.do("DELETE", dropletsPath+"/"+m.ID, "")
			}
		}
		must(t, "Delete", p.Delete(t.Context(), m.ID))
		for _, id := range []string{m.ID, "1", "0", "-1", "none", ""} {
			must(t, "Delete of "+id, p.Delete(t.Context(), id))
		}
	})
}

func TestDelete_RefusesWhatIsNotOurs(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		create(t, p, order("nyc1-1"))
		for what, id := range map[string]string{
			"a stranger": r.add("database"), "the fleet seabird-two's": r.add("x", "fleet:seabird-two"),
			"an adopted one": r.add("old", "fleet:seabird", "fleetid:7f3a9c", "slot:nyc1-2", "adopted:yes"),
		} {
			if err := p.Delete(t.Context(), id); err == nil {
				t.Errorf("%s: got no error", what)
			}
		}
		if got := len(r.Droplets(dotest.DefaultToken)); got != 4 {
			t.Errorf("got %d droplets, want 4", got)
		}
		if got := r.count("DELETE " + dropletsPath); got != 0 {
			t.Errorf("got %d deletes by tag, want none ever", got)
		}
		if got := r.count(deleteDroplet); got != 0 {
			t.Errorf("got %d deletes, want none", got)
		}
	})
}

// Killed between the delete and the removal of its tags: Cleanup finds what the note says.
func TestDelete_ThatWasKilledIsFinishedByCleanup(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		m := create(t, p, order("nyc1-1"))
		must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkPhase: "doomed", fleet.MarkHostKey: m.HostKey + "\n" + keyOf(4)}, nil))
		ctx, cancel := contextOf(t)
		r.Around(func(_ int, q *http.Request, commit func()) bool {
			if q.Method == http.MethodDelete {
				commit()
				cancel()
			}
			return true
		})
		if err := p.Delete(ctx, m.ID); err == nil {
			t.Fatal("got no error from a delete that was killed")
		}
		r.Around(nil)
		if got := len(r.list()); got != 0 {
			t.Fatalf("got %d machines, want none", got)
		}
		must(t, "Cleanup", r.provider(nil).Cleanup(t.Context()))
		if got := r.tags(); !slices.Equal(got, []string{"relay"}) {
			t.Errorf("got tags %q left, want the operator's", got)
		}
	})
}

func TestDelete_LeavesNoTagsOfTheDroplet(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		keep, gone := create(t, p, order("nyc1-1")), create(t, p, order("nyc1-2")) // the spec has no nyc1-2
		before := r.tags()
		must(t, "Delete", p.Delete(t.Context(), gone.ID))
		var want []string
		for _, tag := range before {
			if tag != "slot:nyc1-2" && tag != "op:"+strings.ToLower(gone.Op) && !(hasKind(tag, tagHostKey) && hostKeys([]string{tag}) == gone.HostKey) {
				want = append(want, tag)
			}
		}
		if got := r.tags(); !slices.Equal(got, want) {
			t.Errorf("got tags %q, want %q", got, want)
		}
		r.alone(keep)
	})
}

// One that was taken over, of a node that the spec does not have: its delete leaves nothing,
// and killed at any request it leaves a note, by which the rest is found.
func TestDelete_OfADropletThatOthersMadeLeavesNoTagsWhereverItIsKilled(t *testing.T) {
	for n, reached := 1, true; reached; n++ {
		reached = false
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			p := r.ready()
			must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
			id := r.add("old", "relay")
			must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: id, Node: "nyc1-9", HostKey: keyOf(7), State: "/var/lib/old-relay"}))
			must(t, "take over", p.Mark(t.Context(), id, nil, []string{fleet.MarkAdopted}))
			ctx, cancel := contextOf(t)
			seen := 0
			r.Around(func(_ int, _ httpRequest, commit func()) bool {
				if seen++; seen == n {
					reached = true
					commit()
					cancel()
				}
				return true
			})
			_ = p.Delete(ctx, id)
			r.Around(nil)
			must(t, "Delete again", r.provider(nil).Delete(t.Context(), id))
			must(t, "Cleanup", r.provider(nil).Cleanup(t.Context()))
			if got := r.tags(); !slices.Equal(got, []string{"relay"}) {
				t.Errorf("killed at request %d: got tags %q left, want the operator's", n, got)
			}
		})
	}
}

func TestMark_ANewPhaseIsThereBeforeTheOldOneGoes(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkPhase: "outgoing"}, nil))
		r.wire.seen = func(q *http.Request) {
			if q.Method != http.MethodGet && len(r.list()) == 1 && r.list()[0].Phase == fleet.PhaseActive {
				t.Errorf("before %s %s the machine has no phase", q.Method, q.URL.Path)
			}
		}
		must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkPhase: "draining"}, nil))
		r.wire.seen = nil
		if got := r.list()[0].Phase; got != fleet.PhaseDraining {
			t.Errorf("got phase %q, want draining", got)
		}
		calls := r.Calls()
		must(t, "Mark again", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkPhase: "draining"}, nil))
		for call, n := range r.Calls() {
			if !strings.HasPrefix(call, "GET ") && n != calls[call] {
				t.Errorf("a mark that is there was written again: %s", call)
			}
		}
	})
}

func TestMark_KeepsTwoHostKeysWhileOneIsChanged(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		fresh := keyOf(4)
		must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkHostKey: m.HostKey + "\n" + fresh}, nil))
		if got := sorted(strings.Split(r.list()[0].HostKey, "\n")); !slices.Equal(got, sorted([]string{m.HostKey, fresh})) {
			t.Errorf("got keys %q, want both", got)
		}
		must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkHostKey: fresh}, nil))
		if got := r.list()[0].HostKey; got != fresh {
			t.Errorf("got key %q, want %q alone", got, fresh)
		}
		if got := len(slices.DeleteFunc(r.tags(), func(tag string) bool { return !hasKind(tag, tagHostKey) })); got != 1 {
			t.Errorf("got %d host key tags on the account, want 1", got)
		}
	})
}

func TestMark_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		before := r.tags()
		for what, set := range map[string]map[string]string{
			"mark": {"colour": "red"}, "phase": {fleet.MarkPhase: "lost"}, "empty phase": {fleet.MarkPhase: ""},
			"key": {fleet.MarkHostKey: "ssh-ed25519"}, "no key": {fleet.MarkHostKey: ""}, "adopted": {fleet.MarkAdopted: "no"},
			"one of two": {fleet.MarkPhase: "doomed", "colour": "red"},
		} {
			if err := p.Mark(t.Context(), m.ID, set, nil); err == nil {
				t.Errorf("%s: got no error", what)
			}
		}
		wantErr(t, "unset", p.Mark(t.Context(), m.ID, nil, []string{"colour"}), nil, "colour")
		if got := r.tags(); !slices.Equal(got, before) || r.list()[0].Phase != fleet.PhaseActive {
			t.Errorf("got tags %q, want %q", got, before)
		}
	})
}

func TestStart_WaitsForTheDropletToRun(t *testing.T) {
	for _, how := range []dotest.How{dotest.Serve, dotest.ResetAfter, dotest.ErrorBefore} {
		bubble(t, dotest.Config{Act: dotest.Lag{Wait: 12 * time.Second}}, func(t *testing.T, r *rig) {
			p := r.ready()
			m := create(t, p, order("nyc1-1"))
			r.do("POST", "/v2/droplets/"+m.ID+"/actions", `{"type":"power_off"}`)
			time.Sleep(time.Minute) // of the bubble
			if got := r.list()[0].Status; got != fleet.StatusStopped {
				t.Fatalf("got status %q, want stopped", got)
			}
			r.Fail(dotest.Fault{Method: "POST", Path: "/v2/droplets/*/actions", How: how})
			must(t, "Start", p.Start(t.Context(), m.ID))
			if got := r.list()[0].Status; got != fleet.StatusRunning {
				t.Errorf("fault %d: got status %q, want running", how, got)
			}
		})
	}
}

// A time is a tag of its own each time: none stays on the account when it is replaced, when
// its droplet goes, or when a run was killed between.
func TestMark_OfATimeLeavesNoTags(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		times := func() []string {
			return slices.DeleteFunc(r.tags(), func(tag string) bool { return !hasKind(tag, tagCached) })
		}
		mark := func(p *Provider, m fleet.Machine, until time.Time) error {
			return p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkCached: fleet.FormatCached(until)}, nil)
		}
		p, begin := r.ready(), time.Now()
		m := create(t, p, order("nyc1-1"))
		must(t, "Mark", mark(p, m, begin.Add(time.Hour)))
		must(t, "Mark", mark(p, m, begin.Add(2*time.Hour)))
		if got, want := times(), []string{tagCached + fleet.FormatCached(begin.Add(2*time.Hour))}; !slices.Equal(got, want) {
			t.Errorf("a later time: got tags %q, want %q", got, want)
		}
		must(t, "Delete", p.Delete(t.Context(), m.ID))
		if got := times(); len(got) != 0 {
			t.Errorf("after the delete: got tags %q, want none", got)
		}
		r.do(http.MethodPost, "/v2/tags", `{"name":"cached:1"}`) // what a killed run leaves
		must(t, "Cleanup", p.Cleanup(t.Context()))
		if got := times(); len(got) != 0 {
			t.Errorf("after Cleanup: got tags %q, want none", got)
		}
	})
}

// Somebody's hand wrote it: what was noted is not known, and that something was is.
func TestMachines_ATimeThatCannotBeReadIsNotTakenForNone(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.do(http.MethodPost, "/v2/tags", `{"name":"cached:tomorrow"}`)
		r.do(http.MethodPost, "/v2/tags/cached:tomorrow/resources", `{"resources":[{"resource_id":"`+m.ID+`","resource_type":"droplet"}]}`)
		if got := r.list()[0].CachedUntil; !got.Equal(fleet.UnreadCached()) {
			t.Errorf("got %s, want the time of what cannot be read", got)
		}
		until := time.Now().Add(time.Hour)
		must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkCached: fleet.FormatCached(until)}, nil))
		if got, want := r.list()[0].CachedUntil, fleet.FormatCached(until); fleet.FormatCached(got) != want {
			t.Errorf("after another note: got %s, want that one", got)
		}
	})
}
