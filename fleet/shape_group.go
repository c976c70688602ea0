package fleet

import (
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// group is a mapping with known keys.
type group []key

func (g group) names() []string {
	names := make([]string, len(g))
	for i, k := range g {
		names[i] = k.name
	}
	return names
}

func (g group) read(r *reader, path string, n ast.Node) {
	for name, v := range r.mapping(path, n) {
		r.known(path, name, g, func(k key) { k.value.read(r, join(path, k.name), v) })
	}
}

func (g group) check(c *checker, path string) {
	for _, k := range g {
		at := join(path, k.name)
		switch {
		case c.absent(at) && k.required:
			c.missing(at)
			continue
		case c.absent(at): // a default
			continue
		case c.places == nil && k.hidden && empty(k.value.encode()):
			continue
		}
		k.value.check(c, at)
	}
}

func (g group) encode() any {
	out := make(yaml.MapSlice, 0, len(g))
	for _, k := range g {
		v := k.value.encode()
		if k.hidden && empty(v) {
			continue
		}
		out = append(out, yaml.MapItem{Key: k.name, Value: v})
	}
	return out
}

func (g group) schema() map[string]any {
	properties := make(map[string]any, len(g))
	required := []string{}
	for _, k := range g {
		s := k.value.schema()
		s["description"] = k.doc
		_, nested := k.value.(group)
		_, optional := k.value.(section)
		if !nested && !optional && !k.required && !k.hidden && !k.derived {
			s["default"] = k.value.encode()
		}
		properties[k.name] = s
		if k.required && !k.sometimes {
			required = append(required, k.name)
		}
	}
	return map[string]any{
		"type":                 "object",
		"additionalProperties": false,
		"properties":           properties,
		"required":             required,
	}
}

// section is a group that only some specs have.
type section struct {
	group
	used func() bool // asked after the file was read
	why  string      // why it is refused where it is not used
}

func (s section) check(c *checker, path string) {
	switch {
	case s.used():
		s.group.check(c, path)
	case c.places != nil && !c.absent(path):
		c.add(path, "", s.why)
	}
}

func (s section) encode() any {
	if !s.used() {
		return yaml.MapSlice{}
	}
	return s.group.encode()
}

// list is a sequence of values of one shape.
type list[T any] struct {
	to          *[]T
	least, most int
	of          func(*T) shape
	want        string
}

func (l list[T]) read(r *reader, path string, n ast.Node) {
	items, ok := r.sequence(path, n, l.most, l.want)
	if !ok {
		return
	}
	*l.to = make([]T, len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.at(at, item)
		l.of(&(*l.to)[i]).read(r, at, item)
	}
}

func (l list[T]) check(c *checker, path string) {
	if n := len(*l.to); n < l.least || n > l.most {
		c.add(path, fmt.Sprintf("%d entries", n), "want "+l.want)
	}
	for i := range *l.to {
		l.of(&(*l.to)[i]).check(c, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (l list[T]) encode() any {
	out := make([]any, len(*l.to))
	for i := range *l.to {
		out[i] = l.of(&(*l.to)[i]).encode()
	}
	return out
}

func (l list[T]) schema() map[string]any {
	var zero T
	return map[string]any{"type": "array", "minItems": l.least, "maxItems": l.most, "items": l.of(&zero).schema()}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// empty reports whether a canonical value says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case string:
		return v == "" || v == "0s"
	case int64:
		return v == 0
	case []any:
		return len(v) == 0
	case yaml.MapSlice:
		return len(v) == 0
	default:
		return false
	}
}
