package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/term"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/statedir"
)

// stream says what is known of stdin, stdout or stderr.
type stream struct {
	terminal bool
	width    func() int // columns, 0: unknown or no terminal
}

// app is what commands may touch of the process: tests make their own.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	in, out, err   stream // what the three above are
	dir            string // the working directory, absolute
	executable     string // the path of this program
	env            func(name string) (string, bool)
	now            func() time.Time
	wrap           func(fleet.Backends) fleet.Backends // every Backends goes through it
	wrapRunner     func(sshx.Runner) sshx.Runner       // and every Runner below them

	globals globals // the global flags, as soon as a command runs
}

// processApp is the app of the real process.
func processApp() *app {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	executable, err := os.Executable()
	if err != nil {
		executable = os.Args[0]
	}
	return &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		in: streamOf(os.Stdin), out: streamOf(os.Stdout), err: streamOf(os.Stderr),
		dir: dir, executable: executable,
		env: os.LookupEnv, now: time.Now,
		wrap:       func(b fleet.Backends) fleet.Backends { return b },
		wrapRunner: func(r sshx.Runner) sshx.Runner { return r },
	}
}

func streamOf(f *os.File) stream {
	return stream{
		terminal: isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()),
		width: func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0
			}
			return width
		},
	}
}

// getenv is the value of an environment variable, "" if it is not set.
func (a *app) getenv(name string) string {
	value, _ := a.env(name)
	return value
}

// abs makes a path that the operator wrote absolute.
func (a *app) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(a.dir, path)
}

// columns is the width for text on a stream: that of its terminal, else COLUMNS if
// that is set, else 0 (no limit).
func (a *app) columns(s stream) int {
	if s.terminal {
		if width := s.width(); width > 0 {
			return width
		}
		return 80
	}
	width, err := strconv.Atoi(a.getenv("COLUMNS"))
	if err != nil || width < 20 {
		return 0
	}
	return width
}

// outOptions is how results are written to stdout.
func (a *app) outOptions() render.Options {
	return render.Options{
		Format:   a.globals.output.format,
		NoHeader: a.globals.noHeader,
		Width:    a.columns(a.out),
		Colour:   render.Colourful(a.globals.colour.value, a.getenv, a.out.terminal),
		Graphic:  render.Graphic(a.getenv, a.out.terminal),
	}
}

// show writes a result in the format that was asked for.
func (a *app) show(v render.View) error {
	if err := render.Write(a.stdout, v, a.outOptions()); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// say writes a line for people to stderr, unless --quiet. What came from outside
// must have passed render.Safe.
func (a *app) say(format string, args ...any) {
	if !a.globals.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// busy says on a terminal what a command that only looks waits for, until done is
// called. It leaves nothing behind, and is nothing where lines cannot be taken back.
func (a *app) busy(what string) (done func()) {
	if !a.err.terminal || a.globals.quiet || a.getenv("TERM") == "dumb" {
		return func() {}
	}
	fmt.Fprintf(a.stderr, "%s …", what)
	return func() { fmt.Fprint(a.stderr, "\r\x1b[K") }
}

// logger writes to stderr what --verbose and --trace ask for: warnings by default,
// errors only with --quiet.
func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.globals.trace:
		level = slog.LevelDebug - 4
	case a.globals.verbose:
		level = slog.LevelDebug
	case a.globals.quiet:
		level = slog.LevelError
	}
	options := &slog.HandlerOptions{Level: level}
	if a.globals.logFormat.value == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}

// libp2pLog takes what go-libp2p says to its developers: nothing unless --trace asks.
func (a *app) libp2pLog() slog.Handler {
	if a.globals.trace {
		return a.logger().Handler()
	}
	return slog.DiscardHandler
}

// progress shows the events of a run on stderr. Close it before the result is shown.
func (a *app) progress() *render.Progress {
	return render.NewProgress(a.stderr, render.ProgressOptions{
		JSON:   a.globals.logFormat.value == "json",
		Live:   a.err.terminal && a.getenv("TERM") != "dumb",
		Quiet:  a.globals.quiet,
		Colour: render.Colourful(a.globals.colour.value, a.getenv, a.err.terminal),
		Width:  func() int { return a.columns(a.err) },
	})
}

// holder says who holds the fleet's lock while command runs.
func (a *app) holder(command string) statedir.Holder {
	h := statedir.Holder{Command: command, PID: os.Getpid(), Since: a.now().UTC().Truncate(time.Second)}
	if u, err := user.Current(); err == nil {
		h.User = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		h.Host = host
	}
	return h
}

// stateBase is the directory of all fleets' state on this computer.
func (a *app) stateBase() (string, error) { return statedir.Base(a.getenv) }

// openState opens the state directory of a spec's fleet, making it if need be.
func (a *app) openState(s fleet.Spec) (*statedir.Dir, error) {
	base, err := a.stateBase()
	if err != nil {
		return nil, err
	}
	return statedir.Open(base, s.Name, a.specPath())
}

// readState opens the state directory for a command that must change nothing. A
// directory that is not there is no error.
func (a *app) readState(s fleet.Spec) (*statedir.Dir, error) {
	base, err := a.stateBase()
	if err != nil {
		return nil, err
	}
	return statedir.OpenReadOnly(base, s.Name, a.specPath())
}

// interrupted reports whether the operator asked to stop.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
