//go:build e2e

package sshx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// TestSystemConfig_RealSSHReadsItAndGetsThrough runs the system's ssh through a jump host, and to one that lies.
func TestSystemConfig_RealSSHReadsItAndGetsThrough(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my 100% fleet")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := sshx.GenerateKey(filepath.Join(dir, "id_ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	lets := sshtest.WithAuthorizedKeys(key.Signer.PublicKey())
	say := sshtest.WithExec(func(_ context.Context, argv []string, _ io.Reader, stdout, _ io.Writer) int {
		_, _ = fmt.Fprintf(stdout, "box says %s", strings.Join(argv, " "))
		return 7
	})
	ec, rs := otherSigners(t)
	box := sshtest.Start(t, lets, say, sshtest.WithHostKeys(ec, rs))
	liar := sshtest.Start(t, lets, say, sshtest.LieAboutHostKey(sshtest.NewSigner()))
	jump := sshtest.Start(t, lets, sshtest.WithTunnel(box.Addr, box.Addr))
	pins, err := sshx.OpenPins(filepath.Join(dir, "known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, pinned := range map[string]string{box.Addr: authorized(rs), liar.Addr: liar.HostKey, jump.Addr: jump.HostKey} {
		if err := pins.Set(addr, pinned); err != nil {
			t.Fatal(err)
		}
	}
	hosts, err := pins.SystemHosts([]sshx.Target{behind(box, "nyc1-1", jump.Target("")), liar.Target("liar")}, filepath.Join(dir, "id_ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := sshx.SystemConfig(hosts)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ssh_config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, err := exec.CommandContext(within(t), "ssh", "-G", "-F", file, "nyc1-1").CombinedOutput()
	if err != nil {
		t.Fatalf("ssh -G: %v: %s", err, parsed)
	}
	for _, want := range []string{
		"hostname 127.0.0.1", "user root", "identitiesonly yes", "stricthostkeychecking true",
		"hostkeyalgorithms rsa-sha2-512,rsa-sha2-256", "proxyjump " + hosts[1].Target.Name, "globalknownhostsfile none",
	} {
		if !strings.Contains(string(parsed), want+"\n") {
			t.Errorf("ssh -G does not say %q:\n%s", want, parsed)
		}
	}
	var stderr strings.Builder
	through := exec.CommandContext(within(t), "ssh", "-F", file, "-o", "BatchMode=yes", "nyc1-1", "hello")
	through.Stderr = &stderr
	out, err := through.Output()
	if code := exitCode(err); string(out) != "box says hello" || code != 7 {
		t.Errorf("ssh nyc1-1: %q, exit code %d; want the box's words and 7: %s", out, code, stderr.String())
	}
	out, err = exec.CommandContext(within(t), "ssh", "-F", file, "-o", "BatchMode=yes", "liar", "hello").CombinedOutput()
	if code := exitCode(err); code != 255 || len(liar.Ran()) != 0 {
		t.Errorf("ssh liar: %s, exit code %d; want 255 and nothing run", out, code)
	}
}

func exitCode(err error) int {
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return exited.ExitCode()
	}
	return 0
}

// TestSudoSFTP_FindsTheSystemsServer runs what sudo would.
func TestSudoSFTP_FindsTheSystemsServer(t *testing.T) {
	argv := sshx.SudoSFTP()[3:]
	cmd := exec.CommandContext(within(t), argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := sftp.NewClientPipe(out, in)
	if err != nil {
		t.Fatalf("no SFTP: %v", err)
	}
	if wd, err := c.Getwd(); err != nil || wd == "" {
		t.Errorf("working directory %q, %v", wd, err)
	}
	_ = c.Close()
	_ = cmd.Wait()
}
