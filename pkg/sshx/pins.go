package sshx

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const (
	pinsLockTimeout = 10 * time.Second
	pinsLockPoll    = 20 * time.Millisecond
)

// Pins are the host keys that we trust, in a file in OpenSSH's known_hosts form: OpenSSH can
// read it, and lines that others wrote are kept. It is safe for concurrent use, by several processes too.
type Pins struct {
	path string

	mu    sync.Mutex
	seen  fs.FileInfo // of the file when it was parsed; nil: never
	check ssh.HostKeyCallback
}

// OpenPins returns the pins in a file. A file that is not there holds none; a file that
// cannot be parsed is an error.
func OpenPins(path string) (*Pins, error) {
	if path == "" {
		return nil, errors.New("pins: no file named")
	}
	p := &Pins{path: path}
	if _, err := p.callback(); err != nil {
		return nil, err
	}
	return p, nil
}

// Path is the file.
func (p *Pins) Path() string { return p.path }

// Lookup returns the first pinned key of an address (host:port) in authorized_keys form, without a
// comment. Without one the error is ErrNoPin.
func (p *Pins) Lookup(addr string) (string, error) {
	all, err := p.LookupAll(addr)
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// LookupAll returns every pinned key of an address (host:port), like Lookup, in the order of the file.
func (p *Pins) LookupAll(addr string) ([]string, error) {
	keys, _, err := p.keys(addr)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, &NoPinError{Addr: addr, File: p.path}
	}
	all := make([]string, 0, len(keys))
	for _, k := range keys {
		all = append(all, AuthorizedKey(k))
	}
	return all, nil
}

// Set makes these keys the only pins of an address (host:port): one, or several while a host key is
// being changed, each of which is accepted. It writes nothing if it is so already. No key at all is an
// error: Remove forgets.
func (p *Pins) Set(addr string, authorizedKeys ...string) error {
	if err := checkAddr(addr); err != nil {
		return fmt.Errorf("pin %s: %w", addr, err)
	}
	if len(authorizedKeys) == 0 {
		return fmt.Errorf("pin %s: no key given", addr)
	}
	var lines strings.Builder
	want := map[string]bool{}
	for _, text := range authorizedKeys {
		key, err := parseKey(text)
		if err != nil {
			return fmt.Errorf("pin %s: %w", addr, err)
		}
		if wire := string(key.Marshal()); !want[wire] {
			want[wire] = true
			lines.WriteString(knownhosts.Line([]string{addr}, key) + "\n")
		}
	}
	if p.pinned(addr, want) {
		return nil
	}
	return p.edit(addr, lines.String())
}

// pinned says that exactly these keys, in wire form, are pinned.
func (p *Pins) pinned(addr string, want map[string]bool) bool {
	keys, _, err := p.keys(addr)
	if err != nil || len(keys) != len(want) {
		return false
	}
	for _, k := range keys {
		if !want[string(k.Marshal())] {
			return false
		}
	}
	return true
}

// Remove forgets an address (host:port). One that is not there is success.
func (p *Pins) Remove(addr string) error {
	if err := checkAddr(addr); err != nil {
		return fmt.Errorf("unpin %s: %w", addr, err)
	}
	return p.edit(addr, "")
}

// edit drops what names the address, appends line, and replaces the file, under a lock.
func (p *Pins) edit(addr, line string) error {
	// No caller's context: the lock is held for milliseconds, and its wait is bounded here.
	ctx, cancel := context.WithTimeout(context.Background(), pinsLockTimeout)
	defer cancel()
	lock := flock.New(p.path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, pinsLockPoll); err != nil {
		return fmt.Errorf("pins: lock %s: %w", lock.Path(), err)
	}
	defer func() { _ = lock.Close() }()
	old, err := os.ReadFile(p.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pins: %w", err)
	}
	next := append(without(old, knownhosts.Normalize(addr)), line...)
	if bytes.Equal(old, next) {
		return nil
	}
	if err := writeAtomic(p.path, next, 0o600); err != nil {
		return fmt.Errorf("pins: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.check = nil, nil
	return nil
}

// without returns a known_hosts text without one host. Comments, marked lines, and what cannot be
// parsed stay as they are; a line for several hosts loses this one.
func without(text []byte, host string) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		marker, hosts, key, comment, _, err := ssh.ParseKnownHosts(line)
		if err != nil || marker != "" {
			out = append(out, line...)
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return h == host || hashedIs(h, host) })
		switch {
		case len(rest) == len(hosts):
			out = append(out, line...)
		case len(rest) > 0:
			out = append(out, strings.TrimRight(strings.Join(rest, ",")+" "+AuthorizedKey(key)+" "+comment, " ")+"\n"...)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return out
}

// callback parses the file again where it changed.
func (p *Pins) callback() (ssh.HostKeyCallback, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := os.Stat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		p.seen, p.check = nil, nil
		return knownhosts.New()
	}
	if err != nil {
		return nil, fmt.Errorf("pins: %w", err)
	}
	if p.seen != nil && os.SameFile(p.seen, info) && p.seen.Size() == info.Size() && p.seen.ModTime().Equal(info.ModTime()) {
		return p.check, nil
	}
	check, err := knownhosts.New(p.path)
	if err != nil {
		return nil, fmt.Errorf("pins: %w", err) // names file and line
	}
	p.seen, p.check = info, check
	return check, nil
}

// keys returns what is pinned for an address, and the check that trusts exactly that.
func (p *Pins) keys(addr string) ([]ssh.PublicKey, ssh.HostKeyCallback, error) {
	if err := checkAddr(addr); err != nil {
		return nil, nil, fmt.Errorf("pin of %s: %w", addr, err)
	}
	check, err := p.callback()
	if err != nil {
		return nil, nil, err
	}
	nobody, err := ssh.NewPublicKey(make(ed25519.PublicKey, ed25519.PublicKeySize)) // a key that is never pinned
	if err != nil {
		return nil, nil, err
	}
	var keyErr *knownhosts.KeyError
	if err := check(addr, anyRemote, nobody); !errors.As(err, &keyErr) {
		return nil, nil, fmt.Errorf("pin of %s: %w", addr, err)
	}
	keys := make([]ssh.PublicKey, 0, len(keyErr.Want))
	for _, k := range keyErr.Want {
		keys = append(keys, k.Key)
	}
	return keys, check, nil
}

// anyRemote is what the library wants to see and, given a name, does not use.
var anyRemote net.Addr = &net.TCPAddr{IP: net.IPv4zero, Port: 22}

// checkAddr keeps what would break a line, or match more than one host, out of the file.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "" || port == "" || strings.ContainsAny(addr, " \t\r\n,*?!|#@") {
		return errors.New("not a host:port address")
	}
	return nil
}
