package fleet

import "time"

// EventKind says where a change stands.
type EventKind string

// The kinds of events, in the order in which a change goes through them.
const (
	EventStarted EventKind = "started"
	EventWaiting EventKind = "waiting" // Detail names what for
	EventDone    EventKind = "done"
	EventFailed  EventKind = "failed" // Err says why
	EventNote    EventKind = "note"   // Detail is for people; Change may be empty
)

// Event is progress of a run, for whoever watches. Events of changes under way at
// once are mixed; those of one change are in order.
type Event struct {
	Kind    EventKind
	Stage   string
	Change  Change
	Elapsed time.Duration // since the change began
	Detail  string
	Err     error
}
