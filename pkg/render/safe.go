package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SafeLimit is how many characters [Safe] lets through.
const SafeLimit = 1000

// Safe is text that came from outside, made fit for a terminal, a log and a table:
// without control characters (so without terminal escapes), bidirectional overrides
// and other invisible format characters, without invalid UTF-8, on one line, and at
// most [SafeLimit] characters long. White space becomes a space. Safe(Safe(s)) is Safe(s).
func Safe(s string) string { return SafeUpTo(s, SafeLimit) }

// SafeUpTo is [Safe] with another limit. Longer text ends in an ellipsis.
func SafeUpTo(s string, limit int) string {
	if limit <= 0 {
		return ""
	}
	if isSafe(s, limit) {
		return s
	}
	var b strings.Builder
	kept := 0
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			s = s[size:]
			continue
		}
		s = s[size:]
		switch {
		case r == '\n', r == '\t', r == '\r', unicode.In(r, unicode.Zl, unicode.Zp):
			r = ' '
		case unsafe(r):
			continue
		}
		if kept == limit {
			text := []rune(b.String())
			return string(text[:limit-1]) + "…"
		}
		b.WriteRune(r)
		kept++
	}
	return b.String()
}

// isSafe reports whether s needs no change; nearly all text does not.
func isSafe(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// unsafe reports whether r is a control or format character (Cc, Cf: escapes, bidi
// overrides, zero-width joiners, tags) or no character at all.
func unsafe(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs, unicode.Noncharacter_Code_Point)
}

// Names are names on one line, at most so many of them and how many are left, each safe:
// "fra1-1, nyc1-1 and 7 more".
func Names(all []string, most int) string {
	left := ""
	if n := len(all) - most; n > 1 { // one that is left takes no more room than to say so
		all, left = all[:most], fmt.Sprintf(" and %d more", n)
	}
	out := make([]string, len(all))
	for i, name := range all {
		out[i] = SafeUpTo(name, 80)
	}
	return strings.Join(out, ", ") + left
}
