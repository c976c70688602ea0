package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of one question.
const (
	askTimeout = 2 * time.Second // for one try
	askTries   = 3               // by UDP, where packets are lost
)

// Resolve asks one server (host:port) for the TXT records of name, by UDP and then, if
// the answer does not fit, by TCP. It returns each record as one string, sorted, and
// the shortest TTL. A name without records, or that does not exist, has no values and
// no error. Follows no alias.
func Resolve(ctx context.Context, server, name string) ([]string, time.Duration, error) {
	m, err := ask(ctx, server, name, dns.TypeTXT)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: ask %s: %w", name, server, err)
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, 0, fmt.Errorf("%s: ask %s: it answers %s", name, server, dns.RcodeToString[m.Rcode])
	}
	values := []string{}
	ttl := time.Duration(0)
	for _, rr := range m.Answer {
		txt, ok := rr.(*dns.TXT)
		if !ok || !strings.EqualFold(txt.Hdr.Name, dns.Fqdn(name)) {
			continue
		}
		own := time.Duration(txt.Hdr.Ttl) * time.Second
		if len(values) == 0 || own < ttl {
			ttl = own
		}
		values = append(values, unescape(strings.Join(txt.Txt, "")))
	}
	slices.Sort(values)
	return values, ttl, nil
}

// ask makes one query.
func ask(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	q.RecursionDesired = true
	q.SetEdns0(advertised, false)
	var m *dns.Msg
	var err error
	for range askTries {
		m, err = exchange(ctx, "udp", server, q)
		if err == nil || ctx.Err() != nil || !isTimeout(err) {
			break
		}
	}
	if err == nil && m.Truncated {
		m, err = exchange(ctx, "tcp", server, q)
	}
	if err == nil && m.Truncated {
		err = errors.New("the answer is cut off even by TCP")
	}
	return m, err
}

func exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c := &dns.Client{Net: network, Timeout: askTimeout}
	m, _, err := c.ExchangeContext(ctx, q, server)
	return m, err
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// unescape reads a text as miekg/dns holds it: \DDD for bytes, \X for characters.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 10, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}
