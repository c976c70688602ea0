package fleet_test

import (
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

func TestUp_AMachineThatIsSwitchedOnIsWaitedForUntilItTakesCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		id := s.world.Boxes()[0].Machine.ID
		s.world.SwitchOff(id)
		s.world.Fault = func(call string, done bool) error {
			switch {
			case call == "provider.start" && done: // it runs, and still boots
				s.world.Change(id, func(b *fleettest.Box) { b.SSHDown = true })
			case call == "hosts.await" && !done:
				s.world.Change(id, func(b *fleettest.Box) { b.SSHDown = false })
			}
			return nil
		}
		must(t, "up of a machine that was off", s.up)
	})
}
