package sshx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"al.essio.dev/pkg/shellescape"
	"golang.org/x/crypto/ssh"
)

// Run runs a command and returns what it said. A command that was cancelled or timed
// out gives no result: it is signalled, and may or may not have done its work.
func (c *Client) Run(ctx context.Context, at Target, cmd Command) (Result, error) {
	limit := cmd.MaxOutput
	if limit <= 0 {
		limit = DefaultMaxOutput
	}
	stdout, stderr := &bounded{limit: limit}, &bounded{limit: limit}
	code, err := c.Stream(ctx, at, cmd, stdout, stderr)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Stdout: stdout.buf.Bytes(), Stderr: stderr.buf.Bytes(), ExitCode: code,
		Truncated: stdout.dropped || stderr.dropped,
	}, nil
}

// Stream runs a command and copies its output as it comes. A nil writer drops.
// Command.Timeout bounds it only if it is set. An error of a writer ends the command and is returned.
// After it has returned, nothing is written any more.
func (c *Client) Stream(ctx context.Context, at Target, cmd Command, stdout, stderr io.Writer) (int, error) {
	line, err := quote(cmd.Argv)
	if err == nil && at.Sudo {
		line, err = quote(append(sudo(), cmd.Argv...))
	}
	if err != nil {
		return 0, fmt.Errorf("%s: run: %w", subject(at.Name, at.Addr), err)
	}
	timeout := cmd.Timeout
	if _, buffered := stdout.(*bounded); buffered && timeout <= 0 {
		timeout = DefaultRunTimeout
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no end of the command within %v: %w", timeout, context.DeadlineExceeded))
		defer cancel()
	}
	fail := func(err error) error {
		return &TransportError{Node: at.Name, Addr: at.Addr, Op: "run " + cmd.Argv[0], Err: err}
	}
	k, sess, err := c.session(ctx, at)
	if err != nil {
		if known(err) {
			return 0, err
		}
		return 0, fail(err)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	out, errs := newGate(stdout, giveUp), newGate(stderr, giveUp)
	defer out.shut()
	defer errs.shut()
	sess.Stdout, sess.Stderr = out, errs
	if len(cmd.Stdin) > 0 {
		sess.Stdin = bytes.NewReader(cmd.Stdin)
	}
	err = k.do(ctx, func() error {
		defer k.release()
		defer func() { _ = sess.Close() }()
		return sess.Run(line)
	}, func() {
		_ = sess.Signal(ssh.SIGTERM)
		_ = sess.Close()
	})
	if failed := errors.Join(out.failure(), errs.failure()); failed != nil {
		return 0, fmt.Errorf("%s: output of %s: %w", subject(at.Name, at.Addr), cmd.Argv[0], failed)
	}
	var exit *ssh.ExitError
	switch {
	case err == nil:
		if at.Sudo {
			k.sudoWorks.Store(true)
		}
		return 0, nil
	case errors.As(err, &exit):
		if at.Sudo && mayBeSudo(exit.ExitStatus()) {
			return exit.ExitStatus(), c.checkSudo(ctx, at, k)
		}
		return exit.ExitStatus(), nil
	case ctx.Err() != nil:
		return 0, fail(context.Cause(ctx))
	}
	return 0, fail(k.why(err))
}

// session opens a session. A connection that turns out to be dead here is replaced
// once: nothing has been asked of the box yet.
func (c *Client) session(ctx context.Context, at Target) (*conn, *ssh.Session, error) {
	for {
		k, fresh, err := c.conn(ctx, at)
		if err != nil {
			return nil, nil, err
		}
		sess, err := k.session(ctx)
		var refused *ssh.OpenChannelError
		if err == nil || fresh || ctx.Err() != nil || errors.As(err, &refused) {
			return k, sess, err
		}
		k.kill(fmt.Errorf("no session: %w", err))
	}
}

func (k *conn) session(ctx context.Context) (*ssh.Session, error) {
	if err := k.acquire(ctx); err != nil {
		return nil, err
	}
	var (
		mu    sync.Mutex
		sess  *ssh.Session
		leave bool // the caller has gone
	)
	err := k.do(ctx, func() error {
		s, err := k.ssh.NewSession()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			k.release()
			return err
		case leave:
			k.release()
			return s.Close()
		}
		sess = s
		return nil
	}, nil)
	mu.Lock()
	defer mu.Unlock()
	if err == nil {
		return sess, nil
	}
	leave = true
	if sess != nil { // it came in the moment in which ctx ended
		_ = sess.Close()
		k.release()
	}
	return nil, k.why(err)
}

// quote makes the one string that SSH carries out of argv.
func quote(argv []string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("empty command")
	}
	for _, a := range argv {
		if strings.ContainsRune(a, 0) {
			return "", fmt.Errorf("argument %q contains a NUL byte", a)
		}
	}
	return shellescape.QuoteCommand(argv), nil
}

// known says that an error already names the box and the step.
func known(err error) bool {
	var jump *JumpError
	return errors.Is(err, ErrNoPin) || errors.Is(err, ErrHostKeyMismatch) || errors.Is(err, ErrAuth) ||
		errors.Is(err, ErrTransport) || errors.Is(err, ErrSudo) || errors.Is(err, ErrClosed) || errors.As(err, &jump)
}
