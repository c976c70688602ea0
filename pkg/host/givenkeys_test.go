package host_test

import (
	"debug/elf"
	"fmt"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
)

const givenKeys = "/home/fleetctl/.ssh/authorized_keys"

// However an install or an uninstall of a machine of somebody else's is cut off, as long as
// a key of the fleet is let in the box shows it, and the next uninstall ends it.
func TestGivenMachine_CutOffAfterAnyWriteItShowsThatAKeyIsLeft(t *testing.T) {
	const hers = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK her\n"
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	up := func(h *host.Hosts, m fleet.Machine) error { return h.Configure(t.Context(), m, config(64), rel) }
	down := func(h *host.Hosts, m fleet.Machine) error { return h.Uninstall(t.Context(), m) }
	for what, run := range map[string]func(*host.Hosts, fleet.Machine) error{"up": up, "down": down} {
		for n, done := int64(0), false; !done; n++ {
			fake, box, m, h := debian(t)
			m.Given = true
			box.PutFile(givenKeys, []byte(hers))
			if what == "down" {
				if err := up(h, m); err != nil {
					t.Fatal(err)
				}
			}
			done = run(systemHosts(fake, func(at int64) error {
				if at > n {
					return errKilled
				}
				return nil
			}), m) == nil
			got, err := h.Inspect(t.Context(), m)
			_, current := box.File(host.Current)
			if keys, _ := box.File(givenKeys); err != nil || (keys != hers || current) && !got.Installed && !got.Traces {
				t.Errorf("%s, cut off after %d writes: Inspect = %+v, %v with authorized_keys %q, want it to show what is left", what, n, got, err, keys)
			}
			if err := down(h, m); err != nil {
				t.Fatalf("%s, cut off after %d writes: the next uninstall: %v", what, n, err)
			}
			got, err = h.Inspect(t.Context(), m)
			if keys, _ := box.File(givenKeys); err != nil || keys != hers || got.Installed || got.Traces {
				t.Errorf("%s, cut off after %d writes, and an uninstall: Inspect = %+v, %v with authorized_keys %q, want %q and no trace", what, n, got, err, keys, hers)
			}
		}
	}
}

func TestGivenMachine_TheKeysThatWereAddedGoAndNoOther(t *testing.T) {
	const (
		hers = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK her\n"
		ours = operatorKey + "\n"
	)
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
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
		box.PutFile(givenKeys, []byte(c.before))
		for range 2 { // the second run finds its key there, and it is still its own
			if err := h.Configure(t.Context(), m, config(64), rel); err != nil {
				t.Fatal(err)
			}
		}
		got, _ := box.File(givenKeys)
		if c.lost {
			got = strings.Replace(got, hers, "", 1)
			box.PutFile(givenKeys, []byte(got))
		}
		if got != c.during {
			t.Errorf("%s: with the relay got authorized_keys %q, want %q", c.what, got, c.during)
		}
		for range 2 {
			if err := c.leave(h, m); err != nil {
				t.Errorf("%s: got %v", c.what, err)
			}
		}
		if got, _ := box.File(givenKeys); got != c.want {
			t.Errorf("%s: got authorized_keys %q, want %q", c.what, got, c.want)
		}
	}
}

// Keys are long, and a fleet may have many.
func TestGivenMachine_ManyKeysThatWereAddedGoToo(t *testing.T) {
	fake, box, m, _ := debian(t)
	m.Given = true
	const hers = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK her\n"
	box.PutFile(givenKeys, []byte(hers))
	var keys []string
	for i := range 20 {
		keys = append(keys, fmt.Sprintf("ssh-rsa AAAA%0540d key", i))
	}
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	var h *host.Hosts
	for _, n := range []int{len(keys) - 1, len(keys)} { // one more is noted beside the others
		h = host.New(host.Config{Runner: fake, Tunnel: fake, Keys: fake, System: host.SystemOf(oceanSpec(), keys[:n])})
		if err := h.Configure(t.Context(), m, config(64), rel); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := box.File(givenKeys); strings.Count(got, "ssh-rsa") != len(keys) {
		t.Fatalf("with the relay got authorized_keys %q, want %d keys in it", got, len(keys))
	}
	if err := h.Uninstall(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got, _ := box.File(givenKeys); got != hers {
		t.Errorf("got authorized_keys %q, want %q", got, hers)
	}
}

func TestGivenMachine_ANoteThatCannotBeReadIsAnError(t *testing.T) {
	_, box, m, h := debian(t)
	m.Given = true
	if err := h.Configure(t.Context(), m, config(64), hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)); err != nil {
		t.Fatal(err)
	}
	box.PutFile(host.Settled, make([]byte, 1<<20))
	for what, err := range map[string]error{"release": h.TakeKeysBack(t.Context(), m), "uninstall": h.Uninstall(t.Context(), m)} {
		if err == nil || fleet.Hint(err) == "" {
			t.Errorf("%s: got %v, want an error with a hint: a key may be left", what, err)
		}
	}
	if got, err := h.Inspect(t.Context(), m); err != nil || !got.Installed {
		t.Errorf("Inspect = %+v, %v; want it to show that the relay is still there", got, err)
	}
}

// A key that went is forgotten: the owner who puts it in himself keeps it.
func TestGivenMachine_AKeyThatTheOwnerPutsInLaterIsHis(t *testing.T) {
	const hers = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK her\n"
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for what, gone := range map[string]func(*host.Hosts, fleet.Machine) error{
		"release":     func(h *host.Hosts, m fleet.Machine) error { return h.TakeKeysBack(t.Context(), m) },
		"keys remove": func(h *host.Hosts, m fleet.Machine) error { return h.RemoveKey(t.Context(), m, operatorKey, hers) },
	} {
		_, box, m, h := debian(t)
		m.Given = true
		box.PutFile(givenKeys, []byte(hers))
		if err := h.Configure(t.Context(), m, config(64), rel); err != nil {
			t.Fatal(err)
		}
		if err := gone(h, m); err != nil {
			t.Fatalf("%s: got %v", what, err)
		}
		if got, _ := box.File(givenKeys); got != hers {
			t.Errorf("%s: got authorized_keys %q, want %q", what, got, hers)
		}
		box.PutFile(givenKeys, []byte(hers+operatorKey+"\n"))
		if err := h.Uninstall(t.Context(), m); err != nil {
			t.Fatalf("%s: got %v", what, err)
		}
		if got, _ := box.File(givenKeys); got != hers+operatorKey+"\n" {
			t.Errorf("%s, then put in by the owner, then uninstall: got authorized_keys %q, want both keys", what, got)
		}
	}
}
