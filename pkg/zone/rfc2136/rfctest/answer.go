package rfctest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

var _ dns.Handler = (*Server)(nil)

// ServeDNS answers one message.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Compress = true
	t := q.IsTsig()
	if t == nil || len(q.Question) != 1 {
		m.Rcode = dns.RcodeRefused
		_ = w.WriteMsg(m)
		return
	}
	if code, other := s.judge(w.TsigStatus()); code != dns.RcodeSuccess {
		m.Rcode = dns.RcodeNotAuth
		m.SetTsig(t.Hdr.Name, t.Algorithm, t.Fudge, int64(t.TimeSigned))
		if sig, ok := m.Extra[len(m.Extra)-1].(*dns.TSIG); ok {
			sig.Error, sig.OtherData, sig.OtherLen = code, other, uint16(len(other)/2)
		}
		_ = w.WriteMsg(m)
		return
	}
	sign := func(m *dns.Msg) { m.SetTsig(t.Hdr.Name, t.Algorithm, t.Fudge, time.Now().Unix()) }
	switch {
	case q.Opcode == dns.OpcodeUpdate:
		fault := s.update(m, q)
		s.say(w, m, fault, sign)
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
		sign(m)
		_ = w.WriteMsg(m)
	case q.Question[0].Qtype == dns.TypeAXFR:
		s.transfer(w, q, sign)
	default:
		s.answer(m, q.Question[0])
		if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
			size := dns.MinMsgSize
			if opt := q.IsEdns0(); opt != nil {
				size = int(opt.UDPSize())
				m.SetEdns0(1232, false)
			}
			m.Truncate(size - 150) // room for the signature
		}
		sign(m)
		_ = w.WriteMsg(m)
	}
}

// judge says what is wrong with a signature, in the terms of RFC 8945.
func (s *Server) judge(status error) (code uint16, other string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(status, dns.ErrSecret):
		return dns.RcodeBadKey, ""
	case status != nil:
		return dns.RcodeBadSig, ""
	case s.skew.Abs() > 5*time.Minute:
		return dns.RcodeBadTime, fmt.Sprintf("%012x", time.Now().Add(s.skew).Unix())
	}
	return dns.RcodeSuccess, ""
}

// say answers an update as its fault wants it.
func (s *Server) say(w dns.ResponseWriter, m *dns.Msg, f Fault, sign func(*dns.Msg)) {
	switch {
	case f.Lost, f.Unsaid:
		_ = w.Close()
	case f.Truncated:
		raw, _ := m.Pack()
		_, _ = w.Write(raw[:len(raw)/2])
		_ = w.Close()
	case f.Unsigned:
		_ = w.WriteMsg(m)
	default:
		sign(m)
		_ = w.WriteMsg(m)
	}
}

func (s *Server) soa() *dns.SOA {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: s.zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300},
		Ns:  "ns." + s.zone, Mbox: "hostmaster." + s.zone, Serial: s.serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60,
	}
}

// answer fills in what stands at a name.
func (s *Server) answer(m *dns.Msg, q dns.Question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := dns.CanonicalName(q.Name)
	if !dns.IsSubDomain(s.zone, name) {
		m.Rcode = dns.RcodeRefused
		return
	}
	if cut := s.delegation(name); len(cut) > 0 {
		m.Ns = append(m.Ns, cut...)
		return
	}
	m.Authoritative = !s.foreign
	kinds := s.data[name]
	if alias := kinds[dns.TypeCNAME]; len(alias) > 0 {
		m.Answer = append(m.Answer, alias...)
		return
	}
	for _, rr := range kinds[q.Qtype] {
		m.Answer = append(m.Answer, dns.Copy(rr))
	}
	if name == s.zone && q.Qtype == dns.TypeSOA {
		m.Answer = append(m.Answer, s.soa())
	}
	if len(m.Answer) > 0 {
		return
	}
	m.Ns = append(m.Ns, s.soa())
	for other := range s.data {
		if dns.IsSubDomain(name, other) {
			return
		}
	}
	m.Rcode = dns.RcodeNameError
}

// delegation is the NS records of the name, at or above the given one, that other servers
// answer for. What stands there or below in this zone is only transferred.
func (s *Server) delegation(name string) []dns.RR {
	for ; name != s.zone; name = name[strings.Index(name, ".")+1:] {
		if cut := s.data[name][dns.TypeNS]; len(cut) > 0 {
			return cut
		}
	}
	return nil
}

// transfer sends the zone in messages of a few records.
func (s *Server) transfer(w dns.ResponseWriter, q *dns.Msg, sign func(*dns.Msg)) {
	const each = 20
	s.mu.Lock()
	refused := s.refuse || dns.CanonicalName(q.Question[0].Name) != s.zone
	all := []dns.RR{s.soa()}
	for _, name := range slices.Sorted(maps.Keys(s.data)) {
		for _, kind := range slices.Sorted(maps.Keys(s.data[name])) {
			for _, rr := range s.data[name][kind] {
				all = append(all, dns.Copy(rr))
			}
		}
	}
	all = append(all, s.soa())
	s.mu.Unlock()
	for part := range slices.Chunk(all, each) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		if m.Answer = part; refused {
			m.Answer, m.Rcode = nil, dns.RcodeRefused
		}
		sign(m)
		if w.WriteMsg(m) != nil || refused {
			return
		}
		w.TsigTimersOnly(true)
	}
}

// Generate implements dns.TsigProvider.
func (p provider) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	secret, err := p.secret(t.Hdr.Name)
	if err != nil {
		return nil, err
	}
	return mac(secret, t.Algorithm, msg)
}

// Verify implements dns.TsigProvider.
func (p provider) Verify(msg []byte, t *dns.TSIG) error {
	want, err := p.Generate(msg, t)
	if err != nil {
		return err
	}
	if hex.EncodeToString(want) != t.MAC {
		return dns.ErrSig
	}
	return nil
}

func decode(secret string) ([]byte, error) { return base64.StdEncoding.DecodeString(secret) }
