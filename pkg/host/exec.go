package host

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Bounds of a command that the operator runs.
const (
	execTimeout = 10 * time.Minute
	execOutput  = 16 << 20
)

// Exec runs a command of the operator's on a box and returns what it said, as it said
// it: whoever prints it cleans it. It is noted in the audit log: nobody knows what it
// changes. It is an ErrUnproven, and nothing is run, where the box does not hold the proof;
// that costs no round trip. An adopted machine is asked for none.
func (h *Hosts) Exec(ctx context.Context, m fleet.Machine, proof Proof, argv []string) (sshx.Result, error) {
	b, err := h.box(m)
	if err != nil {
		return sshx.Result{}, err
	}
	res, err := b.noted(ctx, "exec: "+clean(joined(argv), 300), proof, sshx.Command{Argv: argv, Timeout: execTimeout, MaxOutput: execOutput})
	if err != nil {
		return sshx.Result{}, fmt.Errorf("run %s: %w", named(sshx.Command{Argv: argv}), err)
	}
	return res, nil
}

// Logs copies the last n lines of the relay's journal to stdout, and with follow what
// comes after, until ctx ends; that is then no error. Control characters are dropped.
func (h *Hosts) Logs(ctx context.Context, m fleet.Machine, n int, follow bool, stdout io.Writer) error {
	b, err := h.box(m)
	if err != nil {
		return err
	}
	if m.Adopted && serviceOf(m) == fleet.ServiceSystemd {
		return b.othersLogs(ctx, n, follow, stdout)
	}
	return b.logs(ctx, managerOf(m).journal(n, follow), follow, stdout)
}

// logs copies what a command that prints a journal says.
func (b box) logs(ctx context.Context, c sshx.Command, follow bool, stdout io.Writer) error {
	var said head
	code, err := b.run.Stream(ctx, b.at, c, &filter{to: stdout}, &said)
	switch {
	case follow && ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("read the journal: %w", err)
	case code != 0:
		return &exitError{command: named(c), code: code, said: joined(lines(string(said.buf), 3))}
	}
	return nil
}

// head keeps the first bytes that are written to it and drops the rest.
type head struct{ buf []byte }

func (t *head) Write(p []byte) (int, error) {
	if room := 4096 - len(t.buf); room > 0 {
		t.buf = append(t.buf, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
