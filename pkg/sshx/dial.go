package sshx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const clientVersion = "SSH-2.0-fleetctl"

var errHandshakeTimeout = fmt.Errorf("no login within the handshake's time: %w", context.DeadlineExceeded)

// dial makes a connection: pin, keys, TCP or jump host, handshake.
func (c *Client) dial(ctx context.Context, at Target) (*conn, error) {
	started := time.Now()
	check, err := c.cfg.Pins.checker(at)
	if err != nil {
		return nil, err
	}
	signers, err := c.keys.files(ctx, at.KeyFile)
	if err != nil {
		return nil, err
	}
	fail := func(op string, err error) error {
		return &TransportError{Node: at.Name, Addr: at.Addr, Op: op, Err: err}
	}
	nc, err := c.reach(ctx, at)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.HandshakeTimeout, errHandshakeTimeout)
	defer cancel()
	agent := c.keys.agent(ctx)
	defer agent.close()
	// Closing both ends whatever blocks: the box, or the agent that was asked to sign.
	stop := context.AfterFunc(ctx, func() {
		_ = nc.Close()
		agent.close()
	})
	sc, chans, reqs, err := ssh.NewClientConn(nc, at.Addr, &ssh.ClientConfig{
		User:              at.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeysCallback(agent.signers(signers))},
		HostKeyCallback:   check.callback,
		HostKeyAlgorithms: check.algorithms,
		ClientVersion:     clientVersion,
	})
	if !stop() && err == nil { // the time was up in the last moment
		_ = sc.Close()
		err = context.Cause(ctx)
	}
	if err == nil {
		c.cfg.Log.DebugContext(ctx, "ssh connection made", slog.String("node", at.Name), slog.String("addr", at.Addr),
			slog.Duration("after", time.Since(started)))
		return c.newConn(at, check.shown(), nc, sc, chans, reqs), nil
	}
	_ = nc.Close()
	switch {
	case check.refused() != nil:
		return nil, check.refused()
	case ctx.Err() != nil:
		return nil, fail("handshake", context.Cause(ctx))
	case agent.failed() != nil:
		return nil, &AuthError{Node: at.Name, Addr: at.Addr, User: at.User, Err: agent.failed(), hint: agentHint}
	case isAuthFailure(err):
		return nil, &AuthError{Node: at.Name, Addr: at.Addr, User: at.User, Err: errors.New("the box accepts none of our keys" + agent.offered())}
	}
	return nil, fail("handshake", err)
}

// isAuthFailure tells a refused login from a lost connection; x/crypto/ssh has no type for it.
func isAuthFailure(err error) bool {
	text := err.Error()
	return strings.Contains(text, "unable to authenticate") || strings.Contains(text, "Too many authentication failures")
}
