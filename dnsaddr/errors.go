package dnsaddr

import "errors"

// Errors of a [Zone] that callers branch on.
var (
	// ErrNoRecord: a record that was to be updated is gone.
	ErrNoRecord = errors.New("no such record")
	// ErrBadRecord: the zone does not accept a record: its value, TTL or comment.
	ErrBadRecord = errors.New("record not accepted")
	// ErrEdited: a record that was to be updated or removed is not what it was when the
	// change was planned.
	ErrEdited = errors.New("record edited meanwhile")
	// ErrAuth: the zone's credential is missing, wrong, or allows less than is needed.
	ErrAuth = errors.New("not authorized by the zone")
	// ErrFull: the zone, one of its names or its rate is used up.
	ErrFull = errors.New("the zone has no room")
	// ErrNotSeen: a change was written, and a server of the zone does not answer with it.
	ErrNotSeen = errors.New("not seen at the zone's name server yet")
)
