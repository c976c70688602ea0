package cftest

import (
	"strings"

	"github.com/miekg/dns"
)

// What the servers say of a zone beside its records, in seconds.
const (
	nsTTL       = 86_400
	soaTTL      = 1_800
	negativeTTL = 1_800
	refresh     = 10_000
	retry       = 2_400
	expire      = 604_800
	advertised  = 1_232 // UDP size that a server says it receives, in bytes
)

// reply is what a server says now to a query.
func (c *Cloud) reply(server int, q *dns.Msg) *dns.Msg {
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
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.zoneOf(strings.ToLower(strings.TrimSuffix(question.Name, ".")))
	if q.Opcode != dns.OpcodeQuery || question.Qclass != dns.ClassINET || z == nil ||
		question.Qtype == dns.TypeAXFR || question.Qtype == dns.TypeIXFR {
		m.Rcode = dns.RcodeRefused
		return m
	}
	m.Authoritative = true
	c.answer(m, c.settled(server), z, question)
	return m
}

// zoneOf is the zone that a name is in: the longest one.
func (c *Cloud) zoneOf(name string) *zone {
	var found *zone
	for _, z := range c.zones {
		if (name == z.Name || strings.HasSuffix(name, "."+z.Name)) && (found == nil || len(z.Name) > len(found.Name)) {
			found = z
		}
	}
	return found
}

// answer fills in what stands at a name: records, a CNAME, no data, or no such name. Names
// with an asterisk stand for themselves alone.
func (c *Cloud) answer(m *dns.Msg, s *server, z *zone, q dns.Question) {
	name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
	all := records(s, q.Name, name)
	if name == z.Name {
		all = append(append(all, c.soa(s, z, q.Name)), c.ns(q.Name)...)
	}
	for _, rr := range all {
		kind := rr.Header().Rrtype
		if q.Qtype == dns.TypeANY || kind == q.Qtype || kind == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) > 0 {
		return
	}
	soa := c.soa(s, z, z.Name+".")
	soa.Hdr.Ttl = negativeTTL
	m.Ns = append(m.Ns, soa)
	if len(all) == 0 && !s.below(name) {
		m.Rcode = dns.RcodeNameError
	}
}

// records are those at a name. The TTLs of a set are equal, as DNS wants it: the shortest.
// The owner is spelt as it was asked for.
func records(s *server, owner, name string) []dns.RR {
	var all []dns.RR
	shortest := map[uint16]uint32{}
	seen := map[string]bool{}
	for _, r := range s.at(name) {
		rr, err := resourceRecord(r)
		if err != nil {
			continue // not written by the API, which checks contents
		}
		rr.Header().Name = owner
		kind, ttl := rr.Header().Rrtype, rr.Header().Ttl
		if before, has := shortest[kind]; !has || ttl < before {
			shortest[kind] = ttl
		}
		if text := strings.TrimPrefix(rr.String(), rr.Header().String()); !seen[text] {
			seen[text] = true
			all = append(all, rr)
		}
	}
	for _, rr := range all {
		rr.Header().Ttl = shortest[rr.Header().Rrtype]
	}
	return all
}

// below reports whether a name exists because another one below it does.
func (s *server) below(name string) bool {
	for other := range s.names {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}

// soa of a zone as a server knows it: the serial counts the changes that it has seen.
func (c *Cloud) soa(s *server, z *zone, owner string) *dns.SOA {
	return &dns.SOA{
		Hdr: header(owner, dns.TypeSOA, soaTTL), Ns: c.servers[0].host + ".", Mbox: "dns.cloudflare.example.",
		Serial: s.serial[z.Name] + 1, Refresh: refresh, Retry: retry, Expire: expire, Minttl: negativeTTL,
	}
}

func (c *Cloud) ns(owner string) []dns.RR {
	var all []dns.RR
	for _, s := range c.servers {
		all = append(all, &dns.NS{Hdr: header(owner, dns.TypeNS, nsTTL), Ns: s.host + "."})
	}
	return all
}

func header(name string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}
