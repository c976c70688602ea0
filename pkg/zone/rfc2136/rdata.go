package rfc2136

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// rdata is the data of one TXT record as it goes over the wire: each of its strings after
// a byte with its length. Two records of a name are the same if it is.
type rdata string

func rdataOf(t *dns.TXT) rdata {
	var b strings.Builder
	for _, s := range t.Txt {
		raw := unescape(s)
		b.WriteByte(byte(len(raw)))
		b.WriteString(raw)
	}
	return rdata(b.String())
}

// textRdata is that of a text of at most 255 bytes, as one string.
func textRdata(s string) rdata { return rdata(string([]byte{byte(len(s))}) + s) }

// strings of the record, as they are.
func (d rdata) strings() []string {
	var out []string
	for len(d) > 0 {
		n := min(int(d[0]), len(d)-1)
		out = append(out, string(d[1:1+n]))
		d = d[1+n:]
	}
	return out
}

// value is the record as one text.
func (d rdata) value() string { return strings.Join(d.strings(), "") }

// single reports whether the record is one string, as those are that we write.
func (d rdata) single() bool { return len(d) > 0 && int(d[0]) == len(d)-1 }

// split reports whether the record is in several strings where one would hold its text.
func (d rdata) split() bool { return !d.single() && d != "" && len(d.value()) <= dnsaddr.MaxString }

// before reports whether a mark of their text is about d, of it and other, which is "" for
// none. It is about the one that we would write, if that is there.
func (d rdata) before(other rdata) bool {
	switch {
	case other == "" || d.single() == other.single():
		return other == "" || d < other
	}
	return d.single()
}

// rr is the record as miekg/dns holds it.
func (d rdata) rr(owner string, class uint16, ttl uint32) dns.RR {
	texts := d.strings()
	for i, s := range texts {
		texts[i] = strings.ReplaceAll(s, `\`, `\\`)
	}
	return &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(owner), Rrtype: dns.TypeTXT, Class: class, Ttl: ttl}, Txt: texts}
}

// unescape reads a string as miekg/dns holds it: \DDD for bytes, \X for characters.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
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

// set is the TXT records of one name. The zero value is none.
type set struct {
	ttl    uint32 // seconds; says nothing without records
	data   map[rdata]bool
	closed error // why no record can stand there, nil if one can
}

func (s set) clone() set { return set{s.ttl, maps.Clone(s.data), s.closed} }

func (s *set) add(d rdata) {
	if s.data == nil {
		s.data = make(map[rdata]bool)
	}
	s.data[d] = true
}

func (s set) sorted() []rdata { return slices.Sorted(maps.Keys(s.data)) }

// sameData reports whether both have the same records, whatever their TTL.
func (s set) sameData(t set) bool { return maps.Equal(s.data, t.data) }

// same reports whether a server that has s answers as one that has t.
func (s set) same(t set) bool { return s.sameData(t) && (len(s.data) == 0 || s.ttl == t.ttl) }

// without lists the records of s that t does not have.
func (s set) without(t set) []rdata {
	return slices.DeleteFunc(s.sorted(), func(d rdata) bool { return t.data[d] })
}
