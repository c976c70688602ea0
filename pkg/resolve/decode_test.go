package resolve

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// question is what the messages below answer.
func question() *dns.Msg {
	q := new(dns.Msg).SetQuestion("_dnsaddr.p2p.resolve.test.", dns.TypeTXT)
	q.Id = 7
	return q
}

// packed is an answer of raw strings, as bytes on the wire.
func packed(tb testing.TB, strs ...string) []byte {
	tb.Helper()
	m := new(dns.Msg).SetReply(question())
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}}
	for _, s := range strs {
		var b strings.Builder
		for i := range len(s) {
			b.WriteByte('\\')
			b.WriteByte('0' + s[i]/100)
			b.WriteByte('0' + s[i]/10%10)
			b.WriteByte('0' + s[i]%10)
		}
		rr.Txt = append(rr.Txt, b.String())
	}
	m.Answer = []dns.RR{rr}
	text, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// decode is what a client makes of a message.
func decode(text []byte) (Answer, error) {
	m, err := unpack(text, question())
	if err != nil {
		return Answer{}, err
	}
	r := &round{question: Question{Name: "_dnsaddr.p2p.resolve.test"}}
	r.take(m, TCP, len(text))
	return r.answer, nil
}

func TestDecode_EveryByteOfAString(t *testing.T) {
	var all strings.Builder
	for i := range 255 {
		all.WriteByte(byte(i + 1))
	}
	for _, strs := range [][]string{{all.String()}, {"", "a", "\x00\\\"", ""}, {`\065`, `a\`}} {
		a, err := decode(packed(t, strs...))
		if err != nil || len(a.Records) != 1 || strings.Join(a.Records[0].Strings, "|") != strings.Join(strs, "|") {
			t.Errorf("got %+v, error %v; want %q", a.Records, err, strs)
		}
	}
}

func TestDecode_RecordOf64KiB(t *testing.T) {
	strs := make([]string, 255)
	for i := range strs {
		strs[i] = strings.Repeat(`\`, 255)
	}
	a, err := decode(packed(t, strs...))
	if err != nil || len(a.Records) != 1 || len(a.Records[0].Value) != 255*255 {
		t.Errorf("got %d records, error %v; want one of %d bytes", len(a.Records), err, 255*255)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(packed(f, "dnsaddr=/ip4/192.0.2.1/tcp/1"))
	f.Add(packed(f, "a", `\"`, "\x00\xff", ""))
	f.Add(packed(f, strings.Repeat("x", 255), strings.Repeat("y", 255)))
	cut := packed(f, "dnsaddr=/ip4/192.0.2.1/tcp/1")
	cut[2] |= 2 // TC
	f.Add(cut[:len(cut)-9])
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxMessage {
			return
		}
		a, err := decode(text)
		if err != nil {
			return
		}
		size := 0
		for _, r := range a.Records {
			size += len(r.Value)
			if strings.Join(r.Strings, "") != r.Value || r.TTL < 0 {
				t.Errorf("got %+v, want its strings as its value and a TTL", r)
			}
			for _, s := range r.Strings {
				if len(s) > 255 {
					t.Errorf("got a string of %d bytes, at most 255 fit", len(s))
				}
			}
		}
		if size > len(text) {
			t.Errorf("got %d bytes of text from a message of %d", size, len(text))
		}
	})
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", `\`, `\\`, `\0`, `\12`, `\256`, `\255x`, `a\"b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := unescape(s); len(got) > len(s) {
			t.Errorf("%q: got %q, longer than it was", s, got)
		}
	})
}
