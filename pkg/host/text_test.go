package host

import (
	"bytes"
	"testing"
)

func TestFilter_LetsNothingThroughThatATerminalObeys(t *testing.T) {
	for text, want := range map[string]string{
		"plain\n\ttext\n": "plain\n\ttext\n", "Zürich …": "Zürich …",
		"\x1b[2J\x1b]0;x\x07up": "[2J]0;xup", "a\xff\xfeb": "ab", "a\u202eb\u200bc\u2028d": "abcd", "\u009b31m": "31m", "cut \xe2\x80": "cut ",
	} {
		for size := 1; size <= len(text); size++ {
			var got bytes.Buffer
			f := &filter{to: &got}
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := f.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if got.String() != want {
				t.Errorf("%q in pieces of %d: got %q, want %q", text, size, got.String(), want)
			}
		}
	}
}
