package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	advertised  = 1232 // bytes by UDP that we say we receive
	packetTries = 3
)

// link is a connection to the server, with the deadline of what it is for.
type link struct {
	conn dns.Conn
	end  func()
}

// dial connects. The link breaks after limit, and when ctx ends.
func (z *Zone) dial(ctx context.Context, network string, limit time.Duration) (*link, error) {
	d := net.Dialer{Timeout: limit}
	conn, err := d.DialContext(ctx, network, z.cfg.Server)
	if err != nil {
		return nil, z.lost(ctx, false, err)
	}
	_ = conn.SetDeadline(time.Now().Add(limit))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return &link{conn: dns.Conn{Conn: conn}, end: func() {
		stop()
		_ = conn.Close()
	}}, nil
}

// lost is an error of the network, or the end of ctx, which explains it.
func (z *Zone) lost(ctx context.Context, sent bool, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.New("timeout")
	}
	return &lostError{server: z.cfg.Server, sent: sent, err: err}
}

// send asks once by UDP or TCP, and returns the answer with its signature verified.
func (z *Zone) send(ctx context.Context, network string, limit time.Duration, m *dns.Msg) (*dns.Msg, error) {
	k, err := z.openKey(ctx)
	if err != nil {
		return nil, err
	}
	m = m.Copy()
	m.Id = dns.Id()
	wire, mac, err := k.sign(m)
	if err != nil {
		return nil, err
	}
	l, err := z.dial(ctx, network, limit)
	if err != nil {
		return nil, err
	}
	defer l.end()
	if _, err := l.conn.Write(wire); err != nil {
		return nil, z.lost(ctx, true, err)
	}
	answer, raw, err := z.receive(ctx, l, m, network == "udp")
	if err != nil {
		return nil, err
	}
	if _, err := k.verify(raw, answer, mac, false); err != nil {
		return nil, err
	}
	return answer, nil
}

// receive reads the answer to m. By UDP, what answers something else is passed over.
func (z *Zone) receive(ctx context.Context, l *link, m *dns.Msg, packets bool) (*dns.Msg, []byte, error) {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, err := l.conn.Read(buf)
		if err != nil {
			return nil, nil, z.lost(ctx, true, err)
		}
		answer := new(dns.Msg)
		err = answer.Unpack(buf[:n])
		switch {
		case err == nil && answers(m, answer):
			return answer, buf[:n], nil
		case !packets && err != nil:
			return nil, nil, z.lost(ctx, true, fmt.Errorf("what it answers cannot be read: %w", err))
		case !packets:
			return nil, nil, z.lost(ctx, true, errors.New("it answers something else"))
		}
	}
}

// answers reports whether a is an answer to q. An error may come without the question,
// and so do all but the first message of a transfer.
func answers(q, a *dns.Msg) bool {
	if !a.Response || a.Id != q.Id || a.Opcode != q.Opcode {
		return false
	}
	if len(a.Question) == 0 {
		return a.Rcode != dns.RcodeSuccess || a.Opcode == dns.OpcodeUpdate
	}
	return len(a.Question) == 1 && a.Question[0].Qtype == q.Question[0].Qtype &&
		dns.CanonicalName(a.Question[0].Name) == dns.CanonicalName(q.Question[0].Name)
}

// ask makes a query: by UDP, and by TCP if the answer is cut off. Packets are sent up to
// three times.
func (z *Zone) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	q.RecursionDesired = false
	q.SetEdns0(advertised, false)
	var a *dns.Msg
	var err error
	for range packetTries {
		a, err = z.send(ctx, "udp", z.cfg.Waits.Packet, q)
		var lost *lostError
		if !errors.As(err, &lost) || ctx.Err() != nil {
			break
		}
	}
	if err == nil && a.Truncated {
		if a, err = z.send(ctx, "tcp", z.cfg.Waits.Message, q); err == nil && a.Truncated {
			err = errors.New("the answer is cut off even by TCP")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("ask for %s %s: %w", name, dns.TypeToString[qtype], err)
	}
	return a, nil
}

// update sends an UPDATE by TCP, once.
func (z *Zone) update(ctx context.Context, zone string, u update) error {
	m, err := u.message(zone)
	if err != nil {
		return err
	}
	a, err := z.send(ctx, "tcp", z.cfg.Waits.Message, m)
	if err != nil {
		if lost := (*lostError)(nil); errors.As(err, &lost) {
			lost.update = true
		}
		return fmt.Errorf("update %s: %w", zone, err)
	}
	if a.Rcode != dns.RcodeSuccess {
		return &codeError{what: "update of " + zone, update: true, code: a.Rcode}
	}
	return nil
}

// soaOf finds the SOA record that an answer has for a name: its own, or that of the zone
// above it.
func soaOf(a *dns.Msg, name string) (*dns.SOA, bool) {
	for _, rr := range slices.Concat(a.Answer, a.Ns) {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, dns.Fqdn(name)) {
			return soa, true
		}
	}
	return nil, false
}
