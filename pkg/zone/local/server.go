package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// Bounds of a server, so that a client in a loop costs little.
const (
	maxQueries = 256             // answered at once; a query beyond them is dropped
	maxConns   = 64              // TCP connections at once
	tcpTimeout = 5 * time.Second // for one read or write
	shutdown   = 2 * time.Second // for queries under way when the server ends
)

// Server answers for the zone in a directory, on 127.0.0.1 by UDP and TCP.
type Server struct {
	dir, apex string
	log       *slog.Logger
	slots     chan struct{}
	sockets   sockets
	port      int // 0 before Listen

	mu   sync.Mutex
	text []byte // of the zone file as it was decoded last
	zone file
	bad  error // why that text is no zone
}

// NewServer returns a server for a directory. If there is no zone in it yet,
// [Server.Listen] makes an empty one for the domain apex; apex "" leaves the making to the
// first write, and queries are refused until then.
func NewServer(dir, apex string, log *slog.Logger) *Server {
	return &Server{dir: dir, apex: apex, log: log, slots: make(chan struct{}, maxQueries)}
}

// Listen binds the zone's port, the same one as ever, and returns host:port. Queries
// wait for [Server.Run]. It fails with [ErrPortInUse] if another program, or another
// server of this zone, has the port.
func (s *Server) Listen(ctx context.Context) (string, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return "", fmt.Errorf("make zone directory: %w", err)
	}
	if s.apex != "" {
		z, err := New(s.dir, s.apex)
		if err != nil {
			return "", err
		}
		if err := z.ensure(ctx); err != nil {
			s.log.WarnContext(ctx, "zone is not ready", slog.Any("error", err))
		}
	}
	err := locked(ctx, s.dir, func() (err error) {
		s.sockets, s.port, err = listen(s.dir)
		return err
	})
	if err != nil {
		return "", err
	}
	return hostPort(s.port), nil
}

// ensure makes an empty zone where there is none.
func (z *Zone) ensure(ctx context.Context) error {
	_, err := z.write(ctx, func(*file) error { return nil })
	return err
}

// Run serves until ctx ends, and then returns nil. It calls [Server.Listen] if nobody
// did. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	if s.port == 0 {
		if _, err := s.Listen(ctx); err != nil {
			return err
		}
	}
	udp := &dns.Server{PacketConn: s.sockets.udp, Handler: s, UDPSize: dns.DefaultMsgSize}
	tcp := &dns.Server{
		Listener: netutil.LimitListener(s.sockets.tcp, maxConns), Handler: s,
		ReadTimeout: tcpTimeout, WriteTimeout: tcpTimeout, IdleTimeout: func() time.Duration { return tcpTimeout },
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, srv := range []*dns.Server{udp, tcp} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		ended := make(chan struct{})
		g.Go(func() error {
			defer close(ended)
			return srv.ActivateAndServe()
		})
		g.Go(func() error {
			select {
			case <-started:
			case <-ended:
				return nil
			}
			<-ctx.Done()
			return stop(ctx, srv, ended)
		})
	}
	err := g.Wait()
	if closeErr := s.sockets.close(); closeErr != nil && !errors.Is(closeErr, net.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	if err != nil {
		return fmt.Errorf("serve zone: %w", err)
	}
	return nil
}

// stop ends a server that started, and gives its queries a moment.
func stop(ctx context.Context, srv *dns.Server, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil // it ended by an error of its own
	default:
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer cancel()
	if err := srv.ShutdownContext(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// current reads the zone as it is now. The file is read for each answer: a time stamp
// is too coarse to tell two writes apart. Only a changed text is decoded again.
func (s *Server) current() (file, error) {
	text, err := readBounded(filepath.Join(s.dir, zoneFile))
	if err != nil {
		return file{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == nil || !bytes.Equal(text, s.text) {
		s.text = text
		s.zone, s.bad = decode(text)
		if s.bad != nil {
			s.log.Error("zone file is not served", slog.String("file", filepath.Join(s.dir, zoneFile)), slog.Any("error", s.bad))
		}
	}
	return s.zone, s.bad
}

var _ dns.Handler = (*Server)(nil)

// ServeDNS answers one query.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return
	}
	f, err := s.current()
	m := reply(f, err, q)
	size := dns.MaxMsgSize
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
		size = dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
	}
	m.Truncate(size)
	if err := w.WriteMsg(m); err != nil {
		s.log.Debug("answer was not sent", slog.String("to", w.RemoteAddr().String()), slog.Any("error", err))
	}
}
