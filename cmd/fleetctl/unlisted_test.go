package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
	"github.com/relayfleet/fleetctl/pkg/statedir"
)

func TestUnlisted_AMachineThatAnswersIsNotGoneBecauseTheAccountListsNone(t *testing.T) {
	s, m, _ := copySession(t)
	s.spec = fleet.Spec{Name: "demo", Provider: fleet.ProviderDigitalOcean}
	box := sshtest.Start(t)
	dir, err := statedir.Open(t.TempDir(), "demo", filepath.Join(s.app.dir, "fleet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	pins, err := sshx.OpenPins(dir.KnownHosts())
	if err != nil {
		t.Fatal(err)
	}
	pin := func(addr, key string) {
		t.Helper()
		if err := pins.Set(addr, key); err != nil {
			t.Fatal(err)
		}
	}
	_, another, err := sshx.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	none := fleet.State{Machines: fleet.Observed[[]fleet.Machine]{Value: []fleet.Machine{}}}

	pin(box.Addr, another)          // the address was given to somebody else
	pin("127.0.0.1:1", box.HostKey) // and here nobody answers
	if err := s.unlisted(t.Context(), none); err != nil {
		t.Errorf("pins of machines that are gone: got %v, want none", err)
	}
	pin(box.Addr, box.HostKey)
	err = s.unlisted(t.Context(), none)
	if err == nil || exitCode(err) != exitRefused || !strings.Contains(err.Error(), box.Addr) || !strings.Contains(fleet.Hint(err), dir.KnownHosts()) {
		t.Errorf("a machine that answers: got %v (%q), want a refusal that names it", err, fleet.Hint(err))
	}
	some := fleet.State{Machines: fleet.Observed[[]fleet.Machine]{Value: []fleet.Machine{m}}}
	if err := s.unlisted(t.Context(), some); err != nil {
		t.Errorf("a fleet that is listed: got %v, want none", err)
	}
}

// Addresses are used again, and a pin that stayed would be of somebody else's machine.
func TestForgetGone_ThePinOfAMachineThatSomebodyElseDeletedGoes(t *testing.T) {
	s, m, _ := copySession(t)
	s.spec = fleet.Spec{Name: "demo", Provider: fleet.ProviderDigitalOcean}
	box := sshtest.Start(t)
	dir, err := statedir.Open(t.TempDir(), "demo", filepath.Join(s.app.dir, "fleet.yaml"))
	must(t, "state", err)
	s.dir = dir
	pins, err := sshx.OpenPins(dir.KnownHosts())
	must(t, "pins", err)
	_, another, err := sshx.NewHostKey()
	must(t, "key", err)
	m.Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.9")} // the others are at 127.0.0.1
	listed, reused := sshAddr(m), sshtest.Start(t).Addr
	all := []string{listed, box.Addr, reused, "127.0.0.1:1"}
	slices.Sort(all)
	must(t, "pin", errors.Join(pins.Set(listed, another), pins.Set(box.Addr, box.HostKey), pins.Set(reused, another), pins.Set("127.0.0.1:1", another)))
	kept := []string{listed, box.Addr}
	slices.Sort(kept)
	pending := m
	pending.Addrs = nil
	for _, c := range []struct {
		what     string
		machines fleet.Observed[[]fleet.Machine]
		want     []string
	}{
		{"the list could not be read", fleet.Observed[[]fleet.Machine]{Value: []fleet.Machine{m}, Err: errors.New("429")}, all},
		{"no machine is listed, as with another account's token", fleet.Observed[[]fleet.Machine]{Value: []fleet.Machine{}}, all},
		{"a machine has no address yet", fleet.Observed[[]fleet.Machine]{Value: []fleet.Machine{m, pending}}, all},
		{"another machine is listed, and one shows its key", fleet.Observed[[]fleet.Machine]{Value: []fleet.Machine{m}}, kept},
	} {
		if err := s.forgetGone(t.Context(), fleet.State{Machines: c.machines}); err != nil {
			t.Fatalf("%s: got %v", c.what, err)
		}
		if got, err := pins.Addrs(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got pins of %q, %v; want %q", c.what, got, err, c.want)
		}
	}
}

// No mark says what those keys are, and nothing could pin them again; and a machine that is
// listed may be reached at another port meanwhile.
func TestForgetGone_APinThatNoMarkBringsBackStaysAndSoDoesThatOfAListedHost(t *testing.T) {
	s, m, _ := copySession(t)
	s.spec = fleet.Spec{Name: "demo", Provider: fleet.ProviderDigitalOcean}
	dir, err := statedir.Open(t.TempDir(), "demo", filepath.Join(s.app.dir, "fleet.yaml"))
	must(t, "state", err)
	s.dir = dir
	pins, err := sshx.OpenPins(dir.KnownHosts())
	must(t, "pins", err)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, "ECDSA key", err)
	public, err := ssh.NewPublicKey(&private.PublicKey)
	must(t, "ECDSA key", err)
	_, ed, err := sshx.NewHostKey()
	must(t, "key", err)
	adopted, both, otherPort, name, gone := "127.0.0.2:1", "127.0.0.2:2", "127.0.0.1:1", "relay.invalid:22", "127.0.0.2:3"
	must(t, "pin", errors.Join(pins.Set(adopted, sshx.AuthorizedKey(public)), pins.Set(both, ed, sshx.AuthorizedKey(public)), pins.Set(otherPort, ed), pins.Set(name, ed), pins.Set(gone, ed)))
	must(t, "forgetGone", s.forgetGone(t.Context(), fleet.State{Machines: fleet.Observed[[]fleet.Machine]{Value: []fleet.Machine{m}}}))
	want := []string{otherPort, adopted, both, name}
	if got, err := pins.Addrs(); err != nil || !slices.Equal(got, want) {
		t.Errorf("with a machine at %s listed: got pins of %q, %v; want %q", sshAddr(m), got, err, want)
	}
}

func TestOutcome_ATokenThatWasRevokedMeanwhileEndsTheCommandWithItsOwnCode(t *testing.T) {
	t.Parallel()
	why := fmt.Errorf("list machines: %w", fleet.ErrAuth)
	o := fleet.Outcome{State: fleet.State{Machines: fleet.Observed[[]fleet.Machine]{Err: why}}}
	o.Plan = fleet.Diff(fleet.Spec{Name: "demo"}, o.State, fleet.Intent{})
	if err := outcomeError(o); exitCode(err) != exitAuth {
		t.Errorf("got exit %d (%v), want %d", exitCode(err), err, exitAuth)
	}
	if err := outcomeError(fleet.Outcome{}); err != nil {
		t.Errorf("nothing is missing: got %v", err)
	}
}
