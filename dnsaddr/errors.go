package dnsaddr

import "errors"

// Errors of a [Zone] that callers branch on.
var (
	// ErrNoRecord: a record that was to be updated is gone.
	ErrNoRecord = errors.New("no such record")
	// ErrBadRecord: the zone does not accept a record: its value, TTL or comment.
	ErrBadRecord = errors.New("record not accepted")
)
