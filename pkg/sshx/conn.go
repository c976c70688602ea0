package sshx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// conn is one connection to a box.
type conn struct {
	ssh      *ssh.Client
	net      net.Conn
	client   *Client
	sessions chan struct{} // one token per open session
	done     chan struct{} // closed when the connection has ended

	mu    sync.Mutex
	cause error                 // why it was ended from here
	files map[bool]*sftp.Client // the shared SFTP sessions, by sudo; none at first

	openFiles chan struct{} // one token: who makes an SFTP session
	hostKey   ssh.PublicKey // the one that the box showed
	sudoWorks atomic.Bool   // it is known to
}

// newConn takes over an authenticated connection.
func (c *Client) newConn(at Target, hostKey ssh.PublicKey, nc net.Conn, sc ssh.Conn, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) *conn {
	k := &conn{
		ssh: ssh.NewClient(sc, chans, reqs), net: nc, client: c, hostKey: hostKey,
		files:     map[bool]*sftp.Client{},
		sessions:  make(chan struct{}, maxSessions),
		done:      make(chan struct{}),
		openFiles: make(chan struct{}, 1),
	}
	c.wg.Go(func() {
		err := k.ssh.Wait()
		_ = nc.Close()
		k.mu.Lock()
		if k.cause == nil {
			k.cause = fmt.Errorf("connection lost: %w", err)
		}
		err = k.cause
		k.mu.Unlock()
		close(k.done)
		c.cfg.Log.Debug("ssh connection ended", slog.String("node", at.Name), slog.String("addr", at.Addr), slog.Any("cause", err))
	})
	if c.cfg.KeepAlive > 0 {
		c.wg.Go(func() { k.keepAlive(c.cfg.KeepAlive) })
	}
	return k
}

// keepAlive asks for a sign of life again and again; any answer will do.
func (k *conn) keepAlive(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-k.done:
			return
		case <-ticker.C:
		}
		late := time.AfterFunc(every, func() {
			k.kill(fmt.Errorf("no answer to a keepalive in %v", every))
		})
		_, _, err := k.ssh.SendRequest("keepalive@openssh.com", true, nil)
		late.Stop()
		if err != nil {
			k.kill(fmt.Errorf("keepalive: %w", err))
			return
		}
	}
}

// kill ends the connection and with it whatever runs on it. The first cause stays.
func (k *conn) kill(why error) {
	k.mu.Lock()
	if k.cause == nil {
		k.cause = why
	}
	k.mu.Unlock()
	_ = k.net.Close() // and not ssh.Close, which may block in a write
}

func (k *conn) dead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cause != nil
}

// why is the reason behind an error on this connection: the cause of its end, where
// it has ended.
func (k *conn) why(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause != nil && !errors.Is(k.cause, err) {
		return fmt.Errorf("%w (%w)", k.cause, err)
	}
	return err
}

// do runs work, which blocks on the far side, and returns when it has or when ctx ends. In the
// second case stop is called, which should make work return soon; a connection on which it does
// not is closed. do never outlasts the connection by much, nor Client.Close.
func (k *conn) do(ctx context.Context, work func() error, stop func()) error {
	finished := make(chan error, 1)
	if !k.client.spawn(func() { finished <- k.untilLost(work) }) {
		return ErrClosed
	}
	select {
	case err := <-finished:
		return err
	case <-ctx.Done():
	}
	k.client.spawn(func() { // a closed client has closed the connection, too
		grace := time.AfterFunc(closeGrace, func() {
			k.kill(fmt.Errorf("box did not end an operation that was given up %v ago", closeGrace))
		})
		defer grace.Stop()
		if stop != nil {
			stop()
		}
		<-finished
	})
	return context.Cause(ctx)
}

// untilLost runs work, and leaves it alone when it goes on after the connection has ended:
// x/crypto/ssh waits for ever for the answer to a channel that was opened at that moment.
func (k *conn) untilLost(work func() error) error {
	result := make(chan error, 1)
	go func() { result <- work() }()
	select {
	case err := <-result:
		return err
	case <-k.done:
	}
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	select {
	case err := <-result:
		return err
	case <-late.C:
		return k.why(errors.New("no answer"))
	}
}

// acquire waits for room for one more session.
func (k *conn) acquire(ctx context.Context) error {
	select {
	case k.sessions <- struct{}{}:
		return nil
	case <-k.done:
		return k.why(errors.New("no session"))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (k *conn) release() { <-k.sessions }
