package dnsaddr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

func TestDecodeTXT_ReadsBothFormsAsOneText(t *testing.T) {
	for _, tc := range []struct{ name, content, want string }{
		{"raw", `dnsaddr=/ip4/192.0.2.1`, `dnsaddr=/ip4/192.0.2.1`},
		{"quoted", `"dnsaddr=/ip4/192.0.2.1"`, `dnsaddr=/ip4/192.0.2.1`},
		{"two strings", `"dnsaddr=" "/ip4/192.0.2.1"`, `dnsaddr=/ip4/192.0.2.1`},
		{"two strings without a space", `"a""b"`, `ab`},
		{"two strings and a tab", "\"a\" \t \"b\"", `ab`},
		{"escaped quote", `"say \"x\""`, `say "x"`},
		{"escaped backslash", `"a\\b"`, `a\b`},
		{"escaped backslash at the end", `"a\\"`, `a\`},
		{"digits", `"\065\066\255"`, "AB\xff"},
		{"other escape", `"\a\;"`, `a;`},
		{"empty", ``, ``},
		{"empty quoted", `""`, ``},
		{"one quote", `"`, `"`},
		{"quote at the beginning only", `"a`, `"a`},
		{"quote at the end only", `a"`, `a"`},
		{"backslash in raw text", `a\b\065`, `a\b\065`},
		{"white space in raw text", ` a  b `, ` a  b `},
		{"UTF-8", `"ü"`, `ü`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dnsaddr.DecodeTXT(tc.content)
			if err != nil || got != tc.want {
				t.Errorf("DecodeTXT(%q): got %q, %v, want %q", tc.content, got, err, tc.want)
			}
		})
	}
}

func TestSplitTXT_IsOfTextsThatOneStringWouldHold(t *testing.T) {
	long := strings.Repeat("a", dnsaddr.MaxString)
	for content, want := range map[string]bool{
		`a`: false, `"a"`: false, `"a" "b"`: true, `"a""b"`: true, `"a" ""`: true, `"a\" \"b"`: false, `"a`: false, `"a" b "c"`: false,
		`"` + long + `" "b"`: false, `"` + long[1:] + `" "b"`: true,
	} {
		if got := dnsaddr.SplitTXT(content); got != want {
			t.Errorf("SplitTXT(%.40s): got %t, want %t", content, got, want)
		}
	}
}

func TestDecodeTXT_RefusesWhatIsNeitherForm(t *testing.T) {
	for name, content := range map[string]string{
		"text between":        `"a" b "c"`,
		"quote does not end":  `"a" "b" "`,
		"backslash ends it":   `"a\"`,
		"two digits":          `"\06"`,
		"number too large":    `"\256"`,
		"more than fits":      strings.Repeat("a", 65536),
		"more than fits, too": `"` + strings.Repeat(`a`, 65536) + `"`,
		"longest":             strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := dnsaddr.DecodeTXT(content); !errors.Is(err, dnsaddr.ErrBadTXT) {
				t.Errorf("got %.40q, %v, want ErrBadTXT", got, err)
			}
		})
	}
}

func TestEncodeTXT_IsReadBackAndSplitAt255(t *testing.T) {
	for _, text := range []string{``, `a`, `v=spf1 "quoted" \ -all; x=y`, `"quoted"`, "\x00\xff\n", strings.Repeat(`"`, 255), strings.Repeat("x", 256), strings.Repeat("y", 65535)} {
		content := dnsaddr.EncodeTXT(text)
		if got, err := dnsaddr.DecodeTXT(content); err != nil || got != text {
			t.Errorf("got %.40q, %v, want %.40q", got, err, text)
		}
	}
	got, want := dnsaddr.EncodeTXT(strings.Repeat("x", 256)), `"`+strings.Repeat("x", 255)+`" "x"`
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzDecodeTXT holds the decoder to its own encoder, and to the reader of zone files of
// miekg/dns where that accepts a text.
func FuzzDecodeTXT(f *testing.F) {
	for _, seed := range []string{`"a" "b"`, `"\""`, `\"`, `"\065"`, `"a\`, `""`, `x`, `"` + strings.Repeat(`\255`, 300) + `"`, strings.Repeat(`"a" `, 9) + `""`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		text, err := dnsaddr.DecodeTXT(content)
		if err != nil {
			if !errors.Is(err, dnsaddr.ErrBadTXT) || text != "" {
				t.Fatalf("got %q with error %v, want no text and ErrBadTXT", text, err)
			}
			return
		}
		again, err := dnsaddr.DecodeTXT(dnsaddr.EncodeTXT(text))
		if err != nil || again != text {
			t.Fatalf("after encoding: got %q, %v, want %q", again, err, text)
		}
		if !strings.HasPrefix(content, `"`) || strings.ContainsAny(content, "\n\r") || len(text) > 4096 {
			return
		}
		rr, err := dns.NewRR("x. 60 IN TXT " + dnsaddr.EncodeTXT(text))
		if err != nil {
			t.Fatalf("a zone file does not hold %q: %v", dnsaddr.EncodeTXT(text), err)
		}
		wire := make([]byte, 65535)
		end, err := dns.PackRR(rr, wire, 0, nil, false)
		if err != nil {
			t.Fatalf("pack: %v", err)
		}
		var got []byte
		for data := wire[3+10 : end]; len(data) > 0; data = data[1+int(data[0]):] {
			got = append(got, data[1:1+int(data[0])]...)
		}
		if string(got) != text {
			t.Fatalf("on the wire: got %q, want %q", got, text)
		}
	})
}
