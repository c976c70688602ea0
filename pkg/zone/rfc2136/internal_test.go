package rfc2136

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

const entry = "_dnsaddr.p2p.zone.test"

func TestMark_LongestFitsIntoOneString(t *testing.T) {
	m := mark{id: bareID(entry, "x"), sum: sumOf("x"), comment: strings.Repeat("\"", dnsaddr.MaxComment)}
	if n := len(m.rdata().value()); n > dnsaddr.MaxString {
		t.Errorf("got %d bytes, want at most %d", n, dnsaddr.MaxString)
	}
	if got, ok := parseMark(m.rdata()); !ok || got != m {
		t.Errorf("got %v, %t; want %v", got, ok, m)
	}
}

// Names end where labels do: those of another fleet are not ours.
func TestStream_TakesTheNamesOfOneFleet(t *testing.T) {
	s := newStream("zone.test", entry)
	for _, text := range []string{
		`_dnsaddr.p2p.zone.test. 60 TXT "a"`, `_DNSADDR.NYC1.p2p.zone.test. 60 TXT "b"`, `_fleetctl.nyc1.p2p.zone.test. 60 TXT "c"`,
		`_dnsaddr.a.b.p2p.zone.test. 60 TXT "d"`, `_dnsaddr.xp2p.zone.test. 60 TXT "e"`, `p2p.zone.test. 60 TXT "f"`,
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.record(rr); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.view.places) != 2 || len(s.view.places[entry].values.data) != 1 || len(s.view.places["_dnsaddr.nyc1.p2p.zone.test"].marks.data) != 1 {
		t.Errorf("got %v, want the entry name and one list", s.view.places)
	}
}

func TestStream_RefusesATransferThatIsNotWhole(t *testing.T) {
	soa := func(serial uint32) dns.RR {
		return &dns.SOA{Hdr: dns.RR_Header{Name: "zone.test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Serial: serial}
	}
	txt := textRdata("a").rr(entry, dns.ClassINET, 60)
	for what, c := range map[string]struct {
		answer []dns.RR
		done   bool
		says   string
	}{
		"whole":         {[]dns.RR{soa(1), txt, soa(1)}, true, ""},
		"not ended":     {[]dns.RR{soa(1), txt}, false, ""},
		"no beginning":  {[]dns.RR{txt, soa(1)}, false, "does not begin"},
		"other serial":  {[]dns.RR{soa(1), txt, soa(2)}, false, "serial 1 and ends with 2"},
		"after its end": {[]dns.RR{soa(1), soa(1), txt}, false, "follows its end"},
	} {
		done, err := newStream("zone.test", entry).take(100, &dns.Msg{Answer: c.answer})
		if done != c.done || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %t, %v; want %t and %q", what, done, err, c.done, c.says)
		}
	}
	if _, err := newStream("zone.test", entry).take(transferBytes+1, &dns.Msg{}); err == nil {
		t.Error("a zone that is too large: got no error")
	}
}

// A server may hold the zone that a list is delegated to itself, and answers for it at once.
func TestCutBelow_IsAlsoTheZoneOfAnAnswerByTheSameServer(t *testing.T) {
	const asked = "_dnsaddr.nyc1.p2p.zone.test"
	for owner, want := range map[string]string{"zone.test.": "", "nyc1.p2p.zone.test.": "nyc1.p2p.zone.test"} {
		soa := []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeSOA, Class: dns.ClassINET}}}
		for _, code := range []int{dns.RcodeSuccess, dns.RcodeNameError} {
			a := &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true, Rcode: code}, Ns: soa}
			if got, ok := cutBelow(a, "zone.test", asked); got != want || ok != (want != "") {
				t.Errorf("%s, %s: got %q, %t; want %q", owner, dns.RcodeToString[code], got, ok, want)
			}
			if got, ok := cutBelow(a, "", asked); ok {
				t.Errorf("%s, of a zone that is not known yet: got %q, want none", owner, got)
			}
		}
	}
}

// A resolver, too, says who is to be asked: of a name above the zone, or of the zone.
func TestReferral_IsToANameBelowTheZones(t *testing.T) {
	const asked = "_dnsaddr.nyc1.p2p.zone.test"
	for owner, want := range map[string]string{
		".": "", "test.": "", "zone.test.": "", "ZONE.test.": "", "other.zone.test.": "", "x." + asked + ".": "",
		"p2p.zone.test.": "p2p.zone.test", "NYC1.p2p.zone.test.": "nyc1.p2p.zone.test", asked + ".": asked,
	} {
		ns := []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "ns.elsewhere.test."}}
		if got, ok := cutBelow(&dns.Msg{Ns: ns}, "zone.test", asked); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t; want %q", owner, got, ok, want)
		}
		if got, ok := cutBelow(&dns.Msg{Answer: ns, Ns: ns}, "zone.test", asked); ok {
			t.Errorf("%s, with an answer: got %q, want none", owner, got)
		}
	}
}

// Whatever an answer holds, it is listed or not, and what is planned from it touches no
// record but ours.
func FuzzAnswer(f *testing.F) {
	whole := &dns.Msg{}
	whole.SetQuestion("zone.test.", dns.TypeAXFR)
	for _, text := range []string{
		"zone.test. 60 SOA ns.zone.test. h.zone.test. 1 1 1 1 1", entry + `. 60 TXT "dnsaddr=/x" "\255\""`,
		`_fleetctl.p2p.zone.test. 60 TXT "fleetctl v=1 list=nyc1"`,
		`_fleetctl.p2p.zone.test. 60 TXT "fleetctl v=1 id=a sha=` + sumOf("x") + ` c=fleetctl:demo/nyc1-1"`,
		"zone.test. 60 SOA ns.zone.test. h.zone.test. 1 1 1 1 1",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		whole.Answer = append(whole.Answer, rr)
	}
	raw, err := whole.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		s := newStream("zone.test", entry)
		if _, err := s.take(len(raw), m); err != nil {
			return
		}
		have := s.view.records()
		if !slices.IsSortedFunc(have, dnsaddr.Record.Compare) {
			t.Errorf("not sorted: %v", have)
		}
		s.view.lists()
		r := dnsaddr.Record{Name: entry, Value: "dnsaddr=/ours", TTL: minTTL, Comment: "fleetctl:ours/nyc1-1"}
		p, err := newPlan(s.view, dnsaddr.Changes{Add: []dnsaddr.Record{r}}, func() string { return "new" })
		if err != nil {
			t.Fatal(err)
		}
		for name, e := range p.adding {
			if len(e.values.remove) > 0 || name != entry {
				t.Errorf("an addition removes %q at %s", e.values.remove, name)
			}
		}
		for _, u := range updates(s.view, p.adding) {
			if q, err := u.message("zone.test"); err == nil {
				if _, err := q.Pack(); err != nil {
					t.Errorf("pack: %v", err)
				}
			}
		}
	})
}

// The data of a record is read and written without a loss, and a companion's record is
// exactly what is written.
func FuzzCompanion(f *testing.F) {
	f.Add([]byte("fleetctl v=1 id=a sha=" + sumOf("x") + " c=fleetctl:demo/nyc1-1"))
	f.Add([]byte("fleetctl v=1 list=nyc1"))
	f.Add([]byte("\\255\"\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > dnsaddr.MaxString {
			return
		}
		d := textRdata(string(text))
		rr := d.rr(entry, dns.ClassINET, 60)
		buf := make([]byte, 1024)
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatalf("pack %q: %v", text, err)
		}
		back, _, err := dns.UnpackRR(buf[:end], 0)
		if err != nil {
			t.Fatalf("unpack %q: %v", text, err)
		}
		if txt, ok := back.(*dns.TXT); !ok || rdataOf(txt) != d || d.value() != string(text) {
			t.Errorf("got %q, want %q", back, d)
		}
		if m, ok := parseMark(d); ok && m.rdata() != d {
			t.Errorf("got %q, want %q", m.rdata(), d)
		}
		if label, ok := parseList(d); ok && listRdata(label) != d {
			t.Errorf("got %q, want %q", listRdata(label), d)
		}
	})
}
