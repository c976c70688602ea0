package dnsaddr

import (
	"errors"
	"fmt"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// prefix of every value, case-sensitive: clients drop what begins otherwise.
const prefix = "dnsaddr="

// Errors of [ParseValue] beside [ErrBadAddr].
var (
	// ErrNotDNSAddr: the text is a TXT record of another kind, such as SPF.
	ErrNotDNSAddr = errors.New("not a dnsaddr record")
	// ErrPointer: the value is "dnsaddr=/dnsaddr/…" and leads to the records of
	// another name. It is valid, and never one of ours.
	ErrPointer = errors.New("points to another name")
)

// IsDNSAddr reports whether a TXT value claims to be a dnsaddr record. It may still
// be one that does not parse.
func IsDNSAddr(txt string) bool { return strings.HasPrefix(txt, prefix) }

// ParseValue reads the text of a TXT record, as one string and unquoted. It fails with
// [ErrNotDNSAddr] for a record of another kind, with [ErrPointer] for one that leads to
// another name, and with [ErrBadAddr] for one that is no relay's address.
func ParseValue(txt string) (Addr, error) {
	text, ok := strings.CutPrefix(txt, prefix)
	if !ok {
		return Addr{}, fmt.Errorf("%w: %s", ErrNotDNSAddr, excerpt(txt))
	}
	a, err := ParseAddr(text)
	if err != nil && isPointer(text) {
		return Addr{}, fmt.Errorf("%s: %w", excerpt(text), ErrPointer)
	}
	return a, err
}

// isPointer reports whether text is a multiaddr that begins with another dnsaddr name.
func isPointer(text string) bool {
	if len(text) > MaxAddr || !strings.HasPrefix(text, "/dnsaddr/") {
		return false
	}
	m, err := ma.NewMultiaddr(text)
	return err == nil && CheckName(m[0].Value()) == nil
}

// excerpt quotes the beginning of a text that may be anything.
func excerpt(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
