package sshx_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// asRoot is the box worked on through sudo.
func asRoot(box *sshtest.Box) sshx.Target {
	at := box.Target("nyc1-1")
	at.User, at.Sudo = "debian", true
	return at
}

func TestSudo_CommandsAndFilesGoThroughIt(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithSudo())
	c := sshtest.Client(t, sshx.Config{}, box)
	at := asRoot(box)
	r, err := c.Run(within(t), at, sshx.Command{Argv: []string{"echo", "a b", "$HOME"}})
	if want := `["a b" "$HOME"]`; err != nil || string(r.Stdout) != want {
		t.Errorf("echo = %q, %v; want %s", r.Stdout, err, want)
	}
	if r, err := c.Run(within(t), at, sshx.Command{Argv: []string{"fail"}}); err != nil || r.ExitCode != 3 {
		t.Errorf("fail = %d, %v; want 3", r.ExitCode, err)
	}
	if err := c.WriteFile(within(t), at, "/etc/relay.json", []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.AppendFile(within(t), at, "/etc/relay.json", []byte(" two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := c.ReadFile(within(t), at, "/etc/relay.json", 100); err != nil || string(got) != "one two" {
		t.Errorf("read %q, %v; want what was written", got, err)
	}
	local, sum := localFile(t, 1000)
	if err := c.Upload(within(t), at, local, "/opt/relay", sum, 0o755); err != nil {
		t.Error(err)
	}
	if err := c.Remove(within(t), at, "/opt/relay"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(box.Dir + "/opt/relay"); err == nil {
		t.Error("the removed file is there")
	}
	if got := box.Dials(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

func TestSudo_FilesDoNotGoThroughTheSubsystem(t *testing.T) {
	var ran [][]string
	box := sshtest.Start(t, sshtest.WithExec(func(_ context.Context, argv []string, _ io.Reader, _, _ io.Writer) int {
		ran = append(ran, argv)
		return 0 // ends at once without a word of SFTP
	}))
	c := sshtest.Client(t, sshx.Config{}, box)
	_, err := c.ReadFile(within(t), asRoot(box), "/etc/shadow", 100)
	if err == nil || errors.Is(err, sshx.ErrTransport) || !strings.Contains(err.Error(), "SFTP") {
		t.Errorf("got %v, want an error that names SFTP", err)
	}
	if want := [][]string{sshx.SudoSFTP(), sshx.SudoProbe()}; !slices.EqualFunc(ran, want, slices.Equal[[]string]) {
		t.Errorf("ran %q, want %q", ran, want)
	}
}

func TestSudo_OneConnectionServesBoth(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithSudo())
	c := sshtest.Client(t, sshx.Config{}, box)
	plain := asRoot(box)
	plain.Sudo = false
	for _, at := range []sshx.Target{plain, asRoot(box), plain} {
		if _, err := c.Run(within(t), at, echo); err != nil {
			t.Error(err)
		}
		if err := c.WriteFile(within(t), at, "/x", nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	if got := box.Dials(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

func TestSudo_ThatAsksOrIsMissingIsNamedInTime(t *testing.T) {
	missing := sshtest.WithExec(func(_ context.Context, argv []string, _ io.Reader, _, stderr io.Writer) int {
		_, _ = io.WriteString(stderr, "sh: 1: "+argv[0]+": not found\x1b[31m\n")
		return 127
	})
	for name, tc := range map[string]struct {
		fault sshtest.Option
		hint  string
	}{
		"asks for a password": {sshtest.SudoAsksForPassword(), "NOPASSWD"},
		"is missing":          {missing, "install sudo"},
	} {
		t.Run(name, func(t *testing.T) {
			box := sshtest.Start(t, tc.fault)
			c := sshtest.Client(t, sshx.Config{}, box)
			start := time.Now()
			_, ran := c.Run(within(t), asRoot(box), echo)
			_, read := c.ReadFile(within(t), asRoot(box), "/x", 1)
			for what, err := range map[string]error{"run": ran, "read": read} {
				var sudo *sshx.SudoError
				if !errors.As(err, &sudo) || !errors.Is(err, sshx.ErrSudo) || errors.Is(err, sshx.ErrTransport) {
					t.Fatalf("%s: %v, want SudoError", what, err)
				}
				if !strings.Contains(sudo.Hint(), tc.hint) || sudo.User != "debian" || strings.Contains(err.Error(), "\x1b") {
					t.Errorf("%s: %q with hint %q, want the user, a hint with %s, and clean text", what, err, sudo.Hint(), tc.hint)
				}
			}
			if d := time.Since(start); d > soon/2 {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestSudo_FailureOfTheCommandItselfIsNoSudoError(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithSudo(), sshtest.WithExec(func(_ context.Context, argv []string, _ io.Reader, _, stderr io.Writer) int {
		_, _ = io.WriteString(stderr, "sudo: a password is required\n") // so says the command
		return 1
	}))
	c := sshtest.Client(t, sshx.Config{}, box)
	for range 2 {
		if r, err := c.Run(within(t), asRoot(box), sshx.Command{Argv: []string{"false"}}); err != nil || r.ExitCode != 1 {
			t.Errorf("false = %d, %v; want 1 and no error", r.ExitCode, err)
		}
	}
}
