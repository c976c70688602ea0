package local

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
)

// tamed is a box for the table of commands, with a file outside it that must survive.
func tamed(t *testing.T) (s *site, m fleet.Machine, outside string) {
	t.Helper()
	s = newSite(t)
	m = s.create(t, "nyc1-1", 0)
	install(t, m)
	outside = filepath.Join(filepath.Dir(s.dir), "thesis.txt")
	must(t, "write", os.WriteFile(outside, []byte("ten years of work"), 0o600))
	return s, m, outside
}

func TestArgv_TableIsAnswered(t *testing.T) {
	t.Parallel()
	s, m, outside := tamed(t)
	c := s.dial(t, m)
	up := strings.Repeat("../", 20) + strings.TrimPrefix(outside, "/")
	for i, tc := range []struct {
		argv string
		code int
		want string // regular expression over stdout, or stderr where the code is not 0
	}{
		{"uname -s -m", 0, `^(Linux|Darwin) (x86_64|aarch64|arm64)\n$`},
		{"mkdir -p /opt/relay/releases/def/deep", 0, `^$`},
		{"mkdir -p /opt/relay/releases/def/deep", 0, `^$`},
		{"sha256sum /etc/relay/relay.yaml", 0, `^[0-9a-f]{64}  /etc/relay/relay.yaml\n$`},
		{"sha256sum /nothing", 1, `^sha256sum: /nothing: no such file`},
		{"sha256sum /etc", 1, `not a regular file`},
		{"cat /etc/relay/relay.yaml", 0, `"TCP":`},
		{"cat etc/relay/../relay/relay.yaml", 0, `"TCP":`},
		{"cat " + up, 1, `no such file`},
		{"cat " + outside, 1, `no such file`},
		{"readlink /opt/relay/current", 0, `^releases/abc\n$`},
		{"readlink /opt/relay/none", 1, `no such file`},
		{"ln -sfn releases/def /opt/relay/current.next", 0, `^$`},
		{"ln -sfn releases/abc /opt/relay/current.next", 0, `^$`},
		{"readlink /opt/relay/current.next", 0, `^releases/abc\n$`},
		{"mv -T /opt/relay/current.next /opt/relay/current", 0, `^$`},
		{"mv -T /opt/relay/current.next /opt/relay/current", 1, `no such file`},
		{"ln -sfn " + outside + " /leak", 1, `leads out of the box`},
		{"ln -sfn ../../../thesis.txt /leak", 1, `leads out of the box`},
		{"ln -sfn .. /leak", 1, `leads out of the box`},
		{"ls -1t /opt/relay/releases", 0, `^(abc\ndef|def\nabc)\n$`},
		{"ls -1t /nothing", 1, `no such file`},
		{"ls -1t /..", 0, `(?m)^opt$`},
		{"df -Pk /var", 1, `no such file`},
		{"df -Pk /opt", 0, `(?s)^Filesystem +1024-blocks.*\nbox [0-9]+ [0-9]+ [0-9]+ [0-9]+% /\n$`},
		{"rm -r -- /opt/relay/releases/def", 0, `^$`},
		{"rm -r -- /opt/relay/releases/def", 1, `no such file`},
		{"rm -r -- /opt/relay/releases", 1, `only releases`},
		{"rm -r -- /opt/relay/releases/", 1, `only releases`},
		{"rm -r -- /opt/relay/releases/../../../etc", 1, `only releases`},
		{"rm -r -- /", 1, `only releases`},
		{"rm -rf /", 127, `^rm: not found: this local box answers a fixed table of commands\n$`},
		{"rm -r /opt/relay/releases/abc", 127, `not found`},
		{"rm -r -- -rf", 127, `not found`},
		{"sh -c true", 127, `^sh: not found`},
		{"/bin/sh", 127, `not found`},
		{"cat", 127, `not found`},
		{"cat -", 127, `not found`},
		{"cat /etc/relay/relay.yaml /etc/relay/relay.yaml", 127, `not found`},
		{"systemctl daemon-reload", 0, `^$`},
		{"systemctl start sshd.service", 127, `not found`},
		{"systemctl is-active relay.service", 3, ``},
		{"systemctl enable relay.service", 0, `^$`},
		{"systemctl disable relay.service", 0, `^$`},
		{"systemctl stop relay.service", 0, `^$`},
		{"systemctl show -p ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus relay.service", 0,
			`^ActiveState=inactive\nSubState=dead\nResult=success\nNRestarts=0\nMainPID=0\nExecMainStatus=0\n$`},
		{"journalctl -u relay.service -n 5 --no-pager -o short-iso", 0, `^$`},
		{"journalctl -u relay.service -n -5 --no-pager -o short-iso", 127, `not found`},
		{"/opt/relay/current/relay version -o json", 0, `^version -o json \n$`},
		{"/opt/relay/current/relay ping /ip4/127.0.0.1/tcp/1 -o json", 0, `^ping /ip4/127.0.0.1/tcp/1 -o json \n$`},
		{"/opt/relay/current/relay ping --help -o json", 127, `not found`},
		{"/opt/relay/current/relay id --state /var/lib/relay", 0, `^id --state /.*/root/var/lib/relay \n$`},
		{"/opt/relay/current/relay run --config /etc/relay/relay.yaml", 127, `not found`},
	} {
		out, errOut, code := run(t, c, strings.Fields(tc.argv)...)
		text := out
		if tc.code != 0 {
			text = errOut
		}
		if code != tc.code || !regexp.MustCompile(tc.want).MatchString(text) {
			t.Errorf("%d %s: got exit %d, %q, want %d, %s", i, tc.argv, code, text, tc.code, tc.want)
		}
		if strings.Contains(errOut, s.dir) {
			t.Errorf("%d %s: %q names a path outside the box", i, tc.argv, errOut)
		}
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "ten years of work" {
		t.Errorf("file outside the box: got %q, %v, want it untouched", text, err)
	}
}

func TestArgv_LinksThatLeadOutAreNotFollowed(t *testing.T) {
	t.Parallel()
	s, m, outside := tamed(t)
	c := s.dial(t, m)
	// Somebody on this computer made them: over SSH nobody can.
	must(t, "link", os.Symlink(outside, filepath.Join(m.Root, "leak")))
	must(t, "link", os.Symlink(filepath.Dir(outside), filepath.Join(m.Root, "opt/relay/releases/evil")))
	for _, argv := range []string{
		"cat /leak", "sha256sum /leak", "ls -1t /opt/relay/releases/evil", "rm -r -- /opt/relay/releases/evil/thesis.txt",
		"mv -T /opt/relay/releases/evil/thesis.txt /mine", "mkdir -p /opt/relay/releases/evil/new",
	} {
		if out, _, code := run(t, c, strings.Fields(argv)...); code == 0 {
			t.Errorf("%s: got exit 0, %q, want a refusal", argv, out)
		}
	}
	mustRun(t, c, "rm", "-r", "--", "/opt/relay/releases/evil") // the link, not what it leads to
	if text, err := os.ReadFile(outside); err != nil || string(text) != "ten years of work" {
		t.Errorf("file outside the box: got %q, %v, want it untouched", text, err)
	}
}

func TestArgv_RelayOutsideTheBoxIsNotRun(t *testing.T) {
	t.Parallel()
	s, m, outside := tamed(t)
	c := s.dial(t, m)
	must(t, "unlink", os.Remove(filepath.Join(m.Root, "opt/relay/current")))
	must(t, "link", os.Symlink(filepath.Dir(outside), filepath.Join(m.Root, "opt/relay/current")))
	must(t, "program", os.WriteFile(filepath.Join(filepath.Dir(outside), "relay"), []byte("#!/bin/sh\n"), 0o700))
	if _, errOut, code := run(t, c, "systemctl", "start", "relay.service"); code != 1 {
		t.Errorf("start of a program outside the box: got exit %d, %q, want 1", code, errOut)
	}
	if _, _, code := run(t, c, "/opt/relay/current/relay", "version", "-o", "json"); code != 127 {
		t.Errorf("a program outside the box: got exit %d, want 127", code)
	}
}

func TestArgv_OperatorsEnvironmentStaysOutside(t *testing.T) {
	t.Setenv("SECRET", "token")
	s, m, _ := tamed(t)
	if out := mustRun(t, s.dial(t, m), "/opt/relay/current/relay", "version", "-o", "json"); strings.Contains(out, "token") {
		t.Errorf("the relay sees the operator's environment: %q", out)
	}
}
