package sshx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Dial connects to remote ("127.0.0.1:9847") as seen from the box. Deadlines of the
// connection work. ctx bounds the dial, not the connection, which ends with Close, the far
// side, or the loss of the box.
func (c *Client) Dial(ctx context.Context, at Target, remote string) (net.Conn, error) {
	fail := func(err error) error {
		return &TransportError{Node: at.Name, Addr: at.Addr, Op: "tunnel to " + remote, Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.DialTimeout, fmt.Errorf("no answer within %v: %w", c.cfg.DialTimeout, context.DeadlineExceeded))
	defer cancel()
	nc, err := c.open(ctx, at, remote, fail)
	switch {
	case err == nil:
		return nc, nil
	case known(err):
		return nil, err
	}
	return nil, fail(err)
}

func (k *conn) tunnel(ctx context.Context, host string, port uint32) (net.Conn, error) {
	request := ssh.Marshal(struct {
		Host     string
		Port     uint32
		FromHost string
		FromPort uint32
	}{host, port, "127.0.0.1", 0})
	var (
		mu     sync.Mutex
		opened *tunnelConn
		leave  bool
	)
	err := k.do(ctx, func() error {
		ch, reqs, err := k.ssh.OpenChannel("direct-tcpip", request)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		k.client.wg.Go(func() { ssh.DiscardRequests(reqs) })
		if leave {
			return ch.Close()
		}
		opened = k.bridge(ch, net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10)))
		return nil
	}, nil)
	mu.Lock()
	defer mu.Unlock()
	if err == nil {
		return opened, nil
	}
	leave = true
	if opened != nil {
		_ = opened.Close()
	}
	return nil, k.why(err)
}

// tunnelConn is one end of a pipe, which has the deadlines that SSH channels lack; two
// goroutines carry the bytes between the other end and the channel.
type tunnelConn struct {
	net.Conn
	conn           *conn
	ch             ssh.Channel
	remote         net.Addr
	sent, received chan struct{} // closed when all is carried
	once           sync.Once
}

// LocalAddr is where the SSH connection comes from.
func (t *tunnelConn) LocalAddr() net.Addr { return t.conn.net.LocalAddr() }

// RemoteAddr is the address that was asked for, as seen from the box.
func (t *tunnelConn) RemoteAddr() net.Addr { return t.remote }

type tunnelAddr string

// Network is tcp.
func (tunnelAddr) Network() string { return "tcp" }

// String is host:port.
func (a tunnelAddr) String() string { return string(a) }

// bridge is called while a counted goroutine runs.
func (k *conn) bridge(ch ssh.Channel, remote string) *tunnelConn {
	near, far := net.Pipe()
	t := &tunnelConn{Conn: near, conn: k, ch: ch, remote: tunnelAddr(remote), sent: make(chan struct{}), received: make(chan struct{})}
	k.client.wg.Go(func() { // what is written here, to the box
		defer close(t.sent)
		_, _ = io.Copy(ch, far)
		_ = ch.CloseWrite()
		_ = ch.Close()
	})
	k.client.wg.Go(func() { // what the box says, to here
		defer close(t.received)
		_, _ = io.Copy(far, ch)
		_ = far.Close()
		_, _ = io.Copy(io.Discard, ch)
	})
	return t
}

// Close ends the connection. What was written is still sent, in the background; a box that does
// not take it, or does not agree to the end, is waited for only so long.
func (t *tunnelConn) Close() error {
	err := t.Conn.Close()
	t.once.Do(func() {
		t.conn.client.spawn(func() {
			late := time.AfterFunc(closeGrace, func() { _ = t.ch.Close() })
			defer late.Stop()
			lost := time.AfterFunc(2*closeGrace, func() { t.conn.kill(errors.New("box did not end a tunnel")) })
			defer lost.Stop()
			<-t.sent
			<-t.received
		})
	})
	return err
}
