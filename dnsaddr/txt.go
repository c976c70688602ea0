package dnsaddr

import (
	"errors"
	"fmt"
	"strings"
)

// ErrBadTXT is wrapped by the errors of [DecodeTXT].
var ErrBadTXT = errors.New("not the text of a TXT record")

// maxTXT is the most that the data of one TXT record can hold, in bytes.
const maxTXT = 65535

// maxTXTContent is the longest form that text of that length can be written in: an escape
// of four characters for each byte, and quotes and a space for each string.
const maxTXTContent = 4*maxTXT + 3*(maxTXT/MaxString+1)

// EncodeTXT writes a text in the form of zone files and of DNS APIs: quoted strings of at
// most [MaxString] bytes, with a space between them. Quotes and backslashes are escaped,
// and so is every byte that is not printable ASCII.
func EncodeTXT(text string) string {
	var b strings.Builder
	for {
		part := text[:min(MaxString, len(text))]
		text = text[len(part):]
		b.WriteByte('"')
		for _, c := range []byte(part) {
			switch {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
		if text == "" {
			return b.String()
		}
		b.WriteByte(' ')
	}
}

// DecodeTXT reads a text in either form in which DNS APIs give it: what begins and ends
// with a quote is one or more quoted strings, which are put together; anything else is
// the text itself. Two contents are the same record if they decode to the same text.
func DecodeTXT(content string) (string, error) {
	text, _, err := decodeTXT(content)
	return text, err
}

// SplitTXT reports whether a content that [DecodeTXT] reads is in several strings, where
// one would hold its text. Clients differ in what they make of those.
func SplitTXT(content string) bool {
	text, parts, err := decodeTXT(content)
	return err == nil && parts > 1 && len(text) <= MaxString
}

// decodeTXT also counts the strings; text without quotes is one.
func decodeTXT(content string) (text string, parts int, err error) {
	if len(content) > maxTXTContent {
		return "", 0, fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrBadTXT, len(content), maxTXTContent)
	}
	text, parts = content, 1
	if len(content) >= 2 && content[0] == '"' && content[len(content)-1] == '"' {
		if text, parts, err = unquoteAll(content); err != nil {
			return "", 0, fmt.Errorf("%w: %s: %w", ErrBadTXT, excerpt(content), err)
		}
	}
	if len(text) > maxTXT {
		return "", 0, fmt.Errorf("%w: a text of %d bytes, at most %d are accepted", ErrBadTXT, len(text), maxTXT)
	}
	return text, parts, nil
}

// unquoteAll reads quoted strings with nothing but white space between them.
func unquoteAll(content string) (text string, parts int, err error) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(content); i++ {
		c := content[i]
		switch {
		case c == '"':
			if quoted = !quoted; quoted {
				parts++
			}
		case !quoted && (c == ' ' || c == '\t'):
		case !quoted:
			return "", 0, errors.New("text outside of the quotes")
		case c == '\\':
			octet, size, err := unescape(content[i+1:])
			if err != nil {
				return "", 0, err
			}
			b.WriteByte(octet)
			i += size
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", 0, errors.New("a quote that does not end")
	}
	return b.String(), parts, nil
}

// unescape reads what follows a backslash: three digits, or the character itself.
func unescape(s string) (octet byte, size int, err error) {
	if s == "" {
		return 0, 0, errors.New("a backslash at the end")
	}
	if !isDigit(s[0]) {
		return s[0], 1, nil
	}
	if len(s) < 3 || !isDigit(s[1]) || !isDigit(s[2]) {
		return 0, 0, errors.New("an escape of less than three digits")
	}
	n := int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if n > 255 {
		return 0, 0, fmt.Errorf("an escape of %d, at most 255 is accepted", n)
	}
	return byte(n), 3, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
