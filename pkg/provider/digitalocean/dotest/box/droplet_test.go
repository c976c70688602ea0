package box

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// login tries to log in and returns the host key that was shown, "" if none was.
func login(t *testing.T, m fleet.Machine, user string, with ssh.Signer) (shown string, err error) {
	t.Helper()
	addr := net.JoinHostPort(m.Addrs[0].String(), strconv.Itoa(m.Ports.SSH))
	c, err := ssh.Dial("tcp", addr, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(with)}, Timeout: 10 * time.Second,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			shown = sshx.AuthorizedKey(key)
			return nil
		},
	})
	if err == nil {
		err = c.Close()
	}
	return shown, err
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	private, _, err := sshx.NewHostKey()
	must(t, "make a key", err)
	signer, err := ssh.ParsePrivateKey(private)
	must(t, "read the key", err)
	return signer
}

func TestBoot_LetsInAndShowsWhatTheUserDataSays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann, ben := newSigner(t), newSigner(t)
	s.key = sshx.AuthorizedKey(ann.PublicKey())
	order, m := s.order(t)
	order.PublicKeys = []string{sshx.AuthorizedKey(ben.PublicKey())}
	begin := time.Now()
	var err error
	m.Addrs, err = s.Boot(t.Context(), order)
	must(t, "Boot", err)
	t.Logf("booted within %s", time.Since(begin))
	shown, err := login(t, m, "fleetctl", ann)
	if err != nil || shown != m.HostKey {
		t.Errorf("login: got %v and host key %q, want %q", err, shown, m.HostKey)
	}
	if _, err := login(t, m, "fleetctl", ben); err == nil {
		t.Error("a key that is not in the user data was let in")
	}
	if _, err := login(t, m, "root", ann); err == nil {
		t.Error("root was let in")
	}
	if c, err := net.Dial("tcp", net.JoinHostPort(m.Addrs[0].String(), "22")); err == nil {
		_ = c.Close()
		t.Error("port 22 answers, want the port of the user data alone")
	}
}

func TestBoot_WithoutUserDataLetsRootInWithTheAccountsKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := newSigner(t)
	order, m := s.order(t)
	order.UserData = "#cloud-config\nwrite_files: [{path: /etc/ssh/sshd_config.d/port.conf, content: \"Port 2222\\n\"}]\n"
	order.PublicKeys = []string{sshx.AuthorizedKey(ann.PublicKey())}
	var err error
	m.Addrs, err = s.Boot(t.Context(), order)
	must(t, "Boot", err)
	if shown, err := login(t, m, "root", ann); err != nil || shown == "" {
		t.Errorf("login as root: got %v and host key %q, want a key of the machine's own", err, shown)
	}
}

func TestCloudInit_SaysWhatFailed(t *testing.T) {
	t.Parallel()
	const port = "- {path: /etc/ssh/sshd_config.d/port.conf, content: \"Port 2222\\n\"}\n"
	for name, c := range map[string]struct{ data, want string }{
		"a good one":   {"write_files:\n" + port, ""},
		"a bad mode":   {"write_files:\n" + port + "- {path: /x, permissions: rw}\n", "permissions"},
		"bad base64":   {"write_files:\n" + port + "- {path: /x, encoding: b64, content: '?'}\n", "illegal base64"},
		"no such name": {"users: [{name: 'a:b'}]\nwrite_files:\n" + port, "no user"},
		"gzip":         {"write_files:\n" + port + "- {path: /x, encoding: gz, content: '?'}\n", "encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			order, m := s.order(t)
			order.UserData, order.PublicKeys = "#cloud-config\n"+c.data, []string{s.key}
			addrs, err := s.Boot(t.Context(), order)
			must(t, "Boot", err)
			d, err := s.find(order.ID)
			must(t, "find", err)
			m.Addrs, m.User, m.Sudo, m.HostKey = addrs, "root", false, shownBy(t, d)
			must(t, "pin", s.pins.Set(s.at(t, m).Addr, m.HostKey))
			out, _, code := s.run(t, m, "cloud-init", "status", "--wait", "--format", "json")
			if bad := c.want != ""; (code == 1) != bad || strings.Contains(out, `"status": "done"`) == bad || !strings.Contains(out, c.want) {
				t.Errorf("status: got exit %d, %s, want one that says %q", code, out, c.want)
			}
			log := s.mustRun(t, m, "tail", "-n", "5", "/var/log/cloud-init-output.log")
			if !strings.Contains(log, c.want) || !strings.Contains(log, "finished") {
				t.Errorf("log: got %q, want one that says %q", log, c.want)
			}
		})
	}
}

// shownBy is the host key of a machine, read on its disk.
func shownBy(t *testing.T, d *droplet) string {
	t.Helper()
	key, err := readKey(d.jail, "/"+bootHostKey)
	must(t, "host key", err)
	return sshx.AuthorizedKey(key.PublicKey())
}

func TestParseUserData_DoesNotRepeatWhatItCannotRead(t *testing.T) {
	for _, text := range []string{"#!/bin/sh\nSECRET\n", "#cloud-config\nssh_keys: [SECRET\n", "#cloud-config\n- SECRET\n"} {
		if _, err := parseUserData(text); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: got %v, want an error without the text", text, err)
		}
	}
}

func TestPower_CutAndGivenBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.serving(t, "stubborn")
	pid := s.PID(id)
	addr := s.at(t, m).Addr
	begin := time.Now()
	must(t, "PowerOff", s.PowerOff(t.Context(), id))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("PowerOff took %s: a plug is pulled, nothing is asked to stop", took)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("relay without power: got %v, want no process %d", err, pid)
	}
	for _, at := range []string{addr, netip.AddrPortFrom(m.Addrs[0], 9100).String()} {
		if c, err := net.Dial("tcp", at); err == nil {
			_ = c.Close()
			t.Errorf("%s answers without power", at)
		}
	}
	must(t, "PowerOff again", s.PowerOff(t.Context(), id))
	must(t, "PowerOn", s.PowerOn(t.Context(), id))
	must(t, "PowerOn again", s.PowerOn(t.Context(), id))
	eventually(t, "the relay is back", func() bool { return s.property(t, m, "ActiveState") == "active" })
	s.mustRun(t, m, "systemctl", "disable", relayUnit)
	must(t, "PowerOff", s.PowerOff(t.Context(), id))
	must(t, "PowerOn", s.PowerOn(t.Context(), id))
	if got := s.property(t, m, "ActiveState") + " " + s.property(t, m, "NRestarts"); got != "inactive 0" {
		t.Errorf("relay that is not enabled: got %q after a boot, want inactive 0", got)
	}
}

func TestDestroy_LeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.serving(t, "stubborn")
	other, kept := s.serving(t, "management")
	pid, root := s.PID(id), s.Root(id)
	must(t, "Destroy", s.Destroy(t.Context(), id))
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("relay: got %v, want no process %d", err, pid)
	}
	if _, err := os.Lstat(filepath.Dir(root)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: got %v, want it gone", err)
	}
	if c, err := net.Dial("tcp", s.at(t, m).Addr); err == nil {
		_ = c.Close()
		t.Error("SSH of a destroyed machine answers")
	}
	must(t, "Destroy again", s.Destroy(t.Context(), id))
	if err := errors.Join(s.PowerOn(t.Context(), id)); !errors.Is(err, errGone) {
		t.Errorf("PowerOn of a destroyed machine: got %v, want %v", err, errGone)
	}
	if s.property(t, kept, "ActiveState") != "active" || s.PID(other) == 0 {
		t.Error("the other machine's relay does not run any more")
	}
}

func TestBoot_ThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	order, _ := s.order(t)
	if _, err := s.Boot(ended, order); !errors.Is(err, context.Canceled) {
		t.Errorf("Boot with a context that ended: got %v", err)
	}
	order.UserData = "#cloud-config\nwrite_files: [{path: /etc/ssh/sshd_config.d/x.conf, content: \"Prot 2222\\n\"}]\n"
	if _, err := s.Boot(t.Context(), order); err == nil || !strings.Contains(err.Error(), "bad configuration option: Prot") {
		t.Errorf("Boot with a bad sshd configuration: got %v", err)
	}
	if left, err := os.ReadDir(s.dir); err != nil && !errors.Is(err, os.ErrNotExist) || len(left) > 0 {
		t.Errorf("left: got %v, %v, want nothing", left, err)
	}
}

func TestBoot_BadSSHConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	order, _ := s.order(t)
	order.UserData = strings.Replace(order.UserData, "Port 2222", "Include /etc/ssh/sshd_config", 1)
	if _, err := s.Boot(t.Context(), order); err == nil || !strings.Contains(err.Error(), "too many recursive") {
		t.Errorf("Boot with a configuration that includes itself: got %v", err)
	}
	order.UserData = strings.Replace(order.UserData, "Include /etc/ssh/sshd_config", "Port 0", 1)
	if _, err := s.Boot(t.Context(), order); err == nil || !strings.Contains(err.Error(), "badly formatted port") {
		t.Errorf("Boot with port 0: got %v", err)
	}
}

func TestNetwork_AddressesAreGivenAwayOnce(t *testing.T) {
	t.Parallel()
	a, b := &network{}, &network{}
	defer func() { must(t, "close", errors.Join(a.close(), b.close())) }()
	var seen []netip.Addr
	for range 3 {
		for _, n := range []*network{a, b} {
			addr, l, err := n.join(sshPort)
			must(t, "join", err)
			must(t, "close", l.Close())
			if slices.Contains(seen, addr) || !addr.IsLoopback() {
				t.Errorf("address %s: given away twice, or not loopback", addr)
			}
			seen = append(seen, addr)
		}
	}
	addr, l, err := a.join(sshPort)
	must(t, "join", err)
	defer func() { must(t, "close", l.Close()) }()
	if _, err := listen(addr, sshPort); err == nil {
		t.Error("an address in use was given away again")
	}
	if a.x == b.x {
		t.Errorf("two networks: got 127.%d.0.0 for both", a.x)
	}
}

func TestIsolate_MovesWhatIsTheMachinesAloneAndNothingElse(t *testing.T) {
	addr := netip.MustParseAddr("127.20.0.2")
	got := string(isolate([]byte(`# a comment
name: "demo"
state: "/var/lib/bitterbot"
listen: ["/ip4/0.0.0.0/tcp/9100", "/ip4/0.0.0.0/udp/9101/quic-v1", "/ip6/::/tcp/9100", "/ip4/127.20.0.2/tcp/443/ws"]
announce: ["/ip4/0.0.0.0/tcp/1"]
api: "127.0.0.1:9847"
unknown: 7
limits: {memory: 536870912, circuit_duration: 2m0s}
`), "/cloud/7/root", addr))
	for _, want := range []string{
		"name: demo\n", "state: /cloud/7/root/var/lib/bitterbot\n", "api: 127.20.0.2:9847\n", "unknown: 7\n",
		"listen:\n- /ip4/127.20.0.2/tcp/9100\n- /ip4/127.20.0.2/udp/9101/quic-v1\n- /ip4/127.20.0.2/tcp/443/ws\n",
		"announce:\n- /ip4/0.0.0.0/tcp/1\n", "memory: 536870912\n", "circuit_duration: 2m0s\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("isolated: got\n%s\nwant it to say %q", got, want)
		}
	}
	for _, text := range []string{"broken: [\n", "- a list\n", ""} {
		if got := string(isolate([]byte(text), "/cloud/7/root", addr)); strings.TrimSpace(got) != strings.TrimSpace(text) && text != "" {
			t.Errorf("%q: got %q, want it left to the daemon", text, got)
		}
	}
}
