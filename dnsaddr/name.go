package dnsaddr

import (
	"errors"
	"fmt"
	"strings"
)

// ErrBadName is wrapped by the errors of [CheckName].
var ErrBadName = errors.New("not a domain name")

// label stands before a domain in the name of its records.
const label = "_dnsaddr."

// Limits of the DNS, in bytes.
const (
	maxName  = 253 // text form, without the final dot
	maxLabel = 63
)

// Name is the name of the records of a domain: "_dnsaddr." before it.
func Name(domain string) string { return label + domain }

// IsListName reports whether name is that of a list of the fleet at entry: of
// _dnsaddr.<domain>, _dnsaddr.<label>.<domain>. The case of letters does not matter.
func IsListName(entry, name string) bool {
	domain, ok := strings.CutPrefix(strings.ToLower(entry), label)
	if !ok {
		return false
	}
	list, ok := strings.CutPrefix(strings.ToLower(name), label)
	if !ok {
		return false
	}
	list, ok = strings.CutSuffix(list, "."+domain)
	return ok && checkLabel(list) == nil && !strings.Contains(list, ".")
}

// OfFleet reports whether name is the entry name or that of one of its lists.
func OfFleet(entry, name string) bool {
	return strings.EqualFold(entry, name) || IsListName(entry, name)
}

// CheckName says why domain cannot be a domain name under which relays are published,
// nil if it can. It accepts labels of ASCII letters, digits, hyphens and underscores,
// 63 bytes each, and leaves room for "_dnsaddr." within the 253 bytes of a whole name.
// A final dot is refused. Names of other scripts have to be in their xn-- form.
func CheckName(domain string) error {
	if len(domain) > maxName-len(label) {
		return fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrBadName, len(domain), maxName-len(label))
	}
	for part := range strings.SplitSeq(domain, ".") {
		if err := checkLabel(part); err != nil {
			return fmt.Errorf("%w: %q: %w", ErrBadName, domain, err)
		}
	}
	return nil
}

func checkLabel(s string) error {
	switch {
	case s == "":
		return errors.New("an empty label")
	case len(s) > maxLabel:
		return fmt.Errorf("a label of %d bytes, at most %d are accepted", len(s), maxLabel)
	case s[0] == '-' || s[len(s)-1] == '-':
		return fmt.Errorf("label %q begins or ends with a hyphen", s)
	}
	for _, r := range s {
		if !isNameRune(r) {
			return fmt.Errorf("%q is no letter, digit, hyphen or underscore", r)
		}
	}
	return nil
}

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}
