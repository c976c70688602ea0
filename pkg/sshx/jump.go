package sshx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// maxJumps bounds the jump hosts on the way to one box.
const maxJumps = 4

// route is what one connection is shared by: user, address and key file of the box and of every jump host
// before it.
type route string

// routeTo names the way to a box. A way that visits an address twice, or is too long, is a JumpError.
func routeTo(at Target) (route, error) {
	var way []byte
	seen := map[string]bool{}
	for hop := &at; hop != nil; hop = hop.Jump {
		switch {
		case seen[hop.Addr]:
			return "", refuseWay(at, hop, errors.New("the way visits it twice"))
		case len(seen) > maxJumps:
			return "", refuseWay(at, hop, fmt.Errorf("more than %d jump hosts", maxJumps))
		}
		seen[hop.Addr] = true
		for _, part := range []string{hop.User, hop.Addr, hop.KeyFile} {
			way = strconv.AppendQuote(way, part)
		}
	}
	return route(way), nil
}

func refuseWay(at Target, hop *Target, why error) error {
	return fmt.Errorf("%s: %w", subject(at.Name, at.Addr), &JumpError{
		Via: subject(hop.Name, hop.Addr), Err: why, hint: "name jump hosts that lead to the box without a loop",
	})
}

// reach opens the connection that SSH is spoken on: TCP, or a channel of the jump host.
func (c *Client) reach(ctx context.Context, at Target) (net.Conn, error) {
	fail := func(err error) error { return &TransportError{Node: at.Name, Addr: at.Addr, Op: "dial", Err: err} }
	if at.Jump == nil {
		d := net.Dialer{Timeout: c.cfg.DialTimeout}
		nc, err := d.DialContext(ctx, "tcp", at.Addr)
		if err != nil {
			return nil, fail(err)
		}
		return nc, nil
	}
	nc, err := c.open(ctx, *at.Jump, at.Addr, func(err error) error { return err })
	if err == nil {
		return nc, nil
	}
	jumped := &JumpError{Via: subject(at.Jump.Name, at.Jump.Addr), Err: err}
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) && refused.Reason != ssh.ConnectionFailed {
		jumped.hint = fmt.Sprintf("let %s forward connections to %s (AllowTcpForwarding and PermitOpen in its sshd_config)", jumped.Via, at.Addr)
	}
	if known(err) && !errors.Is(err, ErrTransport) { // no key, no pin, another key: dialing again changes nothing
		return nil, fmt.Errorf("%s: %w", subject(at.Name, at.Addr), jumped)
	}
	return nil, fail(jumped)
}

// open connects to remote (host:port) as seen from a box. A connection to the box that turns out to be dead is
// replaced once. Errors of the connection to the box name it; those of what is behind it go through far.
func (c *Client) open(ctx context.Context, at Target, remote string, far func(error) error) (net.Conn, error) {
	host, port, err := net.SplitHostPort(remote)
	if err != nil {
		return nil, far(err)
	}
	portNumber, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, far(err)
	}
	for {
		k, fresh, err := c.conn(ctx, at)
		if err != nil {
			return nil, err
		}
		asked, cancel := context.WithTimeoutCause(ctx, c.cfg.DialTimeout,
			fmt.Errorf("no answer within %v: %w", c.cfg.DialTimeout, context.DeadlineExceeded))
		nc, err := k.tunnel(asked, host, uint32(portNumber))
		late := asked.Err() != nil
		cancel()
		if err == nil {
			return nc, nil
		}
		var refused *ssh.OpenChannelError
		if fresh || late || errors.As(err, &refused) {
			return nil, far(err)
		}
		k.kill(fmt.Errorf("no tunnel: %w", err))
	}
}

// JumpError says that the way through a jump host is closed. Where the host could not be reached or did not reach
// the box, it is the cause of a TransportError.
type JumpError struct {
	Via  string // the jump host
	Err  error
	hint string
}

// Error names the jump host.
func (e *JumpError) Error() string { return fmt.Sprintf("through %s: %s", e.Via, clean(e.Err.Error())) }

// Unwrap returns the cause.
func (e *JumpError) Unwrap() error { return e.Err }

// Hint is the advice of the cause, or what to do on the jump host; "" if there is none.
func (e *JumpError) Hint() string {
	var inner interface{ Hint() string }
	if e.hint == "" && errors.As(e.Err, &inner) {
		return inner.Hint()
	}
	return e.hint
}
