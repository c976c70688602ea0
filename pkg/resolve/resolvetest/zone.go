package resolvetest

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// Zone is what a server knows: lines as zone files have them, such as
// "p2p.example. 60 IN NS ns.p2p.example.".
type Zone []dns.RR

// NewZone reads lines; one that is none panics.
func NewZone(lines ...string) Zone {
	var z Zone
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil || rr == nil {
			panic(fmt.Sprintf("resolvetest: %q: %v", line, err))
		}
		z = append(z, rr)
	}
	return z
}

// Texts are TXT records at a name, one string each.
func Texts(name string, ttl uint32, values ...string) Zone {
	var z Zone
	for _, v := range values {
		hdr := dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: ttl}
		z = append(z, &dns.TXT{Hdr: hdr, Txt: []string{v}})
	}
	return z
}

// Authority answers as a server of the zone does.
func (z Zone) Authority(q *dns.Msg, _ string) *dns.Msg {
	m := z.reply(q)
	m.Authoritative = true
	return m
}

// Recursive answers as a resolver does that has the zone's records in its cache.
func (z Zone) Recursive(q *dns.Msg, _ string) *dns.Msg {
	m := z.reply(q)
	m.RecursionAvailable = true
	return m
}

// reply finds what stands at the name, signatures only where they are wanted.
func (z Zone) reply(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Compress = true
	wanted := false
	if opt := q.IsEdns0(); opt != nil {
		wanted = opt.Do()
		m.SetEdns0(opt.UDPSize(), wanted)
	}
	name, kind := q.Question[0].Name, q.Question[0].Qtype
	exists := false
	for range len(z) + 1 {
		next := ""
		for _, rr := range z {
			if !strings.EqualFold(rr.Header().Name, name) {
				exists = exists || dns.IsSubDomain(name, rr.Header().Name)
				continue
			}
			exists = true
			sig, signs := rr.(*dns.RRSIG)
			alias, leads := rr.(*dns.CNAME)
			switch {
			case signs && wanted && sig.TypeCovered == kind, rr.Header().Rrtype == kind:
				m.Answer = append(m.Answer, dns.Copy(rr))
			case leads:
				m.Answer = append(m.Answer, dns.Copy(rr))
				next = alias.Target
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

// Rcode answers every question with this code.
func Rcode(code int) Answerer {
	return func(q *dns.Msg, _ string) *dns.Msg { return new(dns.Msg).SetRcode(q, code) }
}

// Silent answers no question.
func Silent(*dns.Msg, string) *dns.Msg { return nil }

// ClaimingAD answers as answer does and says that it checked signatures.
func ClaimingAD(answer Answerer) Answerer {
	return func(q *dns.Msg, by string) *dns.Msg {
		m := answer(q, by)
		if m != nil {
			m.AuthenticatedData = true
		}
		return m
	}
}

// Only answers by one transport, and not at all by the others.
func Only(by string, answer Answerer) Answerer {
	return func(q *dns.Msg, came string) *dns.Msg {
		if came != by {
			return nil
		}
		return answer(q, came)
	}
}
