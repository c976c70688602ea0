package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// A box that takes no note leaves it to the others, and is named. Where none takes it, nothing
// may be written: afterwards nobody could tell how long to wait.
func TestApply_ALoweredTTLIsNotedOnOtherMachinesWhereSomeCannotBeMarked(t *testing.T) {
	for what, tt := range map[string]struct {
		nodes       int
		sick        []string
		noted, told int
	}{
		"one of many":  {5, []string{"ra-1"}, 3, 1},
		"one of three": {3, []string{"ra-1"}, 2, 1},
		"two of three": {3, []string{"ra-1", "rc-1"}, 1, 2},
		"all":          {3, []string{"ra-1", "rb-1", "rc-1"}, 0, 3},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, tt.nodes)
				s.spec.DNS.TTL = longTTL
				must(t, "up", s.up)
				s.b.Provider = unmarkable{s.b.Provider, tt.sick}
				s.spec.DNS.TTL = time.Minute
				told := make(map[string]bool)
				s.tell = func(e fleet.Event) {
					if e.Kind == fleet.EventNote && strings.Contains(e.Detail, fleettest.ErrBroken.Error()) {
						told[e.Change.Ref.Node] = true
					}
				}
				before := s.zone.Writes()
				_, err := s.up()
				if got, want := s.zone.Writes() > before, tt.noted > 1; got != want || (err == nil) != want {
					t.Errorf("written: got %v and %v, want %v", got, err, want)
				}
				if tt.noted < 2 && !errors.Is(err, fleettest.ErrBroken) {
					t.Errorf("got %v, want why no machine could be marked", err)
				}
				noted := 0
				for _, b := range s.world.Boxes() {
					if !b.Machine.CachedUntil.IsZero() {
						noted++
					}
				}
				if noted != tt.noted || len(told) != tt.told {
					t.Errorf("got %d machines noted and %v named, want %d and %d of %v", noted, told, tt.noted, tt.told, tt.sick)
				}
			})
		})
	}
}

// A clock that was wrong once, or a hand, has written it: the next note takes its place.
func TestApply_ANoteThatNoTTLExplainsIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := longLived(t)
		bad := map[string]string{fleet.MarkCached: fleet.FormatCached(time.Now().AddDate(100, 0, 0))}
		for _, b := range s.world.Boxes() {
			if err := s.b.Provider.Mark(t.Context(), b.Machine.ID, bad, nil); err != nil {
				t.Fatal(err)
			}
		}
		s.spec.DNS.TTL = time.Minute
		must(t, "up with another TTL", s.up)
		for _, b := range s.world.Boxes() {
			if left := time.Until(b.Machine.CachedUntil); left < longTTL-time.Minute || left > longTTL+time.Hour {
				t.Errorf("%s: got a note of %s ahead, want about %s", b.Machine.Node, left, longTTL)
			}
		}
	})
}

// That of an adopted machine is needed once it was taken over.
func TestApply_ALoweredTTLIsNotedOnMachinesThatAreShownToBeOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, tt := range map[string]struct {
			others func(m *fleet.Machine) // what machines but rb-1's are
			noted  int
		}{
			"adopted": {func(m *fleet.Machine) { m.Adopted = true }, 3},
			"not readable": {func(m *fleet.Machine) {
				if m.Node == "rc-1" {
					m.Problem = "connection refused"
				}
			}, 2},
		} {
			s := longLived(t)
			s.b.Provider = othersAre{s.b.Provider, "rb-1", tt.others}
			s.spec.DNS.TTL = time.Minute
			if _, err := s.up(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			noted := 0
			for _, b := range s.world.Boxes() {
				if !b.Machine.CachedUntil.IsZero() {
					noted++
				}
			}
			if noted != tt.noted {
				t.Errorf("%s: got the note on %d machines, want %d", what, noted, tt.noted)
			}
		}
	})
}

// What nobody could note is not done: the next command would delete machines too early.
func TestApply_ALoweredTTLThatNoMachineCouldNoteIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := longLived(t)
		s.b.Provider = othersAre{s.b.Provider, "", func(m *fleet.Machine) { m.Problem = "connection refused" }}
		s.spec.DNS.TTL = time.Minute
		before := s.zone.Writes()
		_, err := s.up()
		if err == nil || !strings.Contains(err.Error(), "0 of 3 take it: connection refused") || fleet.Hint(err) == "" {
			t.Errorf("got %v and hint %q, want why no machine could be marked, and what to do", err, fleet.Hint(err))
		}
		if got := s.zone.Writes() - before; got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}

// The last records go with one note, too: no other run publishes or retires what is published.
func TestApply_TheLastRecordsGoUnderALowerTTLWhereOneMachineTakesTheNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := longLived(t)
		s.b.Provider = unmarkable{s.b.Provider, []string{"ra-1", "rc-1"}}
		s.spec.DNS.TTL = time.Minute
		began := time.Now()
		must(t, "down", s.down)
		if got := time.Since(began); got < longTTL {
			t.Errorf("gone after %s, want the %s that the records had", got, longTTL)
		}
	})
}

// A fleet of a thousand is not marked machine by machine.
func TestApply_ALoweredTTLIsNotedOnAFewMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 8)
		s.spec.DNS.TTL = longTTL
		must(t, "up", s.up)
		s.spec.DNS.TTL = time.Minute
		must(t, "up with another TTL", s.up)
		noted := 0
		for _, b := range s.world.Boxes() {
			if !b.Machine.CachedUntil.IsZero() {
				noted++
			}
		}
		if noted != 3 {
			t.Errorf("got the note on %d machines, want 3", noted)
		}
	})
}

// unmarkable takes no note on the machines of some nodes.
type unmarkable struct {
	fleet.Provider
	nodes []string
}

func (p unmarkable) Mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	sick := slices.ContainsFunc(p.nodes, func(node string) bool { return strings.HasPrefix(id, node+"-") })
	if _, note := set[fleet.MarkCached]; note && sick {
		return fleettest.ErrBroken
	}
	return p.Provider.Mark(ctx, id, set, unset)
}

// othersAre lists all machines but one node's as something else.
type othersAre struct {
	fleet.Provider
	but string
	are func(*fleet.Machine)
}

func (p othersAre) Machines(ctx context.Context) ([]fleet.Machine, error) {
	out, err := p.Provider.Machines(ctx)
	for i := range out {
		if out[i].Node != p.but {
			p.are(&out[i])
		}
	}
	return out, err
}
