package main

import (
	"net/netip"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// machineAt is the machine of a test box.
func machineAt(t *testing.T, box *sshtest.Box) fleet.Machine {
	t.Helper()
	at, err := netip.ParseAddrPort(box.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return fleet.Machine{
		ID: "box-" + box.Addr, Node: "nyc1-1", Region: "nyc1", Status: fleet.StatusRunning, User: "root",
		Addrs: []netip.Addr{at.Addr()}, Ports: fleet.Ports{SSH: int(at.Port())},
	}
}
