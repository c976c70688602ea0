package cftest

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestCharacterStrings_ReadsBothForms(t *testing.T) {
	long := strings.Repeat("x", 300)
	for content, want := range map[string][]string{
		`text`:              {"text"},
		`"text"`:            {"text"},
		`"te" "xt"`:         {"te", "xt"},
		`"te""xt"`:          {"te", "xt"},
		`"a \"b\" \\ \065"`: {`a "b" \ A`},
		`"`:                 {`"`}, // one quote is not two
		`""`:                {""},
		`say "hi" now`:      {`say "hi" now`},
		long:                {long[:255], long[255:]},
		`"` + long + `"`:    {long[:255], long[255:]},
	} {
		if got, err := characterStrings(content); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v; want %q", content, got, err, want)
		}
	}
	for _, content := range []string{`"a" b "c"`, `"a\"`, `"\25"`, `"\999"`, `"\25x"`, `"a" "`} {
		if got, err := characterStrings(content); err == nil {
			t.Errorf("%s: got %q, want an error", content, got)
		}
	}
}

// FuzzCharacterStrings holds what is in quotes against another reader of zone files.
func FuzzCharacterStrings(f *testing.F) {
	for _, seed := range []string{`x`, `"x"`, `"a" "b"`, `"\065\"\\"`, `""`, `"`, `"\300"`, `"a" b`, "\"\x00\xff\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		all, err := characterStrings(content)
		if err != nil {
			return
		}
		text := strings.Join(all, "")
		for _, s := range all {
			if len(s) > maxString {
				t.Errorf("got a string of %d bytes, want at most %d", len(s), maxString)
			}
		}
		if !quoted(content) {
			if text != content {
				t.Errorf("got %q, want the text as it is: %q", text, content)
			}
			return
		}
		again, err := characterStrings(`"` + presentation(text) + `"`)
		if err != nil || strings.Join(again, "") != text {
			t.Errorf("got %q, %v; want what was written: %q", again, err, text)
		}
		if strings.ContainsAny(content, "\n\r\x00") || len(text) > 1000 {
			return // not of one line, or longer than the other reader takes
		}
		rr, err := dns.NewRR("x. 1 IN TXT " + content)
		if err != nil || rr == nil {
			return // it is stricter
		}
		wire := make([]byte, dns.MaxMsgSize)
		n, err := dns.PackRR(rr, wire, 0, nil, false)
		if err != nil {
			return
		}
		if got := wireText(wire[3+8+2 : n]); got != text {
			t.Errorf("%q: got %q, want %q as another reader has it", content, text, got)
		}
	})
}

// wireText puts the strings of a packed TXT record together.
func wireText(b []byte) string {
	var text strings.Builder
	for len(b) > 0 {
		n := int(b[0])
		text.Write(b[1 : 1+n])
		b = b[1+n:]
	}
	return text.String()
}
