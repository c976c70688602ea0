package sshx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// The defaults of Config.
const (
	DefaultKeepAlive        = 15 * time.Second
	DefaultDialTimeout      = 10 * time.Second
	DefaultHandshakeTimeout = 20 * time.Second
	DefaultRunTimeout       = 30 * time.Second
	DefaultFileTimeout      = 60 * time.Second
	DefaultMaxOutput        = 1 << 20 // bytes, each of stdout and stderr
)

const (
	// maxSessions of ours on one connection: OpenSSH allows 10 by default, two are for SFTP (with and without sudo).
	maxSessions = 8
	// closeGrace is how long a box may take to agree to the end of a command that was
	// given up; then the whole connection is closed.
	closeGrace = 5 * time.Second
)

// Config of a Client. Zero durations mean the defaults.
type Config struct {
	Pins *Pins // required
	Auth Auth
	// KeepAlive is how often a silent connection is asked for a sign of life, and how long
	// the answer may take; negative switches it off.
	KeepAlive time.Duration
	// DialTimeout bounds the TCP connect.
	DialTimeout time.Duration
	// HandshakeTimeout bounds version, key exchange and login together.
	HandshakeTimeout time.Duration
	// FileTimeout bounds ReadFile, WriteFile, AppendFile and Remove. An Upload fails when
	// nothing arrives for so long.
	FileTimeout time.Duration
	// Log takes dials and losses at debug level; nil drops them.
	Log *slog.Logger
}

// Client runs commands, moves files and opens tunnels, over one connection per box (user,
// address, key file and the same of its jump hosts; with and without sudo). A connection is made on
// first use, shared by all callers, and made anew once it is dead. It is safe for concurrent use.
type Client struct {
	cfg  Config
	keys keyring

	mu     sync.Mutex
	links  map[route]*link
	closed bool
	wg     sync.WaitGroup // every goroutine of this client
}

var (
	_ Runner = (*Client)(nil)
	_ Tunnel = (*Client)(nil)
)

// New returns a client. It reads and dials nothing yet.
func New(cfg Config) (*Client, error) {
	if cfg.Pins == nil {
		return nil, errors.New("ssh client: Config.Pins is required")
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = DefaultKeepAlive
	}
	orDefault(&cfg.DialTimeout, DefaultDialTimeout)
	orDefault(&cfg.HandshakeTimeout, DefaultHandshakeTimeout)
	orDefault(&cfg.FileTimeout, DefaultFileTimeout)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, keys: keyring{auth: cfg.Auth}, links: map[route]*link{}}, nil
}

func orDefault(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}

// Close ends every connection, command and tunnel, and waits until all that the
// client started has ended. A second call is harmless.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	links := c.links
	c.links = map[route]*link{}
	c.mu.Unlock()
	for _, l := range links {
		l.close(ErrClosed)
	}
	c.wg.Wait()
	return nil
}

// spawn starts a goroutine that Close waits for; not after Close.
func (c *Client) spawn(work func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(work)
	return true
}

// Drop ends the connection to a box, if there is one; the next use makes a new one. It is for
// proofs that need a new login, and for boxes that are about to be deleted.
func (c *Client) Drop(at Target) {
	way, err := routeTo(at)
	if err != nil {
		return // there was never a connection
	}
	c.mu.Lock()
	l := c.links[way]
	delete(c.links, way)
	c.mu.Unlock()
	if l != nil {
		l.close(errors.New("connection dropped"))
	}
}

// link is the place of one box's connection.
type link struct {
	mu      sync.Mutex
	live    *conn    // the last one made; it may be dead
	attempt *attempt // a dial under way
	closed  error
}

// attempt is one dial that any number of callers wait for. It is given up when all of them are gone.
type attempt struct {
	done    chan struct{} // closed when conn and err are set
	conn    *conn
	err     error
	waiting int
	cancel  context.CancelFunc
}

func (l *link) close(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = why
	if l.attempt != nil {
		l.attempt.cancel()
	}
	if l.live != nil {
		l.live.kill(why)
	}
}

// locked returns the place of a route, with its lock held; nil once the client is closed. Client.mu is never
// held while a link's lock is taken: under a link's lock connections are ended, and the end of one through a jump
// host takes Client.mu.
func (c *Client) locked(way route) *link {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil
		}
		l := c.links[way]
		if l == nil {
			l = &link{}
			c.links[way] = l
		}
		c.mu.Unlock()
		l.mu.Lock()
		if l.closed == nil {
			return l
		}
		l.mu.Unlock() // dropped in between: it is no longer in the map
	}
}

// conn returns the box's connection, making it where there is none alive. fresh says that it
// was made for this call or while it waited.
func (c *Client) conn(ctx context.Context, at Target) (k *conn, fresh bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, &TransportError{Node: at.Name, Addr: at.Addr, Op: "dial", Err: err}
	}
	way, err := routeTo(at)
	if err != nil {
		return nil, false, err
	}
	l := c.locked(way)
	if l == nil {
		return nil, false, fmt.Errorf("%s: %w", subject(at.Name, at.Addr), ErrClosed)
	}
	defer l.mu.Unlock()
	if l.live != nil && !l.live.dead() {
		return l.live, false, nil
	}
	a := l.attempt
	if a == nil {
		// The dial outlives a caller that gives up while another still waits.
		dialing, cancel := context.WithCancel(context.WithoutCancel(ctx))
		a = &attempt{done: make(chan struct{}), cancel: cancel}
		if !c.spawn(func() { c.finish(dialing, l, a, at) }) {
			cancel()
			return nil, false, fmt.Errorf("%s: %w", subject(at.Name, at.Addr), ErrClosed)
		}
		l.attempt = a
	}
	a.waiting++
	l.mu.Unlock()
	select {
	case <-a.done:
	case <-ctx.Done():
	}
	l.mu.Lock()
	a.waiting--
	if a.waiting == 0 {
		a.cancel() // harmless after the end
	}
	select {
	case <-a.done:
		return a.conn, true, a.err
	default:
		if l.attempt == a && a.waiting == 0 {
			l.attempt = nil // the next caller starts anew instead of joining a dial that was given up
		}
		return nil, false, &TransportError{Node: at.Name, Addr: at.Addr, Op: "dial", Err: context.Cause(ctx)}
	}
}

// finish dials and tells those who wait.
func (c *Client) finish(ctx context.Context, l *link, a *attempt, at Target) {
	k, err := c.dial(ctx, at)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && l.closed != nil:
		k.kill(l.closed)
		err = fmt.Errorf("%s: %w", subject(at.Name, at.Addr), l.closed)
	case err == nil && l.attempt == a:
		l.live = k
	case err == nil: // given up by all, and perhaps replaced
		k.kill(context.Canceled)
	case l.closed != nil:
		err = fmt.Errorf("%s: %w", subject(at.Name, at.Addr), l.closed)
	}
	if err == nil {
		a.conn = k
	}
	a.err = err
	if l.attempt == a {
		l.attempt = nil
	}
	a.cancel()
	close(a.done)
}
