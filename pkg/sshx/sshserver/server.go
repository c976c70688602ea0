// Package sshserver is a small SSH server for boxes that are directories.
//
// It answers exec requests with a Go function, serves SFTP confined to an os.Root,
// and opens direct-tcpip tunnels that a function allows. It knows no shell, no
// terminal and no port listening, and accepts public keys only. The local provider
// runs one per box; sshtest wraps it.
package sshserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// ErrClosed is returned by Serve after Shutdown.
var ErrClosed = errors.New("ssh server closed")

const (
	handshakeTimeout = 15 * time.Second
	maxSessions      = 32   // per connection
	maxHandshakes    = 1024 // connections that have not logged in yet
)

// Server serves one box. Set its fields before Serve and leave them alone after;
// every function must be safe for concurrent use.
type Server struct {
	// HostKey is the box's identity. It, or HostKeys, is required.
	HostKey ssh.Signer
	// HostKeys are further host keys. Of several of one type the first is shown, HostKey before all, as
	// by OpenSSH. SetHostKeys changes them while the server runs.
	HostKeys []ssh.Signer
	// AuthorizedKeys returns who may log in; it is asked at each login. Required.
	AuthorizedKeys func() ([]ssh.PublicKey, error)
	// User is the only user name accepted; empty accepts any.
	User string
	// Exec runs a command and returns its exit code. argv has at least one word. ctx ends
	// when the client closes the session or signals it, at its loss, and at Shutdown.
	// Nil answers every command with 127.
	Exec func(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int
	// Sudo lets everybody work as root: a command that begins with "sudo -n --" is run without these
	// words, sshx.SudoSFTP serves Root, and sshx.SudoProbe succeeds. Without it Exec gets such commands as they are.
	Sudo bool
	// Root is "/" of SFTP; nothing outside it can be reached, symbolic links included.
	// Nil refuses SFTP. The server does not close it.
	Root *os.Root
	// AllowTunnel maps a direct-tcpip request to the address (host:port) that is dialed
	// instead. Nil refuses every tunnel.
	AllowTunnel func(host string, port uint32) (target string, ok bool)
	// Log takes what a box's journal would; nil drops it.
	Log *slog.Logger

	mu      sync.Mutex
	closed  bool
	closing chan struct{} // made on first use
	lns     map[net.Listener]struct{}
	conns   map[net.Conn]struct{}
	logins  chan struct{}
	shown   []ssh.Signer // the host keys; nil: those of the fields
	wg      sync.WaitGroup
}

// Serve accepts connections until the listener fails or Shutdown, and then returns
// ErrClosed. It closes the listener. It may run for several listeners at once.
func (s *Server) Serve(ln net.Listener) error {
	if len(s.hostKeys()) == 0 || s.AuthorizedKeys == nil {
		return errors.New("ssh server: a host key and AuthorizedKeys are required")
	}
	defer func() { _ = ln.Close() }()
	if !s.track(func() { s.lns[ln] = struct{}{} }) {
		return ErrClosed
	}
	defer s.wg.Done()
	defer s.untrack(func() { delete(s.lns, ln) })
	var pause time.Duration
	for {
		c, err := ln.Accept()
		if err != nil {
			if s.isClosed() {
				return ErrClosed
			}
			var temporary interface{ Temporary() bool } // out of descriptors, connection aborted
			if !errors.As(err, &temporary) || !temporary.Temporary() {
				return fmt.Errorf("ssh server: accept: %w", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-s.closing:
			}
			continue
		}
		pause = 0
		if !s.track(func() { s.conns[c] = struct{}{} }) {
			_ = c.Close()
			return ErrClosed
		}
		go func() {
			defer s.wg.Done()
			defer s.untrack(func() { delete(s.conns, c) })
			defer func() { _ = c.Close() }()
			s.serveConn(c)
		}()
	}
}

// Shutdown stops accepting, ends every connection and command, and waits for their
// functions to return or for ctx. A second call is harmless.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.prepare()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	// A process that is being started holds copies of all sockets until its exec.
	syscall.ForkLock.RLock()
	for ln := range s.lns {
		_ = ln.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
	syscall.ForkLock.RUnlock()
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ssh server: shutdown: %w", ctx.Err())
	}
}

// Disconnect ends every connection and goes on accepting: what a reboot of the
// box looks like from outside.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// SetHostKeys makes these the host keys of connections from now on, instead of HostKey and HostKeys: what
// a reload of sshd does after its keys were changed. Connections that are open stay. At least one is needed.
func (s *Server) SetHostKeys(keys ...ssh.Signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = keys
}

// hostKeys are the host keys of the next connection, one of each type.
func (s *Server) hostKeys() []ssh.Signer {
	s.mu.Lock()
	all := s.shown
	s.mu.Unlock()
	if len(all) == 0 {
		all = s.HostKeys
		if s.HostKey != nil {
			all = append([]ssh.Signer{s.HostKey}, all...)
		}
	}
	var first []ssh.Signer
	seen := map[string]bool{}
	for _, k := range all {
		if kind := k.PublicKey().Type(); !seen[kind] {
			seen[kind] = true
			first = append(first, k)
		}
	}
	return first
}

// prepare makes what the zero Server lacks; s.mu is held.
func (s *Server) prepare() {
	if s.closing == nil {
		s.closing = make(chan struct{})
		s.lns = map[net.Listener]struct{}{}
		s.conns = map[net.Conn]struct{}{}
		s.logins = make(chan struct{}, maxHandshakes)
	}
}

func (s *Server) track(add func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepare()
	if s.closed {
		return false
	}
	add()
	s.wg.Add(1)
	return true
}

func (s *Server) untrack(remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	remove()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}
