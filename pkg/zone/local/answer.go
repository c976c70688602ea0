package local

import (
	"errors"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// TTLs of what is not a TXT record, in seconds. Absence is remembered as short as
// possible: the next thing that happens to a fleet's zone is a record.
const (
	apexTTL     = 2
	negativeTTL = 1
	advertised  = 1232 // UDP size that the server says it receives, in bytes
)

// reply decides the answer to q from the zone, or from the reason why there is none.
func reply(f file, err error, q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = false
	m.Compress = true
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(advertised, opt.Do())
		if opt.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return m
	}
	question := q.Question[0]
	name := strings.TrimSuffix(question.Name, ".")
	switch {
	case q.Opcode != dns.OpcodeQuery, question.Qclass != dns.ClassINET,
		question.Qtype == dns.TypeAXFR, question.Qtype == dns.TypeIXFR,
		errors.Is(err, fs.ErrNotExist):
		m.Rcode = dns.RcodeRefused
	case err != nil:
		m.Rcode = dns.RcodeServerFailure
	case !dns.IsSubDomain(f.Apex+".", question.Name):
		m.Rcode = dns.RcodeRefused
	default:
		m.Authoritative = true
		f.answer(m, question, name)
	}
	return m
}

// answer fills in what stands at a name of the zone: records, no data, or no such name.
func (f *file) answer(m *dns.Msg, q dns.Question, name string) {
	var all []dns.RR
	apex, ns := f.Apex+".", "ns."+f.Apex+"."
	exists := false
	switch {
	case strings.EqualFold(name, f.Apex):
		exists = true
		all = append(all, f.soa(q.Name), &dns.NS{Hdr: header(q.Name, dns.TypeNS, apexTTL), Ns: ns})
	case strings.EqualFold(name+".", ns):
		exists = true
		all = append(all, &dns.A{Hdr: header(q.Name, dns.TypeA, apexTTL), A: net.ParseIP(host).To4()})
	}
	for _, rr := range f.txt(q.Name, name) {
		exists = true
		all = append(all, rr)
	}
	for _, rr := range all {
		if q.Qtype == dns.TypeANY || rr.Header().Rrtype == q.Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) > 0 {
		return
	}
	soa := f.soa(apex)
	soa.Hdr.Ttl = negativeTTL
	m.Ns = append(m.Ns, soa)
	if !exists && !f.hasBelow(name) {
		m.Rcode = dns.RcodeNameError
	}
}

// txt returns the TXT records at a name. Their TTLs are equal, as DNS wants of a set:
// the shortest. Two records of the same value are one here.
func (f *file) txt(owner, name string) []dns.RR {
	records := f.at(name)
	ttl := maxTTL
	for _, r := range records {
		ttl = min(ttl, r.TTL)
	}
	var out []dns.RR
	for i, r := range records {
		if i > 0 && records[i-1].Value == r.Value {
			continue
		}
		hdr := header(owner, dns.TypeTXT, uint32(ttl/time.Second)) //nolint:gosec // G115: at most a day
		out = append(out, &dns.TXT{Hdr: hdr, Txt: []string{escape(r.Value)}})
	}
	return out
}

// hasBelow reports whether a name exists because another one below it does.
func (f *file) hasBelow(name string) bool {
	return slices.ContainsFunc(f.Records, func(e entry) bool { return within(e.Name, name) })
}

// soa of the zone. Its mailbox names this very zone, so that a client of the same
// domain's zone in another directory can tell that it asks the wrong server.
func (f *file) soa(owner string) *dns.SOA {
	return &dns.SOA{
		Hdr: header(owner, dns.TypeSOA, apexTTL), Ns: "ns." + f.Apex + ".", Mbox: mailbox(f.ID, f.Apex),
		Serial: f.Serial, Refresh: 60, Retry: 10, Expire: 3600, Minttl: negativeTTL,
	}
}

// mailbox fits where an apex of the greatest length has no room for a label more.
func mailbox(id, apex string) string {
	const room = 253
	if name := id + "." + apex + "."; len(name) <= room {
		return name
	}
	return id + "."
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// escape writes a text as miekg/dns holds it: in the form of a zone file.
func escape(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }
