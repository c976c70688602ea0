package host_test

import (
	"debug/elf"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
)

func TestGivenMachine_TheKeysThatWereAddedGoAndNoOther(t *testing.T) {
	const (
		file = "/home/fleetctl/.ssh/authorized_keys"
		hers = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK her\n"
		ours = operatorKey + "\n"
	)
	rel := hosttest.Release(t, elfFile(t, elf.EM_X86_64), 1)
	uninstall := func(h *host.Hosts, m fleet.Machine) error { return h.Uninstall(t.Context(), m) }
	release := func(h *host.Hosts, m fleet.Machine) error { return h.TakeKeysBack(t.Context(), m) }
	for _, c := range []struct {
		what         string
		before       string
		leave        func(*host.Hosts, fleet.Machine) error
		lost         bool // hers goes meanwhile
		owned        bool // the machine is the fleet's own
		during, want string
	}{
		{"uninstall", hers, uninstall, false, false, hers + ours, hers},
		{"release", hers, release, false, false, hers + ours, hers},
		{"it was there before", ours + hers, uninstall, false, false, ours + hers, ours + hers},
		{"it is the last", hers, uninstall, true, false, ours, ours},
		{"the fleet's own machine", hers, release, false, true, hers + ours, hers + ours},
	} {
		_, box, m, h := debian(t)
		m.Given = !c.owned
		box.PutFile(file, []byte(c.before))
		for range 2 { // the second run finds its key there, and it is still its own
			if err := h.Configure(t.Context(), m, config(64), rel); err != nil {
				t.Fatal(err)
			}
		}
		got, _ := box.File(file)
		if c.lost {
			got = strings.Replace(got, hers, "", 1)
			box.PutFile(file, []byte(got))
		}
		if got != c.during {
			t.Errorf("%s: with the relay got authorized_keys %q, want %q", c.what, got, c.during)
		}
		for range 2 {
			if err := c.leave(h, m); err != nil {
				t.Errorf("%s: got %v", c.what, err)
			}
		}
		if got, _ := box.File(file); got != c.want {
			t.Errorf("%s: got authorized_keys %q, want %q", c.what, got, c.want)
		}
	}
}
