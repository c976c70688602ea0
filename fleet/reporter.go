package fleet

import (
	"sync"
	"time"
)

// reporter hands events to whoever watches, one at a time.
type reporter struct {
	mu   sync.Mutex
	tell func(Event)

	started map[Ref]time.Time
}

func newReporter(tell func(Event)) *reporter {
	if tell == nil {
		tell = func(Event) {}
	}
	return &reporter{tell: tell, started: make(map[Ref]time.Time)}
}

// begin reports the start of a change and returns what reports its end.
func (r *reporter) begin(stage string, c Change) (done func(error)) {
	start := time.Now()
	r.mu.Lock()
	r.started[c.Ref] = start
	r.mu.Unlock()
	r.send(Event{Kind: EventStarted, Stage: stage, Change: c})
	return func(err error) {
		e := Event{Kind: EventDone, Stage: stage, Change: c, Elapsed: time.Since(start)}
		if err != nil {
			e.Kind, e.Err = EventFailed, err
		}
		r.send(e)
	}
}

func (r *reporter) waiting(stage string, c Change, what string) {
	r.mu.Lock()
	start, ok := r.started[c.Ref]
	r.mu.Unlock()
	e := Event{Kind: EventWaiting, Stage: stage, Change: c, Detail: what}
	if ok {
		e.Elapsed = time.Since(start)
	}
	r.send(e)
}

func (r *reporter) note(stage string, c Change, what string) {
	r.send(Event{Kind: EventNote, Stage: stage, Change: c, Detail: what})
}

func (r *reporter) send(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(e)
}
