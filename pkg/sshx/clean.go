package sshx

import (
	"strings"
	"unicode"
)

const maxSaid = 500 // runes of a box's words in an error

// clean makes one printable line of what a box said.
func clean(text string) string {
	line := []rune(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "))
	if len(line) > maxSaid {
		return string(line[:maxSaid]) + "…"
	}
	return string(line)
}
