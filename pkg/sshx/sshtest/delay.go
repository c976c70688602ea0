package sshtest

import (
	"io"
	"net"
	"sync"
	"time"
)

// delayedConn holds bytes back, each way, for a fixed time, however many are under way.
type delayedConn struct {
	net.Conn
	in, out *line
}

// delayed starts two goroutines, which end with the connection.
func delayed(c net.Conn, d time.Duration) net.Conn {
	dc := &delayedConn{Conn: c, in: newLine(d), out: newLine(d)}
	go func() { // from the client
		buf := make([]byte, 32<<10)
		for {
			n, err := c.Read(buf)
			if n > 0 {
				if closed := dc.in.put(append([]byte(nil), buf[:n]...)); closed != nil {
					return
				}
			}
			if err != nil {
				dc.in.end(err)
				return
			}
		}
	}()
	go func() { // to the client
		for {
			b, err := dc.out.take()
			if err != nil {
				_ = c.Close()
				return
			}
			if _, err := c.Write(b); err != nil {
				dc.out.end(err)
				return
			}
		}
	}()
	return dc
}

// Read takes bytes whose time has come.
func (d *delayedConn) Read(p []byte) (int, error) { return d.in.Read(p) }

// Write never blocks.
func (d *delayedConn) Write(p []byte) (int, error) {
	return len(p), d.out.put(append([]byte(nil), p...))
}

// Close lets what was written arrive first.
func (d *delayedConn) Close() error {
	d.in.end(net.ErrClosed)
	d.out.end(io.EOF)
	return nil
}

// SetDeadline is left out: only the handshake sets one, and hung boxes are not delayed ones.
func (d *delayedConn) SetDeadline(time.Time) error { return nil }

// line is one direction of a delayed wire.
type line struct {
	delay time.Duration
	mu    sync.Mutex
	some  *sync.Cond
	queue []parcel
	rest  []byte
	err   error
}

type parcel struct {
	due  time.Time
	data []byte
}

func newLine(d time.Duration) *line {
	l := &line{delay: d}
	l.some = sync.NewCond(&l.mu)
	return l
}

func (l *line) put(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.queue = append(l.queue, parcel{time.Now().Add(l.delay), b})
	l.some.Signal()
	return nil
}

func (l *line) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	l.some.Broadcast()
}

// take waits for the next bytes and for their time. What is queued comes before the end.
func (l *line) take() ([]byte, error) {
	l.mu.Lock()
	for len(l.queue) == 0 && l.err == nil {
		l.some.Wait()
	}
	if len(l.queue) == 0 {
		defer l.mu.Unlock()
		return nil, l.err
	}
	p := l.queue[0]
	l.queue = l.queue[1:]
	l.mu.Unlock()
	if wait := time.Until(p.due); wait > 0 {
		<-time.After(wait)
	}
	return p.data, nil
}

// Read has one caller at a time.
func (l *line) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		b, err := l.take()
		if err != nil {
			return 0, err
		}
		l.rest = b
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
