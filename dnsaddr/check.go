package dnsaddr

import (
	"fmt"
	"slices"
	"time"
	"unicode"
)

// CheckChanges says why a zone with these limits cannot make the changes, nil if it
// can. A zone asks it before the first write, so that a bad record changes nothing.
// Errors wrap [ErrBadRecord].
func CheckChanges(entry string, c Changes, l Limits) error {
	for _, r := range slices.Concat(c.Add, c.Update, c.Remove) {
		if r.Name != "" && !OfFleet(entry, r.Name) {
			return fmt.Errorf("%w: %s: %q is no name of the fleet at %s", ErrBadRecord, excerpt(r.Value), r.Name, entry)
		}
	}
	for _, r := range c.Add {
		if err := checkRecord(r, l); err != nil {
			return err
		}
		if r.Value == "" || len(r.Value) > MaxString {
			return fmt.Errorf("%w: %s: %d bytes, 1..%d are accepted", ErrBadRecord, excerpt(r.Value), len(r.Value), MaxString)
		}
		for _, b := range []byte(r.Value) {
			if b < ' ' || b > '~' {
				return fmt.Errorf("%w: %s: only printable ASCII is accepted", ErrBadRecord, excerpt(r.Value))
			}
		}
	}
	for _, r := range c.Update {
		if err := checkRecord(r, l); err != nil {
			return err
		}
		if r.ID == "" {
			return fmt.Errorf("%w: %s: an update needs an ID", ErrBadRecord, excerpt(r.Value))
		}
	}
	for _, r := range c.Remove {
		if r.ID == "" {
			return fmt.Errorf("%w: %s: a removal needs an ID", ErrBadRecord, excerpt(r.Value))
		}
	}
	return nil
}

func checkRecord(r Record, l Limits) error {
	if r.TTL < l.MinTTL || r.TTL > l.MaxTTL || r.TTL%time.Second != 0 {
		return fmt.Errorf("%w: %s: TTL %s, whole seconds %s..%s are accepted", ErrBadRecord, excerpt(r.Value), r.TTL, l.MinTTL, l.MaxTTL)
	}
	if len(r.Comment) > MaxComment {
		return fmt.Errorf("%w: %s: a comment of %d bytes, at most %d are accepted", ErrBadRecord, excerpt(r.Value), len(r.Comment), MaxComment)
	}
	for _, c := range r.Comment {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return fmt.Errorf("%w: %s: a comment with control characters", ErrBadRecord, excerpt(r.Value))
		}
	}
	return nil
}
