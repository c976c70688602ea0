// Package host is what fleetctl says to a box: it installs releases of the relay,
// writes its configuration, starts it, waits until it serves, and reads how it is.
//
// Commands are made by small pure functions and run over [sshx.Runner]; the daemon's
// HTTP API is read through [sshx.Tunnel], so that a box needs neither curl nor an open
// port. [Hosts] is the [fleet.Hosts] of every provider whose boxes answer SSH.
//
// A release is a directory named after the SHA-256 of its binary below [Releases];
// [Current] is a symbolic link to the one that runs, switched in one step. The last
// five stay, and configuring a box with a release that is still there sends nothing:
// that is a rollback.
//
// Boxes are not trusted: what they say is bounded in size and time and cleaned of
// control characters before it becomes part of an error or a reading.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Config is what Hosts work with.
type Config struct {
	Runner sshx.Runner
	Tunnel sshx.Tunnel
	// Log gets what is waited for and what could not be noted. Nil discards it.
	Log *slog.Logger
	// HealthyDeadline bounds the wait for a relay to serve; zero means 5 minutes.
	HealthyDeadline time.Duration
	// ReadTimeout bounds one reading of a box; zero means 30 seconds.
	ReadTimeout time.Duration
	// Actor and Command say in the box's audit log who wrote and by which command.
	Actor, Command string
	// System is what the boxes are beside their relays; nil means local boxes, of which
	// nothing but the relay is read or written.
	System *System
	// Keys says which host keys boxes show. Nil means that no box has one to replace.
	Keys HostKeys
	// Plan returns the digest of the plan that is being carried out, for the audit log.
	// Nil means none.
	Plan func() string
}

// Hosts sets boxes up and reads them. It is safe for concurrent use, for one box too,
// except that two Configure calls for one box must not overlap.
type Hosts struct {
	run    sshx.Runner
	tunnel sshx.Tunnel
	log    *slog.Logger
	cfg    Config
}

var _ fleet.Hosts = (*Hosts)(nil)

// New returns Hosts over c. Runner and Tunnel must be set.
func New(c Config) *Hosts {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.HealthyDeadline == 0 {
		c.HealthyDeadline = 5 * time.Minute
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 30 * time.Second
	}
	return &Hosts{run: c.Runner, tunnel: c.Tunnel, log: c.Log, cfg: c}
}

// box is one machine under work.
type box struct {
	*Hosts
	m  fleet.Machine
	at sshx.Target
}

// own is the path of a file of the relay's state directory, named by its path in the
// default one.
func (b box) own(file string) string { return own(b.m, file) }

// ErrAdopted means that a machine was made by others and not taken over: nothing is
// changed on it.
var ErrAdopted = errors.New("adopted and not taken over: nothing is changed on it")

// ours is the box of a machine that may be changed.
func (h *Hosts) ours(m fleet.Machine) (box, error) {
	if m.Adopted {
		return box{}, fleet.WithHint(fmt.Errorf("%s: %w", m.Node, ErrAdopted), "Take it over first: fleetctl adopt --take-over "+m.Node+".")
	}
	return h.box(m)
}

func (h *Hosts) box(m fleet.Machine) (box, error) {
	at, err := Target(m)
	if err != nil {
		return box{}, err
	}
	return box{Hosts: h, m: m, at: at}, nil
}

// exitError is a command that ran and failed.
type exitError struct {
	command string
	code    int
	said    string
	absent  bool // the box does not have the command
}

func (e *exitError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("%s: exit status %d", e.command, e.code)
	}
	return fmt.Sprintf("%s: exit status %d: %s", e.command, e.code, e.said)
}

// exec runs a command that is expected to succeed and returns what it printed.
func (b box) exec(ctx context.Context, c sshx.Command) (string, error) {
	res, err := b.run.Run(ctx, b.at, c)
	if err != nil {
		return "", fmt.Errorf("%s: %w", named(c), err)
	}
	if res.ExitCode != 0 {
		said := lines(string(res.Stderr), 3)
		if len(said) == 0 {
			said = lines(string(res.Stdout), 3)
		}
		return "", &exitError{command: named(c), code: res.ExitCode, said: joined(said), absent: absent(c, res)}
	}
	return string(res.Stdout), nil
}

// all runs commands one after the other until one fails.
func (b box) all(ctx context.Context, commands ...sshx.Command) error {
	for _, c := range commands {
		if _, err := b.exec(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// named is a command as errors call it: its first words.
func named(c sshx.Command) string {
	return clean(joined(c.Argv[:min(len(c.Argv), 3)]), 200)
}
