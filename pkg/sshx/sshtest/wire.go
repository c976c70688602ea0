package sshtest

import (
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// faults of a box's wire.
type faults struct {
	hangAccept bool
	endless    bool // text before the version, for ever
	hangAuth   bool // no answer to a login
	// endlessLogin is hangAuth with banners.
	endlessLogin bool
	dropAfter    int64 // bytes sent to the client, then the connection is closed; 0: never
}

// HangAtAccept makes the box accept connections and say nothing.
func HangAtAccept() Option { return func(o *options) { o.faults.hangAccept = true } }

// EndlessBanner makes the box send lines before its version, without end.
func EndlessBanner() Option { return func(o *options) { o.faults.endless = true } }

// HangInAuth makes the box show its host key and then never answer a login.
func HangInAuth() Option { return func(o *options) { o.faults.hangAuth = true } }

// DropAfter closes each connection after n bytes to the client.
func DropAfter(n int64) Option { return func(o *options) { o.faults.dropAfter = n } }

// LieAboutHostKey makes the box show another host key than Box.HostKey. The key may be of
// another type.
func LieAboutHostKey(shown ssh.Signer) Option { return func(o *options) { o.shown = shown } }

// LieAboutDigests makes sha256sum on the box print a wrong digest.
func LieAboutDigests() Option { return func(o *options) { o.digestLie = true } }

// SudoAsksForPassword makes every sudo on the box end as if it had asked for one.
func SudoAsksForPassword() Option { return func(o *options) { o.sudoAsks = true } }

// EndlessLoginBanner makes the box send banners after its host key was accepted, without end, and never let
// anybody in.
func EndlessLoginBanner() Option { return func(o *options) { o.faults.endlessLogin = true } }

// WithoutSFTP refuses the SFTP subsystem.
func WithoutSFTP() Option { return func(o *options) { o.noSFTP = true } }

// listener puts delays and faults on the wire.
type listener struct {
	net.Listener
	delay  time.Duration
	faults faults
	key    ssh.Signer // of a server that the listener plays itself

	mu    sync.Mutex
	count int
	conns []*wire
	over  bool
}

// Accept wraps a connection, or keeps it and misbehaves.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		w := &wire{Conn: c, left: l.faults.dropAfter, limited: l.faults.dropAfter > 0, thaw: make(chan struct{})}
		l.mu.Lock()
		l.count++
		over := l.over
		l.conns = append(l.conns, w)
		l.mu.Unlock()
		switch {
		case over:
			_ = c.Close()
		case l.faults.hangAccept: // closed by release
		case l.faults.endless:
			go babble(c)
		case l.faults.endlessLogin:
			go l.greet(w)
		case l.delay > 0:
			return delayed(w, l.delay), nil
		default:
			return w, nil
		}
	}
}

// babble ends when the connection is closed.
func babble(c net.Conn) {
	for {
		if _, err := c.Write([]byte("this is not a version\r\n")); err != nil {
			return
		}
	}
}

// greet logs nobody in, but says so without end. It ends when the connection is closed.
func (l *listener) greet(w *wire) {
	cfg := &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			<-w.thaw
			return nil, net.ErrClosed
		},
		PreAuthConnCallback: func(c ssh.ServerPreAuthConn) {
			go func() {
				for c.SendAuthBanner("you are welcome\n") == nil {
				}
				_ = w.Close()
			}()
		},
	}
	cfg.AddHostKey(l.key)
	if sc, _, _, err := ssh.NewServerConn(w, cfg); err == nil {
		_ = sc.Close()
	}
	_ = w.Close()
}

func (l *listener) accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *listener) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.conns {
		w.freeze()
	}
}

func (l *listener) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, w := range l.conns {
		_ = w.Close()
	}
}

// wire is a connection that can be cut.
type wire struct {
	net.Conn
	limited bool

	mu     sync.Mutex
	left   int64
	frozen bool
	closed bool
	thaw   chan struct{} // closed with the connection
}

func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = true
}

func (w *wire) wait() {
	w.mu.Lock()
	frozen := w.frozen
	w.mu.Unlock()
	if frozen {
		<-w.thaw
	}
}

// Read keeps what arrives after a freeze.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.wait()
	return n, err
}

// Write sends, up to the drop.
func (w *wire) Write(p []byte) (int, error) {
	w.wait()
	if !w.limited {
		return w.Conn.Write(p)
	}
	w.mu.Lock()
	n := min(int64(len(p)), w.left)
	w.left -= n
	w.mu.Unlock()
	if n > 0 {
		if _, err := w.Conn.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	if n < int64(len(p)) {
		_ = w.Close()
		return int(n), net.ErrClosed
	}
	return len(p), nil
}

// Close ends a freeze, too.
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		close(w.thaw)
	}
	return w.Conn.Close()
}
