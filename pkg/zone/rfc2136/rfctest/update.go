package rfctest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"

	"github.com/miekg/dns"
)

// update makes an update as RFC 2136, section 3, has it, or says in m why not.
func (s *Server) update(m, q *dns.Msg) Fault {
	s.mu.Lock()
	s.updates++
	n, faults, fault := s.updates, s.faults, Fault{}
	s.mu.Unlock()
	if faults != nil {
		fault = faults(n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Rcode = fault.Rcode; fault.Rcode != dns.RcodeSuccess || fault.Lost || fault.Ignored {
		return fault
	}
	zone := q.Question[0]
	if dns.CanonicalName(zone.Name) != s.zone || zone.Qtype != dns.TypeSOA {
		m.Rcode = dns.RcodeNotAuth
		return fault
	}
	if m.Rcode = s.demanded(q.Answer); m.Rcode != dns.RcodeSuccess {
		return fault
	}
	after := s.data.clone()
	if m.Rcode = s.change(after, q.Ns); m.Rcode != dns.RcodeSuccess {
		return fault
	}
	s.data = after
	s.serial++
	s.remember()
	return fault
}

// demanded checks the prerequisites, section 3.2.
func (s *Server) demanded(demands []dns.RR) int {
	exact := make(records)
	for _, rr := range demands {
		h := rr.Header()
		name := dns.CanonicalName(h.Name)
		if !dns.IsSubDomain(s.zone, name) {
			return dns.RcodeNotZone
		}
		if h.Ttl != 0 {
			return dns.RcodeFormatError
		}
		here := s.data[name]
		switch {
		case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY:
			if len(here) == 0 {
				return dns.RcodeNameError
			}
		case h.Class == dns.ClassANY:
			if len(here[h.Rrtype]) == 0 {
				return dns.RcodeNXRrset
			}
		case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY:
			if len(here) > 0 {
				return dns.RcodeYXDomain
			}
		case h.Class == dns.ClassNONE:
			if len(here[h.Rrtype]) > 0 {
				return dns.RcodeYXRrset
			}
		case h.Class == dns.ClassINET:
			exact.add(dns.Copy(rr))
		default:
			return dns.RcodeFormatError
		}
	}
	for name, kinds := range exact {
		for kind, want := range kinds {
			have := s.data[name][kind]
			if len(have) != len(want) || slices.ContainsFunc(want, func(rr dns.RR) bool { return !contains(have, rr) }) {
				return dns.RcodeNXRrset
			}
		}
	}
	return dns.RcodeSuccess
}

func contains(set []dns.RR, rr dns.RR) bool {
	return slices.ContainsFunc(set, func(other dns.RR) bool { return dns.IsDuplicate(other, rr) })
}

// change makes the changes of section 3.4 in data. Records that must not be touched at
// the apex are left alone.
func (s *Server) change(data records, changes []dns.RR) int {
	for _, rr := range changes {
		h := rr.Header()
		name := dns.CanonicalName(h.Name)
		if !dns.IsSubDomain(s.zone, name) {
			return dns.RcodeNotZone
		}
		apex := name == s.zone && (h.Rrtype == dns.TypeSOA || h.Rrtype == dns.TypeNS)
		switch h.Class {
		case dns.ClassINET:
			s.put(data, name, dns.Copy(rr))
		case dns.ClassANY:
			if !apex && h.Rrtype != dns.TypeANY && data[name] != nil {
				data.replace(name, h.Rrtype, nil)
			}
		case dns.ClassNONE:
			if one := dns.Copy(rr); !apex && data[name] != nil {
				one.Header().Class = dns.ClassINET
				data.remove(one)
			}
		default:
			return dns.RcodeFormatError
		}
		if s.oversize > 0 && len(data[name][h.Rrtype]) > s.oversize {
			return dns.RcodeServerFailure
		}
	}
	return dns.RcodeSuccess
}

// put adds one record. A set has one TTL: that of what came last, as in BIND.
func (s *Server) put(data records, name string, rr dns.RR) {
	if len(data[name][dns.TypeCNAME]) > 0 && rr.Header().Rrtype != dns.TypeCNAME {
		return // ignored without a word
	}
	if set := data[name][rr.Header().Rrtype]; s.keepTTL && len(set) > 0 {
		rr.Header().Ttl = set[0].Header().Ttl
	}
	data.add(rr)
	for _, other := range data[name][rr.Header().Rrtype] {
		other.Header().Ttl = rr.Header().Ttl
	}
}

// mac signs msg.
func mac(secret, algorithm string, msg []byte) ([]byte, error) {
	hashes := map[string]func() hash.Hash{
		dns.HmacSHA224: sha256.New224, dns.HmacSHA256: sha256.New, dns.HmacSHA384: sha512.New384, dns.HmacSHA512: sha512.New,
	}
	make, known := hashes[dns.CanonicalName(algorithm)]
	if !known {
		return nil, dns.ErrKeyAlg
	}
	raw, err := decode(secret)
	if err != nil {
		return nil, err
	}
	h := hmac.New(make, raw)
	_, _ = h.Write(msg)
	return h.Sum(nil), nil
}
