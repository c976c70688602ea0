package main

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// oneMachine is a provider of one machine that can be marked and deleted.
type oneMachine struct {
	fleet.Provider
	m    fleet.Machine
	gone bool
}

func (o *oneMachine) Machines(context.Context) ([]fleet.Machine, error) {
	if o.gone {
		return []fleet.Machine{}, nil
	}
	return []fleet.Machine{o.m}, nil
}

func (o *oneMachine) Mark(context.Context, string, map[string]string, []string) error { return nil } // a list may be behind

func (o *oneMachine) Delete(context.Context, string) error {
	o.gone = true
	return nil
}

// Addresses are used again: a pin that stayed would be of somebody else's box.
func TestPinning_AHostKeyIsPinnedWithItsMarkAndForgottenWithItsMachine(t *testing.T) {
	newKey := func() string {
		_, public, err := sshx.NewHostKey()
		if err != nil {
			t.Fatal(err)
		}
		return public
	}
	first, second := newKey(), newKey()
	pins, err := sshx.OpenPins(filepath.Join(t.TempDir(), "known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	p := &pinning{pins: pins, Provider: &oneMachine{m: fleet.Machine{
		ID: "7", Node: "nyc1-1", HostKey: first, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.7")}, Ports: fleet.Ports{SSH: 22}, User: "fleetctl",
	}}}
	want := func(when string, keys ...string) {
		t.Helper()
		got, err := pins.LookupAll("198.51.100.7:22")
		if len(keys) > 0 && err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		slices.Sort(got)
		slices.Sort(keys)
		if !slices.Equal(got, keys) {
			t.Errorf("%s: pinned are %q, want %q", when, got, keys)
		}
	}
	if _, err := p.Machines(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("once it is listed", first)
	both := map[string]string{fleet.MarkHostKey: strings.Join([]string{first, second}, "\n")}
	if err := p.Mark(t.Context(), "7", both, nil); err != nil {
		t.Fatal(err)
	}
	want("once a second key is marked, before the box shows it", first, second)
	if err := p.Delete(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
	want("once the machine is gone")
}
