package host

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text from a box fit to print: valid UTF-8, without control and format
// characters except that white space becomes a space, at most limit bytes.
func clean(text string, limit int) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// lines splits text from a box into its last n lines that hold something, each clean.
func lines(text string, n int) []string {
	out := []string{}
	for line := range strings.SplitSeq(text, "\n") {
		if line = clean(line, 400); line != "" {
			out = append(out, line)
		}
	}
	return out[max(0, len(out)-n):]
}

// filter passes text on without what could drive a terminal or hide in it: control
// characters but newlines and tabs, format characters, invalid UTF-8. It may be fed in
// any pieces.
type filter struct {
	to   io.Writer
	rest []byte // the beginning of a character whose end has not come yet
}

func (f *filter) Write(p []byte) (int, error) {
	text := append(f.rest, p...) //nolint:gocritic // rest is replaced below
	kept := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		if r == '\n' || r == '\t' || !(r == utf8.RuneError && size == 1 || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)) {
			kept = append(kept, text[:size]...)
		}
		text = text[size:]
	}
	f.rest = append([]byte(nil), text...)
	if _, err := f.to.Write(kept); err != nil {
		return 0, err
	}
	return len(p), nil
}

// joined puts words or lines onto one line.
func joined(words []string) string { return strings.Join(words, " ") }
