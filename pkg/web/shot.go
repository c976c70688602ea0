package web

import (
	"context"
	"html/template"
	"strconv"
	"strings"
	"sync"
)

// shot is one look as it is shown: cleaned, and on demand as the parts of the page.
type shot struct {
	id    string // "<run>-<version>": no other run has it
	fleet Fleet
	next  <-chan struct{}

	once  sync.Once
	parts []part
	err   error
}

// part is the inside of one element of the page.
type part struct {
	ID   string        `json:"id"`
	HTML template.HTML `json:"html"`
}

// shots keeps the newest ones, so that a page that is open is sent what differs from its
// own. It is safe for concurrent use.
type shots struct {
	boot string
	make func(*shot) ([]part, error)

	mu     sync.Mutex
	recent []*shot // the newest last
}

// kept is how many looks back a page may be and still be told the difference alone.
const kept = 4

// now is the newest look, cleaned once for all who see it.
func (s *Server) now() *shot { return s.shots.of(s.cfg.Source.Look()) }

func (s *shots) of(look Look) *shot {
	id := s.boot + "-" + strconv.FormatUint(look.Version, 10)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.recent {
		if known.id == id {
			return known
		}
	}
	made := &shot{id: id, fleet: clean(look.Fleet), next: look.Next}
	s.recent = append(s.recent, made)
	if len(s.recent) > kept {
		s.recent = append([]*shot(nil), s.recent[1:]...)
	}
	return made
}

// find is the shot that a page says it shows, nil if it is of another run or too old.
func (s *shots) find(id string) *shot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.recent {
		if known.id == id {
			return known
		}
	}
	return nil
}

// developed makes the parts once.
func (s *shots) developed(of *shot) ([]part, error) {
	of.once.Do(func() { of.parts, of.err = s.make(of) })
	return of.parts, of.err
}

// differ lists the parts of now that are not those of before, and reports whether both
// pages have the same elements: if not, the whole page is another one.
func differ(before, now []part) (changed []part, same bool) {
	if len(before) != len(now) {
		return nil, false
	}
	changed = []part{}
	for i, p := range now {
		if p.ID != before[i].ID {
			return nil, false
		}
		if p.HTML != before[i].HTML {
			changed = append(changed, p)
		}
	}
	return changed, true
}

// develop renders the parts of the page, in their order: first those with names of their
// own, then a row for each relay.
func (s *Server) develop(of *shot) ([]part, error) {
	var parts []part
	var out strings.Builder
	add := func(id, name string, model any) error {
		out.Reset()
		if err := s.page.ExecuteTemplate(&out, name, model); err != nil {
			return err
		}
		parts = append(parts, part{id, template.HTML(strings.TrimSpace(out.String()))}) //nolint:gosec // what our own templates escaped
		return nil
	}
	m := newModel(of.fleet)
	for _, name := range partNames() {
		if err := add(name, name, m); err != nil {
			return nil, err
		}
	}
	for _, row := range m.Rows {
		if err := add(row.ID, "row", row); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// partNames are the parts beside the rows: the IDs of their elements and of their templates.
func partNames() []string {
	return []string{"headline", "tiles", "attention", "marks", "regions", "charts", "zone", "plan", "events", "announce"}
}

// logFailure notes that a page could not be made.
func (s *Server) logFailure(ctx context.Context, err error) {
	s.cfg.Log.ErrorContext(ctx, "page was not made", "err", err)
}
