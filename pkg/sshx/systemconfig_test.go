package sshx_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

const (
	edKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	golden = `Host nyc1-1
	HostName 192.0.2.7
	Port 22
	User root
	IdentityFile "/keys/of nyc"
	IdentityFile "/state/my fleet/id_ed25519"
	IdentitiesOnly yes
	UserKnownHostsFile "/state/100%%/known_hosts"
	GlobalKnownHostsFile none
	StrictHostKeyChecking yes
	HostKeyAlgorithms ssh-ed25519
	CheckHostIP no
	UpdateHostKeys no
	ProxyJump jump-2001-db8-1-2222
Host jump-2001-db8-1-2222
	HostName 2001:db8::1
	Port 2222
	User admin
	UserKnownHostsFile "/state/known_hosts"
	GlobalKnownHostsFile none
	StrictHostKeyChecking yes
	HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256,ssh-ed25519
	CheckHostIP no
	UpdateHostKeys no
	ProxyJump none
`
)

func TestSystemConfig_IsWhatSSHNeedsAndNothingElse(t *testing.T) {
	_, rs := otherSigners(t)
	jump := sshx.Target{Addr: "[2001:db8::1]:2222", User: "admin"}
	got, err := sshx.SystemConfig([]sshx.SystemHost{
		{
			Target:        sshx.Target{Name: "nyc1-1", Addr: "192.0.2.7:22", User: "root", KeyFile: "/keys/of nyc", Jump: &jump},
			IdentityFiles: []string{"/state/my fleet/id_ed25519"}, KnownHosts: "/state/100%/known_hosts", HostKeys: []string{edKey},
		},
		{Target: jump, KnownHosts: "/state/known_hosts", HostKeys: []string{authorized(rs), edKey, edKey}},
	})
	if err != nil || got != golden {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, golden)
	}
}

func TestSystemConfig_NothingInjectsADirective(t *testing.T) {
	good := func() sshx.SystemHost {
		return sshx.SystemHost{
			Target:        sshx.Target{Name: "nyc1-1", Addr: "box.example.net:22", User: "root", KeyFile: "/k"},
			IdentityFiles: []string{"/i"}, KnownHosts: "/p", HostKeys: []string{edKey},
		}
	}
	if _, err := sshx.SystemConfig([]sshx.SystemHost{good()}); err != nil {
		t.Fatal(err)
	}
	for field, set := range map[string]func(h *sshx.SystemHost, to string){
		"name":     func(h *sshx.SystemHost, to string) { h.Target.Name = to },
		"user":     func(h *sshx.SystemHost, to string) { h.Target.User = to },
		"host":     func(h *sshx.SystemHost, to string) { h.Target.Addr = to + ":22" },
		"port":     func(h *sshx.SystemHost, to string) { h.Target.Addr = "192.0.2.7:" + to },
		"key file": func(h *sshx.SystemHost, to string) { h.Target.KeyFile = "/k" + to },
		"identity": func(h *sshx.SystemHost, to string) { h.IdentityFiles = []string{"/i" + to} },
		"pins":     func(h *sshx.SystemHost, to string) { h.KnownHosts = "/p" + to },
		"host key": func(h *sshx.SystemHost, to string) { h.HostKeys = []string{to} },
	} {
		for _, evil := range []string{
			"x\nProxyCommand id", "x\rProxyCommand id", "x\" ProxyCommand \"id", `x\`, "x\x00", "${HOME}", "\xff",
		} {
			h := good()
			set(&h, evil)
			if got, err := sshx.SystemConfig([]sshx.SystemHost{h}); err == nil {
				t.Errorf("%s %q: no error but\n%s", field, evil, got)
			}
		}
	}
	for field, bad := range map[string]func(h *sshx.SystemHost){
		"pattern":       func(h *sshx.SystemHost) { h.Target.Name = "*" },
		"negation":      func(h *sshx.SystemHost) { h.Target.Name = "!x" },
		"option":        func(h *sshx.SystemHost) { h.Target.Name = "-oProxyCommand=id" },
		"two names":     func(h *sshx.SystemHost) { h.Target.Name = "a b" },
		"no user":       func(h *sshx.SystemHost) { h.Target.User = "" },
		"token user":    func(h *sshx.SystemHost) { h.Target.User = "%u" },
		"option host":   func(h *sshx.SystemHost) { h.Target.Addr = "-x:22" },
		"no port":       func(h *sshx.SystemHost) { h.Target.Addr = "192.0.2.7:0" },
		"relative pins": func(h *sshx.SystemHost) { h.KnownHosts = "known_hosts" },
		"home":          func(h *sshx.SystemHost) { h.IdentityFiles = []string{"~/.ssh/id"} },
		"unlisted jump": func(h *sshx.SystemHost) { h.Target.Jump = &sshx.Target{Name: "j", Addr: "192.0.2.9:22", User: "root"} },
	} {
		h := good()
		bad(&h)
		if got, err := sshx.SystemConfig([]sshx.SystemHost{h}); err == nil {
			t.Errorf("%s: no error but\n%s", field, got)
		}
	}
	h := good()
	h.HostKeys = nil
	if _, err := sshx.SystemConfig([]sshx.SystemHost{h}); !errors.Is(err, sshx.ErrNoPin) {
		t.Errorf("no pin: %v, want ErrNoPin", err)
	}
	other := good()
	other.Target.Name = "NYC1-1"
	if _, err := sshx.SystemConfig([]sshx.SystemHost{good(), other}); err == nil {
		t.Error("a name twice: no error")
	}
}

func TestPins_SystemHostsListsEachJumpHostOnce(t *testing.T) {
	p := openPins(t, "")
	bastion := sshx.Target{Name: "bastion", Addr: "192.0.2.1:22", User: "root"}
	boxes := []sshx.Target{
		{Name: "a-1", Addr: "10.0.0.1:22", User: "debian", Jump: &bastion},
		{Name: "a-2", Addr: "10.0.0.2:22", User: "debian", Jump: &bastion},
		bastion, // a box itself
	}
	if _, err := p.SystemHosts(boxes); !errors.Is(err, sshx.ErrNoPin) {
		t.Errorf("without pins: %v, want ErrNoPin", err)
	}
	for _, addr := range []string{"192.0.2.1:22", "10.0.0.1:22", "10.0.0.2:22"} {
		if err := p.Set(addr, newKey(), newKey()); err != nil {
			t.Fatal(err)
		}
	}
	hosts, err := p.SystemHosts(boxes, filepath.Join(t.TempDir(), "id"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range hosts {
		names = append(names, h.Target.Name)
		if len(h.HostKeys) != 2 || h.KnownHosts != p.Path() || len(h.IdentityFiles) != 1 {
			t.Errorf("%s: %+v, want both pins, the pin file and the key", h.Target.Name, h)
		}
	}
	if got := strings.Join(names, " "); got != "a-1 bastion a-2" {
		t.Errorf("hosts %s, want each once", got)
	}
	if _, err := sshx.SystemConfig(hosts); err != nil {
		t.Errorf("their config: %v", err)
	}
}
