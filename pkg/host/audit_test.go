package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// shellBox is a box whose shell is this machine's. Its audit log is below a directory of the
// test's own, which is made only if it is to have one.
func shellBox(t *testing.T, withLog bool, running func()) (fleet.Machine, *host.Hosts, string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, host.AuditLog)
	if withLog {
		if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	box := sshtest.Start(t, sshtest.WithDir(dir), sshtest.WithExec(func(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
		if _, ok := host.ParseNoted(argv); !ok {
			t.Errorf("the box was asked to run %q, want a command that it notes", argv)
			return 127
		}
		argv[3] = filepath.Join(dir, argv[3])
		c := exec.CommandContext(ctx, "sh", argv[1:]...)
		c.Stdin, c.Stdout, c.Stderr = stdin, stdout, stderr
		if err := c.Start(); err != nil {
			return 126
		}
		if running != nil {
			running()
		}
		_ = c.Wait()
		return c.ProcessState.ExitCode()
	}))
	at := netip.MustParseAddrPort(box.Addr)
	m := fleet.Machine{Node: "nyc1-1", User: "root", Addrs: []netip.Addr{at.Addr()}, Ports: fleet.Ports{SSH: int(at.Port())}}
	client := sshtest.Client(t, sshx.Config{}, box)
	return m, host.New(host.Config{Runner: client, Tunnel: client, Actor: "ann@desk", Command: "fleetctl exec"}), log
}

func TestExec_IsNotedByTheBoxThatRunsIt(t *testing.T) {
	m, h, log := shellBox(t, true, nil)
	for _, c := range []struct {
		argv   []string
		code   int
		stdout string
		stderr string
		result string
	}{
		{[]string{"echo", `a "b"`, "$c"}, 0, "a \"b\" $c\n", "", "ok"},
		{[]string{"sh", "-c", "echo here; echo there >&2; exit 3"}, 3, "here\n", "there\n", "exit status 3"},
		{[]string{"exit", "4"}, 4, "", "", "exit status 4"}, // of the command's shell, not of the one that notes it
	} {
		res, err := h.Exec(t.Context(), m, host.Proof{}, c.argv)
		if err != nil || string(res.Stdout) != c.stdout || string(res.Stderr) != c.stderr || res.ExitCode != c.code {
			t.Errorf("%q: got %q, %q, exit %d and error %v, want %q, %q, exit %d", c.argv, res.Stdout, res.Stderr, res.ExitCode, err, c.stdout, c.stderr, c.code)
		}
		lines := logged(t, log)
		last := lines[len(lines)-1]
		if !strings.HasPrefix(last.Did, "exec: "+c.argv[0]) || last.Result != c.result || last.Actor != "ann@desk" {
			t.Errorf("%q: got audit line %+v, want result %q", c.argv, last, c.result)
		}
	}
	if got := len(logged(t, log)); got != 3 {
		t.Errorf("got %d audit lines, want one for each command", got)
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got the log with mode %v and error %v, want it for its owner alone", info.Mode(), err)
	}
}

func TestExec_WhatTheBoxCouldNotNoteIsAddedFromHere(t *testing.T) {
	m, h, log := shellBox(t, false, nil)
	res, err := h.Exec(t.Context(), m, host.Proof{}, []string{"sh", "-c", "echo there >&2; exit 3"})
	if err != nil || string(res.Stderr) != "there\n" || res.ExitCode != 3 {
		t.Errorf("got %q, exit %d and error %v, want what the command said alone", res.Stderr, res.ExitCode, err)
	}
	if got := logged(t, log); len(got) != 1 || got[0].Result != "exit status 3" {
		t.Errorf("got audit lines %+v, want one that was added from here", got)
	}
}

// Of a command that says more than is kept, what the box says of its log may be dropped.
func TestExec_WhoseAnswerWasCutIsNotedAllTheSame(t *testing.T) {
	fake, m := hosttest.NewFake(), machine(22)
	h := host.New(host.Config{Runner: talker{fake}, Tunnel: fake})
	if res, err := h.Exec(t.Context(), m, host.Proof{}, []string{"yes"}); err != nil || string(res.Stderr) != "y\n" || res.ExitCode != 3 {
		t.Fatalf("got %q, exit %d and error %v, want what was kept, exit 3", res.Stderr, res.ExitCode, err)
	}
	if got, _ := fake.Box(addr(m)).File(host.AuditLog); !strings.Contains(got, `"did":"exec: yes","result":"exit status 3"`) {
		t.Errorf("got audit log %q, want a line that was added from here", got)
	}
}

// talker is a box whose answers are longer than what is kept of them.
type talker struct{ sshx.Runner }

func (talker) Run(context.Context, sshx.Target, sshx.Command) (sshx.Result, error) {
	return sshx.Result{Stderr: []byte("y\n"), ExitCode: 3, Truncated: true}, nil
}

func TestExec_RunsNothingWhereTheProofIsNotHeld(t *testing.T) {
	m, h, log := shellBox(t, true, nil)
	file := filepath.Join(t.TempDir(), "marks")
	proof := host.Proof{File: file, Is: []byte("{\n  \"fleet\": \"o'neil $x\"\n}\n")}
	run := func(touched string) error {
		_, err := h.Exec(t.Context(), m, proof, []string{"touch", touched})
		return err
	}
	for name, has := range map[string]string{
		"none": "", "another": "{}\n", "one that goes on": string(proof.Is) + "more\n", "a part": "{\n",
	} {
		if name != "none" {
			if err := os.WriteFile(file, []byte(has), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		touched := filepath.Join(t.TempDir(), "touched")
		if err := run(touched); !errors.Is(err, host.ErrUnproven) {
			t.Errorf("%s: got error %v, want that it is unproven", name, err)
		}
		if _, err := os.Stat(touched); err == nil {
			t.Errorf("%s: the command ran", name)
		}
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("got an audit log on a box that is not shown to be ours")
	}
	if err := os.WriteFile(file, proof.Is, 0o600); err != nil {
		t.Fatal(err)
	}
	touched := filepath.Join(t.TempDir(), "touched")
	if err := run(touched); err != nil {
		t.Errorf("with the proof: got error %v", err)
	}
	if _, err := os.Stat(touched); err != nil || len(logged(t, log)) != 1 {
		t.Errorf("with the proof: got %v and %d audit lines, want that it ran and was noted", err, len(logged(t, log)))
	}
}

// A command may well be this program, which was refused elsewhere: it ran all the same.
func TestExec_WhatACommandSaysIsNotTakenForARefusalToRunIt(t *testing.T) {
	m, h, log := shellBox(t, true, nil)
	proof := host.Proof{File: filepath.Join(t.TempDir(), "marks"), Is: []byte("{}\n")}
	if err := os.WriteFile(proof.File, proof.Is, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := &refusedBox{}
	if _, err := host.New(host.Config{Runner: refused}).Exec(t.Context(), machine(22), proof, []string{"true"}); !errors.Is(err, host.ErrUnproven) {
		t.Fatalf("got error %v, want that of a refusal", err)
	}
	for name, proof := range map[string]host.Proof{"proven": proof, "without a proof": {}} {
		for what, said := range map[string]string{"of another call": refused.said, "of none": "fleetctl: not shown to be of the fleet: nothing was run\n"} {
			res, err := h.Exec(t.Context(), m, proof, []string{"sh", "-c", `printf %s "$0" >&2; exit 77`, said})
			if err != nil || res.ExitCode != 77 || string(res.Stderr) != said {
				t.Errorf("%s, %s: got %q, exit %d and error %v, want what the command said, exit 77", name, what, res.Stderr, res.ExitCode, err)
			}
		}
	}
	if got := len(logged(t, log)); got != 4 {
		t.Errorf("got %d audit lines, want one for each command: all of them ran", got)
	}
}

// refusedBox is a box without the proof, and what it said.
type refusedBox struct {
	sshx.Runner
	said string
}

func (b *refusedBox) Run(_ context.Context, _ sshx.Target, c sshx.Command) (sshx.Result, error) {
	n, _ := host.ParseNoted(c.Argv)
	said, code, _ := n.Refused(nil)
	b.said = said
	return sshx.Result{Stderr: []byte(said), ExitCode: code}, nil
}

// Where nothing was to be proven, nothing was refused, whoever says so.
func TestExec_WithoutAProofNoBoxCanSayThatNothingWasRun(t *testing.T) {
	h := host.New(host.Config{Runner: echoBox{}})
	res, err := h.Exec(t.Context(), machine(22), host.Proof{}, []string{"true"})
	if err != nil || res.ExitCode != 77 {
		t.Errorf("got exit %d and error %v, want exit 77", res.ExitCode, err)
	}
}

// echoBox refuses whatever it is asked, also what is to be run without a proof.
type echoBox struct{ sshx.Runner }

func (echoBox) Run(_ context.Context, _ sshx.Target, c sshx.Command) (sshx.Result, error) {
	n, _ := host.ParseNoted(c.Argv)
	n.Proof = host.Proof{File: "/marks"}
	said, code, _ := n.Refused([]byte("x"))
	return sshx.Result{Stderr: []byte(said), ExitCode: code}, nil
}

// sudo, a shell without its locale: what is said before the refusal does not hide it.
func TestExec_ARefusalIsOneAlsoBehindWhatTheBoxSaysFirst(t *testing.T) {
	fake, m := hosttest.NewFake(), machine(22)
	h := host.New(host.Config{Runner: chatty{fake}, Tunnel: fake})
	if _, err := h.Exec(t.Context(), m, host.Proof{File: "/marks", Is: []byte("{}")}, []string{"true"}); !errors.Is(err, host.ErrUnproven) {
		t.Errorf("got error %v, want that the box is not proven", err)
	}
}

// chatty is a box without the proof whose sudo has something to say.
type chatty struct{ sshx.Runner }

func (chatty) Run(_ context.Context, _ sshx.Target, c sshx.Command) (sshx.Result, error) {
	n, _ := host.ParseNoted(c.Argv)
	said, code, _ := n.Refused(nil)
	return sshx.Result{Stderr: []byte("sudo: unable to resolve host x\n" + said), ExitCode: code}, nil
}

// A reboot takes the connection with it: what ran is noted, or it is said that it was not.
func TestExec_OfWhichTheEndIsNotKnownIsNotedOrToldAsNotNoted(t *testing.T) {
	lost := &sshx.TransportError{Op: "run sh", Err: io.EOF}
	for name, c := range map[string]struct {
		marks  string
		read   error
		logged bool // here
		noted  bool // there
	}{
		"proven":          {"{}", nil, false, true},
		"another's":       {"x", nil, false, false},
		"cannot be asked": {"", lost, true, false},
	} {
		var log bytes.Buffer
		box := &lostBox{Runner: hosttest.NewFake(), err: lost, marks: c.marks, read: c.read}
		h := host.New(host.Config{Runner: box, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if _, err := h.Exec(t.Context(), machine(22), host.Proof{File: "/marks", Is: []byte("{}")}, []string{"reboot"}); !errors.Is(err, io.EOF) {
			t.Fatalf("%s: got error %v, want that the connection was lost", name, err)
		}
		if got := log.Len() > 0; got != c.logged || box.appended != c.noted {
			t.Errorf("%s: got logged here %t and noted there %t, want %t and %t", name, got, box.appended, c.logged, c.noted)
		}
	}
}

// lostBox loses its connection while it runs a command.
type lostBox struct {
	sshx.Runner
	err, read error
	marks     string
	appended  bool
}

func (b *lostBox) Run(context.Context, sshx.Target, sshx.Command) (sshx.Result, error) {
	return sshx.Result{}, b.err
}

func (b *lostBox) ReadFile(context.Context, sshx.Target, string, int64) ([]byte, error) {
	return []byte(b.marks), b.read
}

func (b *lostBox) AppendFile(context.Context, sshx.Target, string, []byte, fs.FileMode) error {
	b.appended = true
	return nil
}

func TestExec_OnABoxThatWasNotReachedIsNoWriteThatWasNotNoted(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithAuthorizedKeys()) // it lets nobody in
	at := netip.MustParseAddrPort(box.Addr)
	m := fleet.Machine{Node: "nyc1-1", User: "root", Addrs: []netip.Addr{at.Addr()}, Ports: fleet.Ports{SSH: int(at.Port())}}
	client := sshtest.Client(t, sshx.Config{}, box)
	var log bytes.Buffer
	h := host.New(host.Config{Runner: client, Tunnel: client, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := h.Exec(t.Context(), m, host.Proof{}, []string{"true"}); !errors.Is(err, sshx.ErrAuth) {
		t.Fatalf("got error %v, want that the login is refused", err)
	}
	if log.Len() > 0 {
		t.Errorf("got %q, want no word of a write: nothing ran", log.String())
	}
}

// What a command says is its own, also where it looks like what the box says.
func TestExec_ThatEndsAsARefusalDoesIsNoneUnlessItSaysSo(t *testing.T) {
	m, h, _ := shellBox(t, true, nil)
	res, err := h.Exec(t.Context(), m, host.Proof{}, []string{"sh", "-c", "echo denied >&2; exit 77"})
	if err != nil || res.ExitCode != 77 || string(res.Stderr) != "denied\n" {
		t.Errorf("got %q, exit %d and error %v, want what the command said", res.Stderr, res.ExitCode, err)
	}
}

func TestExec_ThatWasCancelledOnABoxThatIsNotShownToBeOursIsNotNotedThere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, h, log := shellBox(t, true, cancel)
	if _, err := h.Exec(ctx, m, host.Proof{File: "/nowhere/marks", Is: []byte("{}")}, []string{"sleep", "1000"}); err == nil {
		t.Fatal("got no error of a command that did not run")
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("got an audit log on a box that is not shown to be ours")
	}
}

func TestExec_ThatWasCancelledIsNoted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, h, log := shellBox(t, true, cancel)
	going := filepath.Join(t.TempDir(), "going") // the shell is killed, not what it began
	if err := os.WriteFile(going, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(going) })
	if _, err := h.Exec(ctx, m, host.Proof{}, []string{"sh", "-c", `while [ -e "$0" ]; do sleep 0.05; done`, going}); !errors.Is(err, context.Canceled) {
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
