package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// key is one key of fleet.yaml: the only place where its name, meaning, type and range stand.
// Loading, validation, the schema and the canonical form are all read from it.
type key struct {
	name     string
	doc      string
	value    shape
	required bool
	hidden   bool // left out of the canonical form while it is empty
	derived  bool // its default depends on other values

	sometimes bool // required only by some providers
}

// shape is what a value looks like, bound to the field that holds it.
type shape interface {
	read(r *reader, path string, n ast.Node) // type and syntax only
	check(c *checker, path string)           // range
	encode() any
	schema() map[string]any
}

// text is a string.
type text struct {
	to      *string
	pattern *regexp.Regexp // nil: anything printable
	most    int            // bytes
	among   []string       // nil: anything
	want    string         // what is accepted, in words
}

func (t text) read(r *reader, path string, n ast.Node) {
	if s, ok := r.text(path, n, t.want); ok {
		*t.to = s
	}
}

func (t text) check(c *checker, path string) {
	s := *t.to
	switch {
	case t.among != nil && slices.Contains(t.among, s):
	case t.among != nil:
		c.add(path, quote(s), "want "+t.want)
	case s == "" || len(s) > t.most || !printable(s) || (t.pattern != nil && !t.pattern.MatchString(s)):
		c.add(path, quote(s), "want "+t.want)
	}
}

func (t text) encode() any { return *t.to }

func (t text) schema() map[string]any {
	m := map[string]any{"type": "string"}
	if t.among != nil {
		m["enum"] = t.among
		return m
	}
	m["minLength"], m["maxLength"] = 1, t.most
	if t.pattern != nil {
		m["pattern"] = t.pattern.String()
	}
	return m
}

// whole is a whole number.
type whole[T int | int64] struct {
	to         *T
	least, top T
	what       string // "a number", "a port"
}

func (w whole[T]) want() string { return fmt.Sprintf("%s from %d to %d", w.what, w.least, w.top) }

func (w whole[T]) read(r *reader, path string, n ast.Node) {
	if v, ok := r.whole(path, n, w.want()); ok {
		// What does not fit is far out of every range here: check says so.
		if int64(T(v)) != v {
			r.refuse(n, path, "want "+w.want())
			return
		}
		*w.to = T(v)
	}
}

func (w whole[T]) check(c *checker, path string) {
	if *w.to < w.least || *w.to > w.top {
		c.add(path, strconv.FormatInt(int64(*w.to), 10), "want "+w.want())
	}
}

func (w whole[T]) encode() any { return int64(*w.to) }

func (w whole[T]) schema() map[string]any {
	return map[string]any{"type": "integer", "minimum": w.least, "maximum": w.top}
}

// span is a length of time with its unit.
type span struct {
	to         *time.Duration
	least, top time.Duration
}

func (s span) want() string {
	return fmt.Sprintf("a duration from %s to %s, with its unit", clock(s.least), clock(s.top))
}

func (s span) read(r *reader, path string, n ast.Node) {
	v, ok := r.text(path, n, s.want())
	if !ok {
		return
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		r.refuse(n, path, "want "+s.want())
		return
	}
	*s.to = d
}

func (s span) check(c *checker, path string) {
	if *s.to < s.least || *s.to > s.top {
		c.add(path, clock(*s.to), "want "+s.want())
	}
}

func (s span) encode() any { return clock(*s.to) }

func (s span) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`}
}

// seconds is a length of time, a bare number of seconds in the file.
type seconds struct {
	to         *time.Duration
	least, top time.Duration
	who        string // whose range it is
}

func (s seconds) want() string {
	return fmt.Sprintf("a number of seconds from %d to %d, as %s accepts them", s.least/time.Second, s.top/time.Second, s.who)
}

func (s seconds) read(r *reader, path string, n ast.Node) {
	v, ok := r.whole(path, n, s.want())
	if !ok {
		return
	}
	if v < 0 || v > int64(s.top/time.Second) {
		r.refuse(n, path, "want "+s.want())
		return
	}
	*s.to = time.Duration(v) * time.Second
}

func (s seconds) check(c *checker, path string) {
	if *s.to < s.least || *s.to > s.top || *s.to%time.Second != 0 {
		c.add(path, strconv.FormatFloat(s.to.Seconds(), 'g', -1, 64), "want "+s.want())
	}
}

func (s seconds) encode() any { return int64(*s.to / time.Second) }

func (s seconds) schema() map[string]any {
	return map[string]any{"type": "integer", "minimum": s.least / time.Second, "maximum": s.top / time.Second}
}

// clock is a duration without its zero parts: 5m, not 5m0s.
func clock(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}
