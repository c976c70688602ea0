// Package sshtest is a real SSH server on loopback for tests and benchmarks: exec by a Go
// function, SFTP over a directory, tunnels by an allow list. It can also misbehave, in the
// ways that its options name.
package sshtest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshserver"
)

// Exec answers one command. It is called concurrently.
type Exec func(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int

// Box is a running server.
type Box struct {
	// Addr is where it listens, host:port.
	Addr string
	// HostKey is its public host key in authorized_keys form.
	HostKey string
	// Dir is its "/" as the test sees it.
	Dir string
	// Signer is a client key that it lets in, shared by all boxes of one process.
	Signer ssh.Signer

	srv *sshserver.Server
	ln  *listener
	mu  sync.Mutex
	ran [][]string
}

// Option changes a Box before it starts.
type Option func(*options)

type options struct {
	exec      Exec
	tunnels   map[string]string
	keys      []ssh.PublicKey
	hostKey   ssh.Signer
	shown     ssh.Signer
	dir       string
	delay     time.Duration
	faults    faults
	digestLie bool
	sudo      bool
	sudoAsks  bool
	hostKeys  []ssh.Signer
	noSFTP    bool
	user      string
}

// WithExec answers commands that the box does not know itself. It knows sha256sum of a file below Dir.
func WithExec(e Exec) Option { return func(o *options) { o.exec = e } }

// WithTunnel allows direct-tcpip to asked ("127.0.0.1:9847") and dials target instead.
func WithTunnel(asked, target string) Option {
	return func(o *options) { o.tunnels[asked] = target }
}

// WithAuthorizedKeys lets these keys in instead of the shared one.
func WithAuthorizedKeys(keys ...ssh.PublicKey) Option { return func(o *options) { o.keys = keys } }

// WithUser lets only this user in.
func WithUser(name string) Option { return func(o *options) { o.user = name } }

// WithHostKey gives the box this host key instead of a new one.
func WithHostKey(s ssh.Signer) Option { return func(o *options) { o.hostKey = s } }

// WithHostKeys gives the box more host keys. Of one type the first is shown, its own before these.
func WithHostKeys(s ...ssh.Signer) Option { return func(o *options) { o.hostKeys = s } }

// WithSudo lets clients work as root through sudo: "sudo -n --" before a command is dropped, and root's
// SFTP is that of everybody.
func WithSudo() Option { return func(o *options) { o.sudo = true } }

// WithDir is the box's "/" instead of a temporary directory.
func WithDir(dir string) Option { return func(o *options) { o.dir = dir } }

// WithDelay holds every byte back for d, in each direction: one round trip is 2d.
func WithDelay(d time.Duration) Option { return func(o *options) { o.delay = d } }

// shared is a client key for all tests of a process: keys are costly to make by the hundred.
var shared = sync.OnceValue(NewSigner)

// NewSigner makes an Ed25519 key. It panics where the system has no randomness.
func NewSigner() ssh.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		panic(err)
	}
	return s
}

// Start runs a box until the test ends.
func Start(tb testing.TB, opts ...Option) *Box {
	tb.Helper()
	o := options{tunnels: map[string]string{}, keys: []ssh.PublicKey{shared().PublicKey()}}
	for _, opt := range opts {
		opt(&o)
	}
	if o.dir == "" {
		o.dir = tb.TempDir()
	}
	if o.hostKey == nil {
		o.hostKey = NewSigner()
	}
	if o.shown == nil {
		o.shown = o.hostKey
	}
	root, err := os.OpenRoot(o.dir)
	if err != nil {
		tb.Fatalf("sshtest: %v", err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("sshtest: %v", err)
	}
	b := &Box{
		Addr:    tcp.Addr().String(),
		HostKey: sshx.AuthorizedKey(o.hostKey.PublicKey()),
		Dir:     o.dir,
		Signer:  shared(),
		ln:      &listener{Listener: tcp, delay: o.delay, faults: o.faults, key: o.shown},
	}
	b.srv = &sshserver.Server{
		HostKey:        o.shown,
		HostKeys:       o.hostKeys,
		Sudo:           o.sudo,
		AuthorizedKeys: sshserver.Keys(o.keys...),
		User:           o.user,
		Exec:           b.exec(o),
		Root:           root,
		AllowTunnel: func(host string, port uint32) (string, bool) {
			to, ok := o.tunnels[net.JoinHostPort(host, fmt.Sprint(port))]
			return to, ok
		},
	}
	if o.noSFTP {
		b.srv.Root = nil
	}
	release := make(chan struct{})
	if o.faults.hangAuth {
		b.srv.AuthorizedKeys = func() ([]ssh.PublicKey, error) {
			<-release
			return nil, errors.New("the test is over")
		}
	}
	served := make(chan error, 1)
	go func() { served <- b.srv.Serve(b.ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		close(release)
		b.ln.release()
		if err := b.srv.Shutdown(ctx); err != nil {
			tb.Errorf("sshtest: %v", err)
		}
		if err := <-served; !errors.Is(err, sshserver.ErrClosed) {
			tb.Errorf("sshtest: serve: %v", err)
		}
		_ = root.Close()
	})
	return b
}

// Target is how a Client reaches the box.
func (b *Box) Target(name string) sshx.Target {
	return sshx.Target{Name: name, Addr: b.Addr, User: "root"}
}

// Client is a client for these boxes, with their pins in a temporary file. It is closed when
// the test ends. The zero Config will do.
func Client(tb testing.TB, cfg sshx.Config, boxes ...*Box) *sshx.Client {
	tb.Helper()
	if cfg.Pins == nil {
		cfg.Pins = Pins(tb, boxes...)
	}
	if cfg.Auth.KeyFile == "" && cfg.Auth.AgentSocket == "" && len(cfg.Auth.Signers) == 0 {
		cfg.Auth.Signers = []ssh.Signer{shared()}
	}
	c, err := sshx.New(cfg)
	if err != nil {
		tb.Fatalf("sshtest: %v", err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Pins is a pin file with these boxes' keys.
func Pins(tb testing.TB, boxes ...*Box) *sshx.Pins {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "known_hosts")
	var text strings.Builder
	for _, b := range boxes {
		host, port, err := net.SplitHostPort(b.Addr)
		if err != nil {
			tb.Fatalf("sshtest: %v", err)
		}
		_, _ = fmt.Fprintf(&text, "[%s]:%s %s\n", host, port, b.HostKey)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		tb.Fatalf("sshtest: %v", err)
	}
	p, err := sshx.OpenPins(file)
	if err != nil {
		tb.Fatalf("sshtest: %v", err)
	}
	return p
}

// Ran returns the argv of every command so far, in the order of their start.
func (b *Box) Ran() [][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]string(nil), b.ran...)
}

// Dials counts the connections that were accepted so far.
func (b *Box) Dials() int { return b.ln.accepted() }

// Disconnect ends every connection, as a reboot does; new ones are accepted.
func (b *Box) Disconnect() { b.srv.Disconnect() }

// SetHostKeys makes these the host keys of connections from now on; Box.HostKey stays what it was.
func (b *Box) SetHostKeys(keys ...ssh.Signer) { b.srv.SetHostKeys(keys...) }

// Freeze stops all bytes of the connections that are open now, without closing them, as a cut cable
// does. New connections work.
func (b *Box) Freeze() { b.ln.freeze() }

func (b *Box) exec(o options) Exec {
	return func(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
		b.mu.Lock()
		b.ran = append(b.ran, argv)
		b.mu.Unlock()
		switch {
		case o.sudoAsks && argv[0] == "sudo":
			_, _ = io.WriteString(stderr, "sudo: a password is required\n")
			return 1
		case len(argv) == 2 && argv[0] == "sha256sum":
			return b.sha256sum(argv[1], o.digestLie, stdout, stderr)
		case o.exec != nil:
			return o.exec(ctx, argv, stdin, stdout, stderr)
		}
		_, _ = fmt.Fprintf(stderr, "%s: not found\n", argv[0])
		return 127
	}
}

func (b *Box) sha256sum(name string, lie bool, stdout, stderr io.Writer) int {
	f, err := os.OpenInRoot(b.Dir, strings.TrimPrefix(path.Clean("/"+name), "/"))
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "sha256sum: %s: No such file or directory\n", name)
		return 1
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if lie {
		_, _ = h.Write([]byte("lie"))
	}
	if _, err := io.Copy(h, f); err != nil {
		_, _ = fmt.Fprintf(stderr, "sha256sum: %s: %v\n", name, err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), name)
	return 0
}
