package resolve

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// unpack reads a message that must be an answer to q. One that is cut off, and says so,
// may hold half a record.
func unpack(text []byte, q *dns.Msg) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(text); err != nil && !m.Truncated {
		return nil, fmt.Errorf("not a DNS message: %w", err)
	}
	if !m.Response || m.Id != q.Id {
		return nil, errors.New("not an answer to the question")
	}
	asked := q.Question[0]
	if len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess {
		return m, nil // a server that refuses may leave the question out
	}
	if len(m.Question) != 1 || m.Question[0].Qtype != asked.Qtype || m.Question[0].Qclass != asked.Qclass || !strings.EqualFold(m.Question[0].Name, asked.Name) {
		return nil, errors.New("an answer to another question")
	}
	return m, nil
}

// take keeps what a message says.
func (r *round) take(m *dns.Msg, by Transport, size int) {
	a := &r.answer
	a.Transport, a.Bytes, a.Rcode = by, size, rcodeText(rcodeOf(m))
	a.Authoritative, a.Authenticated = m.Authoritative, m.AuthenticatedData
	name := bare(r.question.Name)
	want := uint16(or(r.question.Type, TXT))
	a.Aliases = nil
	if want != dns.TypeCNAME {
		a.Aliases = aliases(m, name)
	}
	if n := len(a.Aliases); n > 0 {
		name = a.Aliases[n-1]
	}
	a.Records, a.Signed = []Record{}, false
	for _, rr := range m.Answer {
		if bare(rr.Header().Name) != name || rr.Header().Class != dns.ClassINET {
			continue
		}
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == want {
			a.Signed = true
		}
		if rr.Header().Rrtype == want {
			a.Records = append(a.Records, record(rr))
		}
	}
	a.Nothing = 0
	if len(a.Records) == 0 {
		a.Nothing = negative(m)
	}
}

// negative is how long it may be kept that nothing is there, RFC 2308 section 5.
func negative(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(ttl(soa.Hdr.Ttl), ttl(soa.Minttl))
		}
	}
	return 0
}

// rcodeOf is the whole response code: EDNS carries its upper bits.
func rcodeOf(m *dns.Msg) int {
	if opt := m.IsEdns0(); opt != nil && opt.ExtendedRcode() != 0 {
		return opt.ExtendedRcode()&^0xF | m.Rcode&0xF
	}
	return m.Rcode
}

// maxAliases bounds how many CNAME records are followed.
const maxAliases = 8

// aliases follows the CNAME records of a message from name.
func aliases(m *dns.Msg, name string) []string {
	var out []string
	for range maxAliases {
		next := ""
		for _, rr := range m.Answer {
			if alias, ok := rr.(*dns.CNAME); ok && bare(alias.Hdr.Name) == name {
				next = bare(alias.Target)
				break
			}
		}
		if next == "" {
			break
		}
		out, name = append(out, next), next
	}
	return out
}

// record is one that came.
func record(rr dns.RR) Record {
	r := Record{Name: bare(rr.Header().Name), TTL: ttl(rr.Header().Ttl)}
	switch rr := rr.(type) {
	case *dns.TXT:
		r.Strings = make([]string, len(rr.Txt))
		for i, s := range rr.Txt {
			r.Strings[i] = unescape(s)
		}
		r.Value = strings.Join(r.Strings, "")
	case *dns.SOA:
		r.Value, r.Serial, r.Mailbox = bare(rr.Ns), rr.Serial, bare(rr.Mbox)
	case *dns.NS:
		r.Value = bare(rr.Ns)
	case *dns.CNAME:
		r.Value = bare(rr.Target)
	case *dns.A:
		r.Value = rr.A.String()
	case *dns.AAAA:
		r.Value = rr.AAAA.String()
	}
	return r
}

// ttl of a record: what is not below 2^31 means 0, RFC 2181 section 8.
func ttl(secs uint32) time.Duration {
	if secs > 1<<31-1 {
		return 0
	}
	return time.Duration(secs) * time.Second
}

// unescape reads a text as miekg/dns holds it: \DDD for bytes, \X for characters.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		case i+3 < len(s) && isByte(s[i+1:i+4]):
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
		default:
			i++
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// isByte reports whether three characters are a number from 000 to 255.
func isByte(s string) bool {
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s <= "255"
}
