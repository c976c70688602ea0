package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
)

// testApp is an app without a terminal, without an environment but a home of its own.
func testApp(t *testing.T) (a *app, stdout, stderr *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{"HOME": dir}
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return &app{
		stdin: strings.NewReader(""), stdout: stdout, stderr: stderr,
		dir: dir, executable: "fleetctl",
		env:  func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		now:  func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		wrap: func(b fleet.Backends) fleet.Backends { return b },
	}, stdout, stderr
}

// onTerminal makes a read answers as if somebody typed them.
func onTerminal(a *app, answers io.Reader) {
	terminal := stream{terminal: true, width: func() int { return 80 }}
	a.stdin, a.in, a.out, a.err = answers, terminal, terminal, terminal
}

func TestConfirm_AsksOnATerminalOnly(t *testing.T) {
	for name, c := range map[string]struct {
		yes, noInput, terminal bool
		answer                 string
		ok                     bool
		asks                   bool
	}{
		"yes on a terminal":   {terminal: true, answer: "yes\n", ok: true, asks: true},
		"y on a terminal":     {terminal: true, answer: "Y\n", ok: true, asks: true},
		"no on a terminal":    {terminal: true, answer: "no\n", asks: true},
		"nothing typed":       {terminal: true, answer: "\n", asks: true},
		"end of input":        {terminal: true, asks: true},
		"no terminal":         {answer: "yes\n"},
		"--no-input":          {terminal: true, noInput: true, answer: "yes\n"},
		"--yes":               {yes: true, ok: true},
		"--yes on a terminal": {yes: true, terminal: true, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, stderr := testApp(t)
			a.stdin = strings.NewReader(c.answer)
			if c.terminal {
				onTerminal(a, a.stdin)
			}
			a.globals.yes, a.globals.noInput = c.yes, c.noInput
			err := a.confirm(t.Context(), "Go on?")
			if (err == nil) != c.ok {
				t.Errorf("confirm: got %v, want confirmed %t", err, c.ok)
			}
			if asked := strings.Contains(stderr.String(), "Go on? [y/N] "); asked != c.asks {
				t.Errorf("asked: got %t, want %t", asked, c.asks)
			}
			if err == nil {
				return
			}
			if code := exitCode(err); code != exitRefused {
				t.Errorf("exit code: got %d, want %d", code, exitRefused)
			}
			if hint := fleet.Hint(err); !c.asks && !strings.Contains(hint, "--yes") {
				t.Errorf("hint: got %q, want one that names --yes", hint)
			}
		})
	}
}

func TestConfirm_CtrlCEndsTheQuestion(t *testing.T) {
	a, _, _ := testApp(t)
	in, typist := io.Pipe()
	defer func() { _ = typist.Close() }()
	onTerminal(a, in)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.confirm(ctx, "Go on?"); !errors.Is(err, context.Canceled) {
		t.Errorf("confirm: got %v, want context.Canceled", err)
	}
}

func TestRun_EveryFlagHasAnEnvironmentName(t *testing.T) {
	a, stdout, stderr := testApp(t)
	a.env = func(name string) (string, bool) {
		return map[string]string{"FLEETCTL_CONFIG": "blue.yaml", "FLEETCTL_NAME": "blue", "FLEETCTL_QUIET": "1"}[name], true
	}
	if code := run(t.Context(), a, []string{"init"}); code != 0 {
		t.Fatalf("init: exit %d, %s", code, stderr)
	}
	if want := "wrote blue.yaml: fleet blue\nnext: fleetctl up --config blue.yaml\n"; stdout.String() != want {
		t.Errorf("stdout: got %q, want %q", stdout, want)
	}
	if !a.globals.quiet {
		t.Error("FLEETCTL_QUIET=1 did not set --quiet")
	}
}

func TestFleetName_IsADNSLabel(t *testing.T) {
	for dir, want := range map[string]string{
		"blue":                         "blue",
		"My Fleet_2":                   "my-fleet-2",
		"--x--":                        "x",
		"/":                            "fleet",
		"日本":                           "fleet",
		"a..b":                         "a-b",
		strings.Repeat("a", 40):        strings.Repeat("a", 32),
		strings.Repeat("a", 31) + "-b": strings.Repeat("a", 31),
	} {
		got := fleetName(dir)
		if got != want {
			t.Errorf("fleetName(%q): got %q, want %q", dir, got, want)
		}
		if _, err := fleet.Load(fleet.Example(got, fleet.ProviderLocal, newID()), "fleet.yaml"); err != nil {
			t.Errorf("the example for %q does not load: %v", got, err)
		}
	}
}

func TestNearest_OffersOnlyWhatIsNear(t *testing.T) {
	known := []string{"status", "stats", "up", "down"}
	for name, want := range map[string]string{"statsu": "stats", "stat": "stats", "statuss": "status", "u": "up", "restart": "", "": "", "UP": "up"} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q): got %q, want %q", name, got, want)
		}
	}
}
