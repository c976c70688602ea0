package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// writeTimeout is how long one event may take to be sent.
const writeTimeout = 10 * time.Second

// beat is what a page that is open hears again and again, so that it knows that it is live.
type beat struct {
	At    string `json:"at"`    // of what is shown, RFC 3339, "" if nothing was read yet
	Clock string `json:"clock"` // the same for people
	Age   int64  `json:"age"`   // its age in milliseconds; -1 if nothing was read yet
	Stale bool   `json:"stale"`
}

// news is a look: what differs from the one before, or that the page is another one.
type news struct {
	beat
	Reload bool   `json:"reload"`
	Parts  []part `json:"parts"`
}

// serveLive sends what changes to a page that is open, as server-sent events: "look" with
// each look, "beat" in between.
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	values, ok := params(w, r, "have")
	if !ok {
		return
	}
	select {
	case s.open <- struct{}{}:
		defer func() { <-s.open }()
	default:
		w.Header().Set("Retry-After", "30")
		fail(w, http.StatusServiceUnavailable, "too many pages follow the fleet", "close some")
		return
	}
	have := r.Header.Get("Last-Event-ID")
	if have == "" {
		have = values.Get("have")
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	to := stream{w: w, control: http.NewResponseController(w)}
	_ = to.control.SetReadDeadline(time.Time{}) // it outlives the server's time for reading a request
	shown := s.shots.find(have)
	tick := time.NewTicker(s.cfg.Beat)
	defer tick.Stop()
	for {
		now := s.now()
		err := s.tell(to, shown, now)
		for same := true; same && err == nil; {
			shown = now
			select {
			case <-r.Context().Done():
				return
			case <-now.next:
				same = false
			case <-tick.C:
				err = to.event("beat", "", s.beat(now.fleet))
			}
		}
		if err != nil {
			return // nobody is there any more
		}
	}
}

// tell sends what a look changes on a page that shows another, or nothing that is known.
func (s *Server) tell(to stream, shown, now *shot) error {
	n := news{beat: s.beat(now.fleet), Parts: []part{}}
	if shown != now {
		parts, err := s.shots.developed(now)
		if err != nil {
			return err
		}
		n.Reload = true
		if shown != nil {
			before, err := s.shots.developed(shown)
			if err != nil {
				return err
			}
			if changed, same := differ(before, parts); same {
				n.Parts, n.Reload = changed, false
			}
		}
	}
	return to.event("look", now.id, n)
}

func (s *Server) beat(f Fleet) beat {
	at := s.shownAt(f)
	b := beat{Age: -1, Stale: s.stale(f), Clock: clock(at)}
	if !at.IsZero() {
		b.At, b.Age = stamp(at), s.cfg.Now().Sub(at).Milliseconds()
	}
	return b
}

// stream is where events go.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// event sends one, with a deadline of its own: a browser that went to sleep is let go.
func (t stream) event(name, id string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := t.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if id != "" {
		name += "\nid: " + id
	}
	if _, err := fmt.Fprintf(t.w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return err
	}
	return t.control.Flush()
}
