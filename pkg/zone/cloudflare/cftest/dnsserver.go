package cftest

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	bindTries  = 20              // at a port that is free by TCP and not by UDP
)

// loopback is where a server listens that was given no address.
const loopback = "127.0.0.1:0"

// DNS are the name servers of a cloud as real ones, by UDP and TCP.
type DNS struct {
	cloud   *Cloud
	servers []*dns.Server
	group   errgroup.Group
}

// ServeDNS starts the name servers: the first at the first address, host:port, and so on;
// those without one at any free port of 127.0.0.1. When it returns they answer, and
// [Cloud.Servers] says where. It is called once, and [DNS.Close] ends it.
func (c *Cloud) ServeDNS(ctx context.Context, addrs ...string) (*DNS, error) {
	d := &DNS{cloud: c}
	for i, s := range c.servers {
		addr := loopback
		if i < len(addrs) {
			addr = addrs[i]
		}
		bound, err := d.listen(ctx, i, addr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("serve DNS as %s: %w", s.host, err), d.Close(ctx))
		}
		c.mu.Lock()
		s.addr = bound
		c.mu.Unlock()
	}
	return d, nil
}

// Close ends the servers, and returns when they have ended.
func (d *DNS) Close(ctx context.Context) error {
	var errs []error
	for _, s := range d.servers {
		errs = append(errs, s.ShutdownContext(ctx))
	}
	return errors.Join(append(errs, d.group.Wait())...)
}

// listen binds one server and starts it.
func (d *DNS) listen(ctx context.Context, i int, addr string) (string, error) {
	tcp, udp, err := bind(ctx, addr)
	if err != nil {
		return "", err
	}
	handler := &responder{cloud: d.cloud, server: i, slots: make(chan struct{}, maxQueries)}
	for _, s := range []*dns.Server{
		{PacketConn: udp, Handler: handler, UDPSize: dns.DefaultMsgSize},
		{Listener: netutil.LimitListener(tcp, maxConns), Handler: handler, ReadTimeout: tcpTimeout, WriteTimeout: tcpTimeout},
	} {
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		d.servers = append(d.servers, s)
		d.group.Go(func() error {
			defer close(ended)
			return s.ActivateAndServe()
		})
		select {
		case <-started:
		case <-ended: // Close says why
		}
	}
	return tcp.Addr().String(), nil
}

// bind finds a port that is free by TCP and UDP.
func bind(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	var config net.ListenConfig
	for try := 1; ; try++ {
		tcp, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		udp, err := config.ListenPacket(ctx, "udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp, nil
		}
		_ = tcp.Close() // nobody was told of it
		if try == bindTries {
			return nil, nil, err
		}
	}
}

// responder answers as one server.
type responder struct {
	cloud  *Cloud
	server int
	slots  chan struct{}
}

var _ dns.Handler = (*responder)(nil)

// ServeDNS answers one query. What does not fit into the client's datagram is cut off, and
// the answer says so.
func (h *responder) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return
	}
	m := h.cloud.reply(h.server, q)
	size := dns.MaxMsgSize
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
		size = dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
	}
	m.Truncate(size)
	_ = w.WriteMsg(m) // the client may be gone
}
