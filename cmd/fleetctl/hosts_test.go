package main

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

func TestKnownHosts_TheMarkGoesBeforeThePin(t *testing.T) {
	marked, next, pinned := newHostKey(), newHostKey(), newHostKey()
	pins, err := sshx.OpenPins(filepath.Join(t.TempDir(), "known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"192.0.2.1:22", "192.0.2.2:2222"} {
		if err := pins.Set(addr, pinned); err != nil {
			t.Fatal(err)
		}
	}
	at := func(ip string, port int, mark string) fleet.Machine {
		return fleet.Machine{Node: "nyc1-1", Addrs: []netip.Addr{netip.MustParseAddr(ip)}, Ports: fleet.Ports{SSH: port}, HostKey: mark, User: "root"}
	}
	for name, c := range map[string]struct {
		m    fleet.Machine
		want string
	}{
		"marked and pinned":          {at("192.0.2.1", 22, marked), "192.0.2.1 " + marked + "\n"},
		"while the key is changed":   {at("192.0.2.1", 22, marked+"\n"+next), "192.0.2.1 " + marked + "\n192.0.2.1 " + next + "\n"},
		"pinned, another port":       {at("192.0.2.2", 2222, ""), "[192.0.2.2]:2222 " + pinned + "\n"},
		"IPv6, the port of everyone": {at("2001:db8::1", 0, marked), "2001:db8::1 " + marked + "\n"},
		"neither":                    {at("192.0.2.9", 22, ""), ""},
		"a mark that is no key":      {at("192.0.2.1", 22, "ssh-ed25519 AAAA"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			lines, err := hostLines(c.m, pins)
			if (err == nil) != (c.want != "") {
				t.Fatalf("error: got %v, want lines %t", err, c.want != "")
			}
			var out bytes.Buffer
			if err := (knownHostsView{Lines: lines}).Text(&out, render.Options{}); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.want {
				t.Errorf("lines: got %q, want %q", out.String(), c.want)
			}
		})
	}
}

// newHostKey is a new public key in authorized_keys form.
func newHostKey() string { return sshx.AuthorizedKey(sshtest.NewSigner().PublicKey()) }

func TestHosts_TellsApartWhatMayBeDoneToAMachine(t *testing.T) {
	for name, c := range map[string]struct {
		m    fleet.Machine
		want string
	}{
		"ours":               {fleet.Machine{}, "active"},
		"on its way out":     {fleet.Machine{Phase: fleet.PhaseDraining}, "draining"},
		"adopted":            {fleet.Machine{Adopted: true}, "adopted"},
		"not shown to be us": {fleet.Machine{Unmarked: true}, "unmarked"},
	} {
		var out bytes.Buffer
		if err := render.Write(&out, hostsView{Hosts: []hostRow{newHostRow(c.m)}}, render.Options{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: got %q, want %q in it", name, out.String(), c.want)
		}
	}
}
