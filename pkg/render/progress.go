package render

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"github.com/relayfleet/fleetctl/fleet"
)

// heartbeat is how often a run that says nothing else says that it lives, where
// there is no live line.
const heartbeat = 30 * time.Second

// frame is how often the live line is drawn.
const frame = 200 * time.Millisecond

// ProgressOptions say how progress is shown. The zero value is plain lines.
type ProgressOptions struct {
	JSON   bool       // one event per line, whatever else is set
	Live   bool       // draw a line that changes, on a terminal that can
	Quiet  bool       // failures only
	Colour bool       //
	Width  func() int // columns of the terminal; nil or 0: no limit
}

// Progress shows the events of a run: one line per change, and in between what is
// awaited and for how long. It is safe for concurrent use.
type Progress struct {
	w       io.Writer
	o       ProgressOptions
	stop    chan struct{}
	stopped sync.WaitGroup
	close   sync.Once

	mu      sync.Mutex
	started time.Time
	last    time.Time // of the last line
	running []pending // in the order in which they began
	drawn   bool      // a live line stands on the screen
	step    int       // of the spinner
}

// pending is a change under way.
type pending struct {
	key    string
	stage  string // "" for what no stage waits for: it is over when anything else begins
	change fleet.Change
	since  time.Time
	detail string
}

// NewProgress begins to show progress on w. Close ends it.
func NewProgress(w io.Writer, o ProgressOptions) *Progress {
	now := time.Now()
	p := &Progress{w: w, o: o, stop: make(chan struct{}), started: now, last: now}
	every := heartbeat
	if o.Live && !o.JSON {
		every = frame
	}
	p.stopped.Go(func() { p.tick(every) })
	return p
}

// Close ends the display and removes the live line. Events after Close are shown as lines.
func (p *Progress) Close() {
	p.close.Do(func() { close(p.stop) })
	p.stopped.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.o.Live = false
}

func (p *Progress) tick(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		switch {
		case p.o.Quiet:
		case p.o.Live && !p.o.JSON:
			p.draw()
		case time.Since(p.last) >= heartbeat:
			p.beat()
		}
		p.mu.Unlock()
	}
}

// Event shows one event.
func (p *Progress) Event(e fleet.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.follow(e)
	if p.o.JSON {
		p.line(eventJSON(e))
		return
	}
	if text := p.text(e); text != "" && (!p.o.Quiet || e.Kind == fleet.EventFailed) {
		p.line(text)
	}
}

// follow keeps the list of what is under way.
func (p *Progress) follow(e fleet.Event) {
	if e.Kind != fleet.EventNote {
		p.running = slices.DeleteFunc(p.running, func(r pending) bool { return r.stage == "" })
	}
	key := fmt.Sprint(e.Stage, "\x00", e.Change.Action, "\x00", e.Change.Ref)
	at := -1
	for i := range p.running {
		if p.running[i].key == key {
			at = i
		}
	}
	switch e.Kind {
	case fleet.EventStarted, fleet.EventWaiting:
		if at < 0 {
			at = len(p.running)
			p.running = append(p.running, pending{key: key, stage: e.Stage, change: e.Change, since: time.Now().Add(-e.Elapsed)})
		}
		p.running[at].detail = e.Detail
	case fleet.EventDone, fleet.EventFailed:
		if at >= 0 {
			p.running = append(p.running[:at], p.running[at+1:]...)
		}
	case fleet.EventNote:
	}
}

// text is the line of an event, "" if it gets none: what has only begun is seen in
// the live line or the heartbeat.
func (p *Progress) text(e fleet.Event) string {
	subject := describe(e.Change)
	switch e.Kind {
	case fleet.EventDone:
		return tint("✓", Good, p.o.Colour) + " " + subject + after(e) + detail(e)
	case fleet.EventFailed:
		reason := e.Detail
		if e.Err != nil {
			reason = e.Err.Error()
		}
		return tint("✗", Bad, p.o.Colour) + " " + subject + after(e) + ": " + Safe(reason)
	case fleet.EventNote:
		return "  " + join(subject, Safe(e.Detail))
	case fleet.EventStarted, fleet.EventWaiting:
	}
	return ""
}

func after(e fleet.Event) string {
	if e.Elapsed < time.Millisecond {
		return ""
	}
	return " (" + Elapsed(e.Elapsed) + ")"
}

func detail(e fleet.Event) string {
	if e.Detail == "" {
		return ""
	}
	return ": " + Safe(e.Detail)
}

func join(subject, text string) string {
	switch {
	case subject == "":
		return text
	case text == "":
		return subject
	}
	return subject + ": " + text
}

// describe is "nyc1-1 create", or "fleet cleanup"; "" for an empty change.
func describe(c fleet.Change) string {
	subject := c.Ref.Node
	if subject == "" && c.Ref.Kind == fleet.KindFleet {
		subject = c.Ref.Kind
	}
	return strings.TrimSpace(Safe(subject) + " " + Safe(string(c.Action)))
}

// line writes a whole line above the live one.
func (p *Progress) line(text string) {
	p.clear()
	fmt.Fprintln(p.w, text)
	p.last = time.Now()
	if p.o.Live && !p.o.JSON && !p.o.Quiet {
		p.draw()
	}
}

// beat says what is awaited, on a line of its own.
func (p *Progress) beat() {
	if len(p.running) == 0 {
		return
	}
	if p.o.JSON {
		now := time.Now()
		for _, r := range p.running {
			p.line(eventJSON(fleet.Event{Kind: fleet.EventWaiting, Stage: r.stage, Change: r.change, Elapsed: now.Sub(r.since), Detail: r.detail}))
		}
		return
	}
	p.line("… " + p.awaited(len(p.running)))
}

// awaited names up to limit changes under way.
func (p *Progress) awaited(limit int) string {
	now := time.Now()
	var parts []string
	for i, r := range p.running {
		if i == limit {
			parts = append(parts, fmt.Sprintf("and %d more", len(p.running)-limit))
			break
		}
		parts = append(parts, join(describe(r.change)+" "+Elapsed(now.Sub(r.since).Truncate(100*time.Millisecond)), Safe(r.detail)))
	}
	return strings.Join(parts, "; ")
}

// draw draws the live line over the last one.
func (p *Progress) draw() {
	if len(p.running) == 0 {
		p.clear()
		return
	}
	spinner := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	p.step++
	text := string(spinner[p.step%len(spinner)]) + " " + p.awaited(3)
	if p.o.Width != nil {
		if width := p.o.Width(); width > 0 {
			text = twwidth.Truncate(text, width-1, "…")
		}
	}
	fmt.Fprint(p.w, "\r\x1b[K"+text)
	p.drawn = true
}

func (p *Progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// jsonEvent is an event as --log-format json prints it.
type jsonEvent struct {
	Time    time.Time       `json:"time"`
	Kind    fleet.EventKind `json:"event"`
	Stage   string          `json:"stage"`
	Action  fleet.Action    `json:"action"`
	Node    string          `json:"node"`
	ID      string          `json:"id"`
	Elapsed float64         `json:"elapsed_secs"`
	Detail  string          `json:"detail"`
	Error   *string         `json:"error"`
}

func eventJSON(e fleet.Event) string {
	out := jsonEvent{
		Time: time.Now().UTC(), Kind: e.Kind, Stage: e.Stage, Action: e.Change.Action,
		Node: e.Change.Ref.Node, ID: e.Change.Ref.ID, Elapsed: e.Elapsed.Seconds(), Detail: e.Detail,
	}
	if e.Err != nil {
		text := e.Err.Error()
		out.Error = &text
	}
	text, err := json.Marshal(out)
	if err != nil {
		return fmt.Sprintf(`{"event":%q,"error":%q}`, e.Kind, err)
	}
	return string(escapeUnsafe(text))
}
