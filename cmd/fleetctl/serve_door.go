package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/web"
)

// serveToken is the variable that holds the token of `fleetctl serve`.
const serveToken = "FLEETCTL_SERVE_TOKEN" //nolint:gosec // a name, no token

// door is who is let in, and how.
type door struct {
	hosts       []string
	token       string
	tls         *tls.Config // nil: plain HTTP
	certificate func() *x509.Certificate
	log         *slog.Logger // of what the server says of connections
}

// openDoor reads token and certificate, and refuses to answer beyond this computer
// without both.
func (a *app) openDoor(f serveFlags) (door, error) {
	logger := a.logger()
	d := door{hosts: f.hosts, log: logger}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return d, fleet.WithHint(fmt.Errorf("serve: --listen %q is no address", f.listen), "write it as "+defaultListen)
	}
	if d.token, err = a.serveToken(f.tokenFile); err != nil {
		return d, err
	}
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return d, errors.New("serve: --tls-cert and --tls-key belong together")
	}
	if f.tlsCert != "" {
		pair := &keyPair{cert: a.abs(f.tlsCert), key: a.abs(f.tlsKey), log: logger}
		if err := pair.load(); err != nil {
			return d, fmt.Errorf("serve: %w", err)
		}
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.current(), nil }}
		d.certificate = func() *x509.Certificate { return pair.current().Leaf }
	}
	if onLoopback(host) {
		return d, nil
	}
	if d.token == "" || d.tls == nil {
		err := fmt.Errorf("serve: refusing to answer at %s: whoever reaches it would see the fleet", f.listen)
		return d, withCode(exitRefused, fleet.WithHint(err, "give --tls-cert, --tls-key and --token-file, or listen at 127.0.0.1"))
	}
	if host != "" {
		d.hosts = append(d.hosts, host)
	}
	return d, nil
}

// onLoopback reports whether a host to listen at is this computer alone.
func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// url is where a browser of this computer finds the page.
func (d door) url(at net.Addr) string {
	scheme := "http"
	if d.tls != nil {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return scheme + "://" + at.String() + "/"
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "localhost"
		if names := d.certificate().DNSNames; len(names) > 0 && !strings.HasPrefix(names[0], "*") {
			host = names[0]
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// serveToken reads the token from a file or the environment, "" if there is neither.
func (a *app) serveToken(path string) (string, error) {
	token, given := a.env(serveToken)
	from := serveToken
	if path != "" {
		if given {
			return "", errors.New("serve: --token-file and " + serveToken + " are both given")
		}
		f, err := os.Open(a.abs(path))
		if err != nil {
			return "", fmt.Errorf("serve: token: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		text, err := io.ReadAll(io.LimitReader(f, 4<<10))
		if err != nil {
			return "", fmt.Errorf("serve: token: %w", err)
		}
		token, given, from = string(text), true, path
	}
	token = strings.TrimSpace(token)
	if given && len(token) < web.MinToken {
		err := fmt.Errorf("serve: %s: %w", from, web.ErrShortToken)
		return "", withCode(exitAuth, fleet.WithHint(err, "make one with 'openssl rand -hex 32'"))
	}
	return token, nil
}

// keyPair is a certificate that is read again when its file changes: a renewal needs no
// restart. A pair that cannot be read leaves the old one in use.
type keyPair struct {
	cert, key string
	log       *slog.Logger

	mu   sync.Mutex
	pair *tls.Certificate
	read time.Time // the file's own time when it was read
}

func (k *keyPair) load() error {
	info, err := os.Stat(k.cert)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	k.pair, k.read = &pair, info.ModTime()
	return nil
}

func (k *keyPair) current() *tls.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	if info, err := os.Stat(k.cert); err != nil || !info.ModTime().Equal(k.read) {
		if err := k.load(); err != nil {
			k.log.Warn("certificate was not read again: the old one is shown", slog.Any("err", err))
		}
	}
	return k.pair
}
