package sshserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// errDenied is all that a client learns about a refused login.
var errDenied = errors.New("public key not authorized")

// serveConn runs one connection until it ends. Whatever it started has ended when it returns.
func (s *Server) serveConn(nc net.Conn) {
	select {
	case s.logins <- struct{}{}:
	default:
		return // too many that have not logged in
	}
	_ = nc.SetDeadline(time.Now().Add(handshakeTimeout))
	sc, chans, reqs, err := ssh.NewServerConn(nc, s.config())
	<-s.logins
	if err != nil {
		s.log().Debug("ssh login refused", slog.String("from", nc.RemoteAddr().String()), slog.Any("error", err))
		return
	}
	_ = nc.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() { _ = sc.Close() }()
	// Keepalives are answered: a refusal is an answer. Port listening is refused.
	wg.Go(func() { ssh.DiscardRequests(reqs) })

	sessions := make(chan struct{}, maxSessions)
	for ch := range chans {
		switch ch.ChannelType() {
		case "session":
			select {
			case sessions <- struct{}{}:
			default:
				_ = ch.Reject(ssh.ResourceShortage, "too many sessions on this connection")
				continue
			}
			wg.Go(func() {
				defer func() { <-sessions }()
				s.serveSession(ctx, ch)
			})
		case "direct-tcpip":
			wg.Go(func() { s.serveTunnel(ctx, ch) })
		default:
			_ = ch.Reject(ssh.UnknownChannelType, "this box serves sessions and direct-tcpip")
		}
	}
}

func (s *Server) config() *ssh.ServerConfig {
	cfg := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-fleetctl-box",
		MaxAuthTries:  20, // an agent may offer many keys
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if s.User != "" && meta.User() != s.User {
				return nil, errDenied
			}
			keys, err := s.AuthorizedKeys()
			if err != nil {
				return nil, fmt.Errorf("authorized keys: %w", err)
			}
			for _, k := range keys {
				if bytes.Equal(k.Marshal(), key.Marshal()) {
					return &ssh.Permissions{}, nil
				}
			}
			return nil, errDenied
		},
	}
	for _, k := range s.hostKeys() {
		cfg.AddHostKey(k)
	}
	return cfg
}

// ParseAuthorizedKeys reads keys in authorized_keys form, one a line. Empty lines
// and comments are skipped; a line that is no key is an error.
func ParseAuthorizedKeys(text []byte) ([]ssh.PublicKey, error) {
	var keys []ssh.PublicKey
	for i, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		k, _, _, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			return nil, fmt.Errorf("authorized keys: line %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Keys is an AuthorizedKeys function for a fixed set.
func Keys(keys ...ssh.PublicKey) func() ([]ssh.PublicKey, error) {
	return func() ([]ssh.PublicKey, error) { return keys, nil }
}

// serveTunnel answers one direct-tcpip request.
func (s *Server) serveTunnel(ctx context.Context, nch ssh.NewChannel) {
	var to struct {
		Host     string
		Port     uint32
		FromHost string
		FromPort uint32
	}
	if err := ssh.Unmarshal(nch.ExtraData(), &to); err != nil {
		_ = nch.Reject(ssh.ConnectionFailed, "malformed direct-tcpip request")
		return
	}
	var target string
	ok := s.AllowTunnel != nil
	if ok {
		target, ok = s.AllowTunnel(to.Host, to.Port)
	}
	if !ok {
		_ = nch.Reject(ssh.Prohibited, "this box opens no tunnel there")
		return
	}
	d := net.Dialer{Timeout: handshakeTimeout}
	far, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		_ = nch.Reject(ssh.ConnectionFailed, "connection refused")
		return
	}
	defer func() { _ = far.Close() }()
	ch, reqs, err := nch.Accept()
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = far.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { ssh.DiscardRequests(reqs) })
	wg.Go(func() {
		_, _ = io.Copy(far, ch)
		if half, ok := far.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	_, _ = io.Copy(ch, far)
	_ = ch.CloseWrite()
	_ = ch.Close()
}
