package resolve

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"
)

// maxMessage is the longest DNS message in bytes.
const maxMessage = 65535

// Ask puts one question to one server. An error, which wraps [ErrNoAnswer] or is that of
// ctx, means that the server said nothing that answers the question; an answer with
// another code than NOERROR is none. If an answer was cut off by UDP and TCP brought
// none, the Answer beside the error holds what came by UDP.
func (c *Client) Ask(ctx context.Context, s Server, q Question) (Answer, error) {
	begin := time.Now()
	r := &round{client: c, server: s, question: q}
	r.answer.Server = s
	err := r.run(ctx)
	r.answer.Took = time.Since(begin)
	if err == nil {
		return r.answer, nil
	}
	if ended := over(ctx); ended != nil {
		return r.answer, fmt.Errorf("ask %s: %w", s, ended)
	}
	return r.answer, fmt.Errorf("ask %s: %w: %w", s, ErrNoAnswer, err)
}

// round is one question on its way.
type round struct {
	client   *Client
	server   Server
	question Question
	answer   Answer
}

func (r *round) run(ctx context.Context) error {
	switch r.server.Transport {
	case TCP, TLS:
		return r.stream(ctx, r.server.Transport)
	case HTTPS:
		return r.https(ctx)
	case UDP:
		return r.packet(ctx)
	}
	if err := r.packet(ctx); err != nil {
		return err
	}
	if !r.answer.Truncated {
		return nil
	}
	if err := r.stream(ctx, TCP); err != nil {
		return fmt.Errorf("the answer does not fit into UDP, and by TCP: %w", err)
	}
	return nil
}

// packet asks by UDP, again if nothing comes.
func (r *round) packet(ctx context.Context) error {
	var err error
	for range packetTries {
		if err = r.onePacket(ctx); err == nil || over(ctx) != nil || !isTimeout(err) {
			break
		}
	}
	return err
}

func (r *round) onePacket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, or(r.client.Packet, packetTimeout))
	defer cancel()
	q, text, err := r.pack()
	if err != nil {
		return err
	}
	conn, done, err := connect(ctx, "udp", r.server.Addr)
	if err != nil {
		return err
	}
	defer done()
	r.answer.Queries++
	if _, err := conn.Write(text); err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		m, err := unpack(buf[:n], q)
		if err != nil {
			continue // it is no answer to the question: somebody else may have sent it
		}
		r.take(m, UDP, n)
		if m.Truncated {
			r.answer.Truncated, r.answer.UDPBytes = true, n
		}
		return nil
	}
}

// stream asks by TCP, with or without TLS.
func (r *round) stream(ctx context.Context, by Transport) error {
	ctx, cancel := context.WithTimeout(ctx, or(r.client.Stream, streamTimeout))
	defer cancel()
	q, text, err := r.pack()
	if err != nil {
		return err
	}
	conn, done, err := connect(ctx, "tcp", r.server.Addr)
	if err != nil {
		return err
	}
	defer done()
	if by == TLS {
		host, _, err := net.SplitHostPort(r.server.Addr)
		if err != nil {
			return err
		}
		secure := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: r.client.RootCAs, MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = secure
	}
	r.answer.Queries++
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(text))) //nolint:gosec // G115: a question is short
	if _, err := conn.Write(append(framed, text...)); err != nil {
		return err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return err
	}
	m, err := unpack(buf, q)
	if err != nil {
		return err
	}
	if m.Truncated {
		return errors.New("the answer is cut off")
	}
	r.take(m, by, len(buf))
	return nil
}

// connect dials, and ends what is done with the connection when ctx ends.
func connect(ctx context.Context, network, addr string) (_ net.Conn, done func(), err error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // it may be closed already
	return conn, func() {
		stop()
		_ = conn.Close() // the answer is there, or none will come
	}, nil
}

// pack writes the question.
func (r *round) pack() (*dns.Msg, []byte, error) {
	if len(r.question.Name) > 254 {
		return nil, nil, fmt.Errorf("a name of %d bytes", len(r.question.Name))
	}
	q := new(dns.Msg).SetQuestion(dns.Fqdn(r.question.Name), uint16(or(r.question.Type, TXT)))
	q.RecursionDesired = !r.question.Iterative
	q.CheckingDisabled = r.question.Unchecked
	q.AuthenticatedData = !r.question.Iterative // tell whether you checked, RFC 6840 section 5.7
	if !r.question.NoEDNS || r.question.DNSSEC {
		q.SetEdns0(EDNS, r.question.DNSSEC)
	}
	if r.server.Transport == HTTPS {
		q.Id = 0 // so that caches on the way know it again
	}
	text, err := q.Pack()
	if err != nil {
		return nil, nil, fmt.Errorf("question %q: %w", r.question.Name, err)
	}
	return q, text, nil
}

// over is the error of a context that has ended, or whose deadline is reached: a dial may
// know that a moment before the context does.
func over(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// or is v, or otherwise if v is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
