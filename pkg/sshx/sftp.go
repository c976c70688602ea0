package sshx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// withFiles runs work with the box's SFTP client, bounded by FileTimeout, and names box,
// operation and path in its error.
func (c *Client) withFiles(ctx context.Context, at Target, op, name string, work func(context.Context, *sftp.Client) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.FileTimeout,
		fmt.Errorf("no end within %v: %w", c.cfg.FileTimeout, context.DeadlineExceeded))
	defer cancel()
	return c.withoutLimit(ctx, at, op, name, work)
}

func (c *Client) withoutLimit(ctx context.Context, at Target, op, name string, work func(context.Context, *sftp.Client) error) error {
	what := fmt.Sprintf("%s %s", op, name)
	if err := checkPath(name); err != nil {
		return fmt.Errorf("%s: %s: %w", subject(at.Name, at.Addr), op, err)
	}
	lost := func(err error) error { return &TransportError{Node: at.Name, Addr: at.Addr, Op: what, Err: err} }
	k, fc, err := c.files(ctx, at)
	if err != nil {
		switch {
		case known(err):
			return err
		case errors.Is(err, errNoSFTP):
			return fmt.Errorf("%s: %s: %w", subject(at.Name, at.Addr), what, err)
		}
		return lost(err)
	}
	err = k.do(ctx, func() error { return work(ctx, fc) }, nil)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return lost(context.Cause(ctx))
	case k.dead(), errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		k.forgetFiles(fc)
		return lost(k.why(err))
	}
	return fmt.Errorf("%s: %s: %w", subject(at.Name, at.Addr), what, err)
}

// files returns the SFTP client of a box: root's with Target.Sudo. Like session, it replaces a
// connection once that turns out to be dead.
func (c *Client) files(ctx context.Context, at Target) (*conn, *sftp.Client, error) {
	for {
		k, fresh, err := c.conn(ctx, at)
		if err != nil {
			return nil, nil, err
		}
		fc, err := k.sftp(ctx, at.Sudo)
		if at.Sudo && errors.Is(err, errNoSFTP) {
			if noSudo := c.checkSudo(ctx, at, k); noSudo != nil {
				return nil, nil, noSudo
			}
		}
		var refused *ssh.OpenChannelError
		if err == nil || fresh || ctx.Err() != nil || errors.As(err, &refused) || errors.Is(err, errNoSFTP) {
			return k, fc, err
		}
		k.kill(fmt.Errorf("no SFTP session: %w", err))
	}
}

var errNoSFTP = errors.New("server offers no SFTP")

// sftp returns one of the connection's SFTP clients, opening it on first use and after it ended.
func (k *conn) sftp(ctx context.Context, sudo bool) (*sftp.Client, error) {
	select {
	case k.openFiles <- struct{}{}: // one caller opens, the others wait
		defer func() { <-k.openFiles }()
	case <-k.done:
		return nil, k.why(errors.New("no SFTP session"))
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	k.mu.Lock()
	fc := k.files[sudo]
	k.mu.Unlock()
	if fc != nil {
		return fc, nil
	}
	var (
		mu     sync.Mutex
		opened *sftp.Client
		leave  bool
	)
	err := k.do(ctx, func() error {
		made, err := k.newSFTP(sudo)
		mu.Lock()
		defer mu.Unlock()
		if err == nil && leave {
			return made.Close()
		}
		opened = made
		return err
	}, nil)
	mu.Lock()
	defer mu.Unlock()
	leave = true
	if err != nil {
		if opened != nil {
			_ = opened.Close()
		}
		return nil, k.why(err)
	}
	k.mu.Lock()
	k.files[sudo] = opened
	k.mu.Unlock()
	return opened, nil
}

func (k *conn) newSFTP(sudo bool) (*sftp.Client, error) {
	sess, err := k.ssh.NewSession()
	if err != nil {
		return nil, err
	}
	in, err := sess.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, sess.Close())
	}
	out, err := sess.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, sess.Close())
	}
	if err := k.startSFTP(sess, sudo); err != nil {
		_ = sess.Close()
		return nil, err
	}
	fc, err := sftp.NewClientPipe(out, in, sftp.UseConcurrentWrites(true))
	if err != nil && sudo {
		err = noSFTP(sess, in, out, err)
	}
	if err != nil {
		_ = sess.Close()
		return nil, err
	}
	if sudo {
		k.sudoWorks.Store(true)
	}
	k.client.wg.Go(func() { // the caller is counted, too
		_ = fc.Wait()
		k.forgetFiles(fc)
		_ = sess.Close()
	})
	return fc, nil
}

// startSFTP asks for the server: the subsystem, or root's program.
func (k *conn) startSFTP(sess *ssh.Session, sudo bool) error {
	if sudo {
		line, err := quote(SudoSFTP())
		if err != nil {
			return err
		}
		return sess.Start(line)
	}
	err := sess.RequestSubsystem("sftp")
	if err == nil || k.dead() || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: %w", errNoSFTP, err)
}

// noSFTP tells a program that ended without speaking SFTP from a connection that was lost.
func noSFTP(sess *ssh.Session, in io.Closer, out io.Reader, why error) error {
	_ = in.Close()
	_, _ = io.Copy(io.Discard, out)
	err := sess.Wait()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return fmt.Errorf("%w: %v", errNoSFTP, why) //nolint:errorlint // io.EOF in it would read as a lost connection
	case errors.As(err, &exit):
		return fmt.Errorf("%w: sftp-server ended with exit code %d", errNoSFTP, exit.ExitStatus())
	}
	return why
}

// forgetFiles makes the next use open a new SFTP session.
func (k *conn) forgetFiles(fc *sftp.Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.files, func(_ bool, held *sftp.Client) bool { return held == fc })
}
