package history

import (
	"strings"
	"unicode"
)

// clean makes text from outside fit for one line: no control or format characters, no
// invalid UTF-8, at most so many characters.
func clean(text string, most int) string {
	text = strings.ToValidUTF8(text[:min(len(text), 4*most+4)], "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
