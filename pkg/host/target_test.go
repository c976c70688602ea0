package host_test

import (
	"net/netip"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func TestTarget_GoesThroughTheJumpHostAsItIsNamed(t *testing.T) {
	t.Parallel()
	for jump, want := range map[string]sshx.Target{
		"bastion":                 {Addr: "bastion:22", User: "admin"},
		"Bastion.Example.net:222": {Addr: "bastion.example.net:222", User: "admin"},
		"ops@10.0.0.1":            {Addr: "10.0.0.1:22", User: "ops"},
	} {
		m := fleet.Machine{Node: "a-1", User: "admin", Sudo: true, Key: "/k", Jump: jump, Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}}
		got, err := host.Target(m)
		if err != nil || got.Jump == nil {
			t.Fatalf("%s: got %+v, %v, want a jump host", jump, got, err)
		}
		if got.Addr != "[2001:db8::1]:22" || !got.Sudo || got.KeyFile != "/k" || got.User != "admin" {
			t.Errorf("%s: got box %+v", jump, got)
		}
		if got.Jump.Addr != want.Addr || got.Jump.User != want.User || got.Jump.KeyFile != "/k" || got.Jump.Sudo {
			t.Errorf("%s: got jump host %+v, want %s@%s with the machine's key and without sudo", jump, got.Jump, want.User, want.Addr)
		}
	}
}
