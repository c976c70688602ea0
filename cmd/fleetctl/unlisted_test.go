package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

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
