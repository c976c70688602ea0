package fleet_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// A relay that goes on while its machine is deleted may come back with it: that is said, and
// the machine goes all the same.
func TestDown_ARelayThatCouldNotBeStoppedIsNamedAndItsMachineDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		in := fleet.Intent{Down: true}
		st := seen(t, s, func(*fleet.State) {})
		s.world.Fault = func(call string, _ bool) error {
			if call == "hosts.stop" {
				return fleettest.ErrBroken
			}
			return nil
		}
		var said []string
		_, err := fleet.Converge(context.Background(), s.b, s.spec, in, st, fleet.Diff(s.spec, st, in), func(e fleet.Event) {
			if e.Kind == fleet.EventNote && strings.Contains(e.Detail, "could not be stopped") && strings.Contains(e.Detail, fleettest.ErrBroken.Error()) {
				said = append(said, e.Change.Ref.Node)
			}
		})
		slices.Sort(said)
		if want := []string{"ra-1", "rb-1", "rc-1"}; err != nil || !slices.Equal(said, want) {
			t.Errorf("got error %v and notes of %q, want those of %q", err, said, want)
		}
		if left := len(s.world.Boxes()); left != 0 {
			t.Errorf("machines: got %d, want none", left)
		}
	})
}
