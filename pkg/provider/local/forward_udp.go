package local

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	udpRoom    = 1024            // packets in one direction of one client
	udpClients = 4096            // at once; packets of more are lost
	udpIdle    = 3 * time.Minute // silence after which a client is forgotten
)

// udpForwarder slows the UDP traffic of one port down. Each client gets a socket of its
// own, so that answers find it.
type udpForwarder struct {
	front  *net.UDPConn
	target *net.UDPAddr
	delay  time.Duration
	stop   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup

	mu      sync.Mutex
	clients map[netip.AddrPort]*udpClient
}

type udpClient struct {
	up   *line
	back *net.UDPConn
}

// forwardUDP listens on port from and passes packets on to port to.
func forwardUDP(from, to usedPort, delay time.Duration) (*udpForwarder, error) {
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: from.port})
	if err != nil {
		return nil, from.explain(err)
	}
	f := &udpForwarder{
		front: front, target: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.port}, delay: delay,
		stop: make(chan struct{}), clients: make(map[netip.AddrPort]*udpClient),
	}
	f.wg.Go(f.receive)
	return f, nil
}

// Close ends the forwarder.
func (f *udpForwarder) Close() error {
	var err error
	f.once.Do(func() {
		close(f.stop)
		err = f.front.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.clients {
			_ = c.back.Close()
		}
	})
	f.wg.Wait()
	return err
}

func (f *udpForwarder) stopped() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

func (f *udpForwarder) receive() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := f.front.ReadFromUDPAddrPort(b)
		if f.stopped() {
			return
		}
		if err != nil {
			continue // an answer that could not be delivered; nothing else fails here
		}
		if c := f.client(from); c != nil {
			c.up.offer(append(make([]byte, 0, n), b[:n]...))
		}
	}
}

// client finds or makes the socket of a client; nil if there is no room for one.
func (f *udpForwarder) client(from netip.AddrPort) *udpClient {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.clients[from]; ok {
		return c
	}
	if len(f.clients) >= udpClients || f.stopped() {
		return nil
	}
	back, err := net.DialUDP("udp", nil, f.target)
	if err != nil {
		return nil
	}
	c := &udpClient{up: newLine(f.delay, udpRoom), back: back}
	f.clients[from] = c
	f.wg.Go(func() { f.serve(from, c) })
	return c
}

// serve carries the packets of one client until it has been silent.
func (f *udpForwarder) serve(from netip.AddrPort, c *udpClient) {
	down := newLine(f.delay, udpRoom)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = c.up.run(done, func(b []byte) error {
			_ = c.back.SetReadDeadline(time.Now().Add(udpIdle))
			_, _ = c.back.Write(b) // refused while the relay is away: lost
			return nil
		})
	})
	wg.Go(func() {
		_ = down.run(done, func(b []byte) error {
			_, _ = f.front.WriteToUDPAddrPort(b, from)
			return nil
		})
	})
	_ = c.back.SetReadDeadline(time.Now().Add(udpIdle))
	b := make([]byte, 64<<10)
	for !f.stopped() {
		n, err := c.back.Read(b)
		var timeout net.Error
		switch {
		case err == nil:
			_ = c.back.SetReadDeadline(time.Now().Add(udpIdle))
			down.offer(append(make([]byte, 0, n), b[:n]...))
			continue
		case errors.As(err, &timeout) && timeout.Timeout():
		case f.stopped():
		default:
			continue // refused while the relay is away
		}
		break
	}
	f.mu.Lock()
	delete(f.clients, from)
	f.mu.Unlock()
	close(done)
	_ = c.back.Close()
	wg.Wait()
}
