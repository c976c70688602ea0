package local

import (
	"net"
	"sync"
	"time"
)

// room is how many parcels a direction holds: 64 reads of at most 32 KiB.
const (
	room  = 64
	chunk = 32 << 10
)

// tcpForwarder slows the TCP traffic of one port down.
type tcpForwarder struct {
	listener net.Listener
	target   string
	delay    time.Duration
	stop     chan struct{}
	once     sync.Once
	wg       sync.WaitGroup
}

// forwardTCP listens on port from and passes connections on to port to.
func forwardTCP(from, to usedPort, delay time.Duration) (*tcpForwarder, error) {
	l, err := listenTCP(from)
	if err != nil {
		return nil, err
	}
	f := &tcpForwarder{listener: l, target: loopback(to.port), delay: delay, stop: make(chan struct{})}
	f.wg.Go(f.accept)
	return f, nil
}

// Close ends the forwarder and every connection through it.
func (f *tcpForwarder) Close() error {
	var err error
	f.once.Do(func() {
		close(f.stop)
		err = f.listener.Close()
	})
	f.wg.Wait()
	return err
}

func (f *tcpForwarder) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			select {
			case <-f.stop:
				return
			case <-time.After(50 * time.Millisecond): // out of descriptors
				continue
			}
		}
		f.wg.Go(func() { f.serve(c) })
	}
}

func (f *tcpForwarder) serve(near net.Conn) {
	far, err := net.DialTimeout("tcp", f.target, 5*time.Second) //nolint:noctx // loopback: at once or never
	if err != nil {
		if tcp, ok := near.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // refused, as the client would see it without us
		}
		_ = near.Close()
		return
	}
	link(near, far, f.delay, f.stop)
}

// link carries both directions until both have ended or stop is closed. It closes both ends.
func link(near, far net.Conn, delay time.Duration, stop <-chan struct{}) {
	done := make(chan struct{})
	var once sync.Once
	hangUp := func() { once.Do(func() { close(done); _ = near.Close(); _ = far.Close() }) }
	var wg, watch sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		l := newLine(delay, room)
		wg.Go(func() { fill(l, way[0], done) })
		wg.Go(func() {
			err := l.run(done, func(b []byte) error {
				_, err := way[1].Write(b)
				return err
			})
			if err != nil {
				hangUp()
				return
			}
			if half, ok := way[1].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
				return
			}
			hangUp()
		})
	}
	watch.Go(func() {
		select {
		case <-stop:
			hangUp()
		case <-done:
		}
	})
	wg.Wait()
	hangUp()
	watch.Wait()
}

// fill reads a connection into a line, its end too.
func fill(l *line, from net.Conn, done <-chan struct{}) {
	for {
		b := make([]byte, chunk)
		n, err := from.Read(b)
		if n > 0 && !l.put(b[:n], done) {
			return
		}
		if err != nil {
			l.put(nil, done)
			return
		}
	}
}
