package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
)

// closing is a zone with a name at which no text can stand.
type closing struct {
	*zonetest.Memory
	name string
	why  error // nil: every name takes records
	err  error // of the question itself
}

func (c *closing) Closed(_ context.Context, _ string, names []string) (map[string]error, error) {
	if c.why == nil || c.err != nil || !slices.Contains(names, c.name) {
		return nil, c.err
	}
	return map[string]error{c.name: c.why}, nil
}

func (c *closing) Apply(ctx context.Context, entry string, ch dnsaddr.Changes) error {
	for _, r := range slices.Concat(ch.Add, ch.Update) {
		if c.why != nil && r.Name == c.name {
			return c.why
		}
	}
	return c.Memory.Apply(ctx, entry, ch)
}

// What a plan publishes at a name that takes nothing would be refused at the write. The plan
// says so, and leaves it out; the other names get what is theirs.
func TestDiff_ANameThatTakesNoRecordIsNamedBeforeTheFirstWrite(t *testing.T) {
	for what, c := range map[string]struct {
		nodes   int
		compact string
		name    string
	}{
		"a list":           {17, "", "_dnsaddr.ra.p2p.demo.test"},
		"the compact name": {3, "few", "_dnsaddr.few.p2p.demo.test"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 1)
				s.resize(c.nodes, 2)
				s.spec.DNS.Publish.Compact = c.compact
				zone := &closing{Memory: s.zone, name: c.name, why: fleet.WithHint(errors.New(c.name+" is an alias (CNAME) of elsewhere.test"), "remove the CNAME")}
				s.b.Zone = zone
				o, err := s.up()
				if err != nil {
					t.Fatalf("up: %v", err)
				}
				said := 0
				for _, k := range o.Plan.Problems() {
					if strings.Contains(k.Reason, "nothing is published at "+c.name+": ") && strings.Contains(k.Reason, "alias (CNAME) of elsewhere.test") && k.Hint == "remove the CNAME" {
						said++
					}
				}
				if said != 1 || len(o.Failures) > 0 {
					t.Errorf("got problems %+v and failures %v, want the alias named once and no failure", o.Plan.Problems(), o.Failures)
				}
				at := make(map[string]int)
				for _, r := range s.peek() {
					if o, ours := r.Owner(); ours && o.Fleet == "demo" {
						at[r.Name]++
					}
				}
				layout := s.spec.Layout()
				for _, name := range layout.Names() {
					if want := layout.Relays(name); name != c.name && at[name] != want {
						t.Errorf("%s: got %d records, want %d", name, at[name], want)
					}
				}
				again := s.plan(t, fleet.Intent{RecordsOnly: true})
				if !again.Empty() || len(again.Problems()) != 1 {
					t.Errorf("sync: got changes %v and problems %+v, want none and one", again.Changes(), again.Problems())
				}
				if down := s.plan(t, fleet.Intent{Down: true}); len(down.Problems()) > 0 || down.Empty() {
					t.Errorf("down: got problems %+v, want everything to go", down.Problems())
				}
				zone.why = nil
				must(t, "up once the alias is gone", s.up)
				s.atItsPlaces(t)
			})
		})
	}
}

// plan is what would be done now.
func (s *sim) plan(t *testing.T, in fleet.Intent) fleet.Plan {
	t.Helper()
	st, err := fleet.Observe(t.Context(), s.b, s.spec)
	if err != nil {
		t.Fatalf("observe: %v", err)
	}
	return fleet.Diff(s.spec, st, in)
}

// What is not known of a name is said, and is no reason to take anything for absent.
func TestDiff_NamesThatCouldNotBeAskedForAreAProblemAndChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		s.b.Zone = &closing{Memory: s.zone, err: errors.New("no answer")}
		p := s.plan(t, fleet.Intent{RecordsOnly: true})
		if got := fmt.Sprint(p.Problems()); !p.Empty() || !strings.Contains(got, "whether every name takes records is not known: no answer") {
			t.Errorf("got changes %v and problems %s, want none and what is not known", p.Changes(), got)
		}
	})
}

// Neither does such a name take what makes a record ours, or repairs one: a server may drop
// that without a word.
func TestDiff_NothingIsAdoptedOrRepairedAtANameThatTakesNoRecord(t *testing.T) {
	for what, c := range map[string]struct {
		prepare func(t *testing.T, s *sim)
		want    int // problems
	}{
		"records without a comment":   {func(t *testing.T, s *sim) { comment(t, s, "") }, 1},
		"records of somebody":         {func(t *testing.T, s *sim) { comment(t, s, "made by hand") }, 1},
		"records with another TTL":    {func(_ *testing.T, s *sim) { s.spec.DNS.TTL += time.Second }, 1},
		"records as they ought to be": {func(*testing.T, *sim) {}, 1},
		"records that are kept": {func(t *testing.T, s *sim) {
			comment(t, s, "made by hand")
			for _, r := range s.peek() {
				if a, err := dnsaddr.ParseValue(r.Value); err == nil {
					s.spec.DNS.Keep = append(s.spec.DNS.Keep, a.String())
				}
			}
		}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := settled(t, func(s *sim) { c.prepare(t, s) })
				entry := s.spec.DNS.RecordName()
				zone := &closing{Memory: s.zone, name: entry, why: errors.New("its companion is an alias (CNAME)")}
				s.b.Zone = zone
				writes := s.zone.Writes()
				p := s.plan(t, fleet.Intent{RecordsOnly: true, Adopt: true})
				if problems := p.Problems(); !p.Empty() || len(problems) != c.want || c.want > 0 && !strings.Contains(problems[0].Reason, "nothing is published at "+entry+": its companion is an alias") {
					t.Errorf("got changes %v and problems %+v, want none and %d, the name", p.Changes(), problems, c.want)
				}
				if _, err := s.converge(fleet.Intent{RecordsOnly: true, Adopt: true}); err != nil || s.zone.Writes() != writes {
					t.Errorf("got %v after %d writes, want none", err, s.zone.Writes()-writes)
				}
			})
		})
	}
}

// A successor that cannot be published where its node stands would never take over, and its
// predecessor never go: two machines would be paid for.
func TestReplace_IsRefusedWhereTheSuccessorCouldNotBePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := settled(t, func(*sim) {})
		name := s.spec.DNS.RecordName()
		s.b.Zone = &closing{Memory: s.zone, name: name, why: fleet.WithHint(errors.New("it is delegated"), "delete the NS records")}
		before := len(s.world.Boxes())
		_, err := s.replace("ra-1")
		var refused *fleet.Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "its successor could not be published at "+name+": it is delegated") {
			t.Errorf("got %v, want it refused with the name and why", err)
		}
		if b := holder(s, "ra-1"); len(s.world.Boxes()) != before || b.Machine.Phase != fleet.PhaseActive {
			t.Errorf("got %d machines and phase %s, want nothing done", len(s.world.Boxes()), b.Machine.Phase)
		}
	})
}

// One under way is not waited for either: nothing gets better by waiting.
func TestReplace_ANameThatClosesMeanwhileIsNamedAndNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := settled(t, func(*sim) {})
		zone := &closing{Memory: s.zone, name: s.spec.DNS.RecordName()}
		s.b.Zone = zone
		s.tell = func(e fleet.Event) {
			if e.Kind == fleet.EventDone && e.Change.Action == fleet.ActionCreate {
				zone.why = errors.New("it is delegated")
			}
		}
		_, _ = s.replace("ra-1")
		s.tell = nil
		began := time.Now()
		_, _ = s.up()
		if took := time.Since(began); took > s.spec.Rollout.HealthyDeadline/2 {
			t.Errorf("the next up took %s, want it not to wait for what does not come", took)
		}
		told := false
		for _, d := range s.plan(t, fleet.Intent{}).Deferred {
			told = told || d.Waiting == "its successor to be published at "+zone.name+", which takes no record"
			if d.Soon {
				t.Errorf("%s %s waits for %q as if it came by itself", d.Action, d.Ref.Node, d.Waiting)
			}
		}
		if !told {
			t.Errorf("got deferrals %+v, want the name that takes no record", s.plan(t, fleet.Intent{}).Deferred)
		}
		zone.why = nil
		must(t, "up when the name takes records again", s.up)
		if got := len(s.world.Boxes()); got != 3 {
			t.Errorf("got %d machines, want 3", got)
		}
	})
}
