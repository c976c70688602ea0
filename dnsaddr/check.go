package dnsaddr

import (
	"fmt"
	"slices"
	"strings"
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

// CheckUpdate says why an update must not be made of the record that a zone has under its
// ID now, nil if it may. Errors wrap [ErrEdited].
func CheckUpdate(now, update Record) error {
	if err := checkPlace(now, update); err != nil {
		return err
	}
	if TakesOver(now.Comment, update.Comment) {
		return fmt.Errorf("%w: it belongs to somebody else now: its comment is %s", ErrEdited, excerpt(now.Comment))
	}
	return nil
}

// CheckRemoval says why the record that a zone has under an ID now must not be removed,
// given how it was when that was planned; nil if it may. Errors wrap [ErrEdited].
func CheckRemoval(now, was Record) error {
	if err := checkPlace(now, was); err != nil {
		return err
	}
	if now.Comment != was.Comment {
		return fmt.Errorf("%w: its comment is now %s", ErrEdited, excerpt(now.Comment))
	}
	return nil
}

// checkPlace wants a record to stand where it did and to say what it said. One without a
// name stands at any.
func checkPlace(now, was Record) error {
	switch {
	case was.Name != "" && !strings.EqualFold(now.Name, was.Name):
		return fmt.Errorf("%w: it is now at %s", ErrEdited, excerpt(now.Name))
	case now.Value != was.Value:
		return fmt.Errorf("%w: it now says %s", ErrEdited, excerpt(now.Value))
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
