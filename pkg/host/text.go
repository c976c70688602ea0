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

// filter passes text on without the control characters that could drive a terminal;
// newlines and tabs stay. It treats bytes alone, so that it may be fed in any pieces.
type filter struct{ to io.Writer }

func (f filter) Write(p []byte) (int, error) {
	kept := make([]byte, 0, len(p))
	for _, c := range p {
		if c >= 0x20 && c != 0x7f || c == '\n' || c == '\t' {
			kept = append(kept, c)
		}
	}
	if _, err := f.to.Write(kept); err != nil {
		return 0, err
	}
	return len(p), nil
}

// joined puts words or lines onto one line.
func joined(words []string) string { return strings.Join(words, " ") }
