package render

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafe_StripsWhatATerminalActsOn(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"plain text":                 "plain text",
		"世界 ü":                       "世界 ü",
		"\x1b[31mred\x1b[0m":         "[31mred[0m",
		"\x1b]0;title\x07x":          "]0;titlex",
		"\u009b31mred":               "31mred", // the C1 form of the escape
		"a\nb\tc\r\nd":               "a b c  d",
		"abc\u202egpj.exe":           "abcgpj.exe",
		"a\u2066b\u2069c\u200bd":     "abcd",
		"a\xff\xfeb\xc3":             "ab",
		"a\u2028b":                   "a b",
		"\U000e0041tag":              "tag",
		"nul\x00del\x7f":             "nuldel",
		"\ufeffbom":                  "bom",
		strings.Repeat("é", 1000):    strings.Repeat("é", 1000),
		strings.Repeat("x", 100_000): strings.Repeat("x", 999) + "…",
	} {
		if got := Safe(text); got != want {
			t.Errorf("Safe(%.40q): got %.40q, want %.40q", text, got, want)
		}
	}
}

func TestPeerID_IsShortInTablesOnly(t *testing.T) {
	if got, want := forPeople(PeerID(peer), false), "12D3KooW…x6nXTN"; got != want {
		t.Errorf("table: got %q, want %q", got, want)
	}
	if got := forPeople(PeerID(peer), true); got != peer {
		t.Errorf("wide: got %q, want %q", got, peer)
	}
	if got := forCSV(PeerID(peer)); got != peer {
		t.Errorf("csv: got %q, want %q", got, peer)
	}
	if got := PeerID("12D3KooW\x1b[2J" + strings.Repeat("ü", 30)).Short(); !utf8.ValidString(got) || strings.Contains(got, "\x1b") {
		t.Errorf("hostile: got %q", got)
	}
}

func FuzzSafe(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b[31m", "\u202e", "\xff", "a\nb", strings.Repeat("é", 2000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Safe(text)
		if !utf8.ValidString(got) {
			t.Errorf("Safe(%q) is not UTF-8: %q", text, got)
		}
		if n := utf8.RuneCountInString(got); n > SafeLimit {
			t.Errorf("Safe(%q) has %d characters, want at most %d", text, n, SafeLimit)
		}
		if strings.ContainsFunc(got, unsafe) {
			t.Errorf("Safe(%q) holds a control or format character: %q", text, got)
		}
		if again := Safe(got); again != got {
			t.Errorf("Safe(%q) is not its own result: %q, then %q", text, got, again)
		}
	})
}

func TestNames_SayHowManyAreLeft(t *testing.T) {
	all := []string{"a\x1b[2J", "b", "c", "d"}
	for most, want := range map[int]string{1: "a[2J and 3 more", 2: "a[2J, b and 2 more", 3: "a[2J, b, c, d", 4: "a[2J, b, c, d"} {
		if got := Names(all, most); got != want {
			t.Errorf("at most %d: got %q, want %q", most, got, want)
		}
	}
}
