package fleet

import (
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// reader turns YAML nodes into values and keeps what is wrong with them.
type reader struct {
	places   map[string]place // of every key that was read, and of "" for the file
	broken   map[string]bool  // keys whose value is not read: their range says nothing
	problems []Problem
	more     int // problems that are only counted
}

// maxKept bounds the problems that are kept before they are sorted and cut to MaxProblems.
const maxKept = 10 * MaxProblems

func (r *reader) add(p Problem) {
	if len(r.problems) == maxKept {
		r.more++
		return
	}
	r.problems = append(r.problems, p)
}

func newReader() *reader {
	return &reader{places: make(map[string]place), broken: make(map[string]bool)}
}

func (r *reader) has(path string) bool { _, ok := r.places[path]; return ok }

func (r *reader) at(path string, n ast.Node) { r.places[path] = placeOf(n) }

func (r *reader) refuse(n ast.Node, path, want string) {
	r.broken[path] = true
	p := placeOf(n)
	r.add(Problem{Line: p.line, Column: p.column, Key: path, Got: shown(n), Want: want})
}

// text reads a string.
func (r *reader) text(path string, n ast.Node, want string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		r.refuse(n, path, fmt.Sprintf("want text, %s; quote it if it is meant as text", want))
	default:
		r.refuse(n, path, "want "+want)
	}
	return "", false
}

// whole reads a whole number.
func (r *reader) whole(path string, n ast.Node, want string) (int64, bool) {
	if i, ok := n.(*ast.IntegerNode); ok {
		switch v := i.Value.(type) {
		case int64:
			return v, true
		case uint64:
			if v <= math.MaxInt64 {
				return int64(v), true
			}
		}
	}
	r.refuse(n, path, "want "+want)
	return 0, false
}

// sequence reads the entries of a list.
func (r *reader) sequence(path string, n ast.Node, most int, want string) ([]ast.Node, bool) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.refuse(n, path, "want "+want)
		return nil, false
	}
	if len(s.Values) > most {
		r.broken[path] = true
		p := r.places[path]
		r.add(Problem{Line: p.line, Column: p.column, Key: path, Got: fmt.Sprintf("%d entries", len(s.Values)), Want: "want " + want})
		return nil, false
	}
	return s.Values, true
}

// mapping goes through the keys of a mapping in the order of the file. A key that
// stands twice is a problem, and its first value counts.
func (r *reader) mapping(path string, n ast.Node) iter.Seq2[*ast.MappingValueNode, ast.Node] {
	return func(yield func(*ast.MappingValueNode, ast.Node) bool) {
		if !r.has(path) {
			r.at(path, n)
		}
		m, ok := n.(ast.MapNode)
		if !ok {
			r.refuse(n, path, "want keys with values, one per line")
			return
		}
		first := make(map[string]place)
		for it := m.MapRange(); it.Next(); {
			kv := it.KeyValue()
			name := keyName(kv)
			if was, twice := first[name]; twice {
				p := placeOf(kv)
				r.add(Problem{
					Line: p.line, Column: p.column, Key: join(path, shownKey(name)),
					Want: fmt.Sprintf("the key stands twice; the first is in line %d", was.line),
				})
				continue
			}
			first[name] = placeOf(kv)
			if !yield(kv, kv.Value) {
				return
			}
		}
	}
}

// known calls read with the key that kv names, or reports that there is none.
func (r *reader) known(path string, kv *ast.MappingValueNode, g group, read func(key)) {
	name := keyName(kv)
	for _, k := range g {
		if k.name == name {
			at := join(path, name)
			r.at(at, kv)
			read(k)
			return
		}
	}
	if len(r.problems) == maxKept {
		r.more++
		return
	}
	p := placeOf(kv)
	near := misplaced(path, name)
	if near == "" {
		near = join(path, nearest(name, g.names()))
	}
	r.add(Problem{
		Line: p.line, Column: p.column, Key: join(path, shownKey(name)),
		Got:  shown(kv.Value),
		Want: fmt.Sprintf("unknown key; the nearest known key is %s", near),
	})
}

func keyName(kv *ast.MappingValueNode) string {
	if s, ok := kv.Key.(*ast.StringNode); ok {
		return s.Value
	}
	if t := kv.Key.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

// shownKey is a key that is not ours, safe to print.
func shownKey(name string) string {
	q := quote(name)
	if plain := strings.Trim(q, `"`); plain == name && !strings.ContainsAny(name, " .:[]") {
		return name
	}
	return q
}

// shown is a value as it stands in the file, safe to print and short.
func shown(n ast.Node) string {
	switch n := n.(type) {
	case nil:
		return "no value"
	case *ast.NullNode:
		return "no value"
	case *ast.StringNode:
		return quote(n.Value)
	case *ast.LiteralNode:
		return quote(n.Value.Value)
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	}
	if t := n.GetToken(); t != nil {
		return strings.Trim(quote(t.Value), `"`)
	}
	return ""
}
