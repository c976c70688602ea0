package cftest

import (
	"errors"
	"fmt"
	"strings"
)

// characterStrings are the strings that a TXT record of this content holds. Content in
// quotes is read as in a zone file: strings in quotes, one after the other, with \" and \\
// and \DDD. Any other is one text. What is longer than 255 bytes is split.
func characterStrings(content string) ([]string, error) {
	if !quoted(content) {
		return split(content), nil
	}
	var all []string
	rest := content
	for rest != "" {
		if rest[0] != '"' {
			return nil, errors.New("text between quoted strings")
		}
		text, after, err := quotedString(rest[1:])
		if err != nil {
			return nil, err
		}
		all = append(all, split(text)...)
		rest = strings.TrimLeft(after, " \t")
	}
	return all, nil
}

func quoted(content string) bool {
	return len(content) >= 2 && content[0] == '"' && content[len(content)-1] == '"'
}

// quotedString reads up to the closing quote.
func quotedString(s string) (text, after string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			c, n, err := escaped(s[i+1:])
			if err != nil {
				return "", "", err
			}
			b.WriteByte(c)
			i += n
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errors.New("a string without its closing quote")
}

// escaped reads what follows a backslash, and says how many bytes it was.
func escaped(s string) (c byte, n int, err error) {
	switch {
	case s == "":
		return 0, 0, errors.New("a backslash at the end")
	case s[0] < '0' || s[0] > '9':
		return s[0], 1, nil
	case len(s) < 3:
		return 0, 0, fmt.Errorf("\\%s is no \\DDD", s)
	}
	value := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, 0, fmt.Errorf("\\%s is no \\DDD", s[:3])
		}
		value = value*10 + int(s[i]-'0')
	}
	if value > 255 {
		return 0, 0, fmt.Errorf("\\%s is no byte", s[:3])
	}
	return byte(value), 3, nil
}

// split cuts a text into strings of at most 255 bytes; an empty text is one empty string.
func split(text string) []string {
	all := []string{}
	for len(text) > maxString {
		all = append(all, text[:maxString])
		text = text[maxString:]
	}
	return append(all, text)
}

// presentation is a string in the form of a zone file, without the quotes around it.
func presentation(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ', c > '~':
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
