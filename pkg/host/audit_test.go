package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// shellBox is a box whose sh is this machine's, below a directory of its own. Says answers
// everything else.
func shellBox(t *testing.T, shell bool, says sshtest.Exec) (fleet.Machine, *host.Hosts, string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, host.AuditLog)
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		t.Fatal(err)
	}
	box := sshtest.Start(t, sshtest.WithDir(dir), sshtest.WithExec(func(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
		if argv[0] != "sh" {
			return says(ctx, argv, stdin, stdout, stderr)
		}
		if !shell {
			return 127
		}
		argv[len(argv)-1] = filepath.Join(dir, argv[len(argv)-1])
		c := exec.CommandContext(ctx, "sh", argv[1:]...)
		c.Stdin, c.Stdout, c.Stderr = stdin, stdout, stderr
		var exit *exec.ExitError
		switch err := c.Run(); {
		case errors.As(err, &exit):
			return exit.ExitCode()
		case err != nil:
			return 126
		}
		return 0
	}))
	at := netip.MustParseAddrPort(box.Addr)
	m := fleet.Machine{Node: "nyc1-1", User: "root", Addrs: []netip.Addr{at.Addr()}, Ports: fleet.Ports{SSH: int(at.Port())}}
	client := sshtest.Client(t, sshx.Config{}, box)
	return m, host.New(host.Config{Runner: client, Tunnel: client, Actor: "ann@desk", Command: "fleetctl exec"}), log
}

func TestExec_IsNotedByACommandThatRunsBesideIt(t *testing.T) {
	var code atomic.Int64
	m, h, log := shellBox(t, true, func(_ context.Context, _ []string, _ io.Reader, stdout, _ io.Writer) int {
		_, _ = fmt.Fprintln(stdout, "here")
		return int(code.Load())
	})
	for _, want := range []string{"ok", "uname -s: exit status 3"} {
		res, err := h.Exec(t.Context(), m, []string{"uname", "-s"})
		if err != nil || string(res.Stdout) != "here\n" || res.ExitCode != int(code.Load()) {
			t.Errorf("got %+v and error %v, want what the command said", res, err)
		}
		lines := logged(t, log)
		last := lines[len(lines)-1]
		if last.Did != "exec: uname -s" || last.Result != want || last.Actor != "ann@desk" {
			t.Errorf("got audit line %+v, want result %q", last, want)
		}
		code.Store(3)
	}
	if got := len(logged(t, log)); got != 2 {
		t.Errorf("got %d audit lines, want one for each command", got)
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got the log with mode %v and error %v, want it for its owner alone", info.Mode(), err)
	}
}

func TestExec_OnABoxWithoutAShellIsNotedAllTheSame(t *testing.T) {
	m, h, log := shellBox(t, false, func(context.Context, []string, io.Reader, io.Writer, io.Writer) int { return 0 })
	if _, err := h.Exec(t.Context(), m, []string{"uname"}); err != nil {
		t.Fatal(err)
	}
	if got := logged(t, log); len(got) != 1 || got[0].Result != "ok" {
		t.Errorf("got audit lines %+v, want one", got)
	}
}

func TestExec_ThatWasCancelledIsNoted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, h, log := shellBox(t, true, func(ctx context.Context, _ []string, _ io.Reader, _, _ io.Writer) int {
		cancel()
		<-ctx.Done()
		return 1
	})
	if _, err := h.Exec(ctx, m, []string{"sleep", "1000"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v, want canceled", err)
	}
	if got := logged(t, log); len(got) != 1 || !strings.Contains(got[0].Result, "canceled") {
		t.Errorf("got audit lines %+v, want one that says that it was cancelled", got)
	}
}

// logged are the lines of an audit log on this machine.
func logged(t *testing.T, file string) []host.AuditLine {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []host.AuditLine
	for line := range strings.Lines(string(text)) {
		var l host.AuditLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("audit line %q: %v", line, err)
		}
		out = append(out, l)
	}
	return out
}
