package dnsaddr

import "errors"

// Errors of a [Zone] that callers branch on.
var (
	// ErrNoRecord: a record that was to be updated is gone.
	ErrNoRecord = errors.New("no such record")
	// ErrBadRecord: the zone does not accept a record: its value, TTL or comment.
	ErrBadRecord = errors.New("record not accepted")
	// ErrAuth: the zone's credential is missing, wrong, or allows less than is needed.
	ErrAuth = errors.New("not authorized by the zone")
	// ErrFull: the zone, one of its names or its rate is used up.
	ErrFull = errors.New("the zone has no room")
)
