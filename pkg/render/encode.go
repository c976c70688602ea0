package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// writeCSV writes RFC 4180 lines that end in a bare newline, as the old tooling did.
func writeCSV(w io.Writer, t Table, o Options) error {
	at := t.shown(FormatCSV)
	if len(at) == 0 {
		return errors.New("output: this result has no CSV form")
	}
	out := csv.NewWriter(w)
	line := make([]string, len(at))
	if !o.NoHeader {
		for i, c := range at {
			line[i] = strings.ReplaceAll(t.Columns[c].Name, " ", "_") // as in JSON
		}
		if err := out.Write(line); err != nil {
			return fmt.Errorf("csv: %w", err)
		}
	}
	for _, row := range t.Rows {
		for i, c := range at {
			v, _ := plain(cell(row, c))
			line[i] = forCSV(v)
		}
		if err := out.Write(line); err != nil {
			return fmt.Errorf("csv: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

// writeJSON writes the value itself, indented. Lists are never null.
func writeJSON(w io.Writer, v any) error {
	text, err := encodeJSON(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// encodeJSON is v as JSON with a final newline, safe for a terminal: what [Safe]
// would strip is written as \u escapes, so no information is lost.
func encodeJSON(v any, indent string) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(withoutNil(v)); err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	return escapeUnsafe(buf.Bytes()), nil
}

// escapeUnsafe replaces characters that a terminal may act on. In valid JSON they
// stand inside strings only.
func escapeUnsafe(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x7f && unsafe(r) }) {
		return text
	}
	var out bytes.Buffer
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < 0x7f || !unsafe(r):
			out.Write(text[:size])
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out.Bytes()
}

// writeYAML writes the same document as writeJSON, as YAML: names, order and nulls
// are those of the JSON.
func writeYAML(w io.Writer, v any) error {
	text, err := encodeJSON(v, "")
	if err != nil {
		return err
	}
	tree, err := decodeOrdered(text)
	if err != nil {
		return fmt.Errorf("yaml: %w", err)
	}
	out, err := yaml.MarshalWithOptions(tree, yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("yaml: %w", err)
	}
	_, err = w.Write(out)
	return err
}

// decodeOrdered reads JSON into a tree whose objects keep their order.
func decodeOrdered(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return decodeValue(dec)
}

func decodeValue(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return decodeList(dec)
		}
		return decodeObject(dec)
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		if !strings.ContainsAny(t.String(), ".eE-") {
			var n uint64
			if _, err := fmt.Sscan(t.String(), &n); err == nil {
				return n, nil
			}
		}
		return t.Float64()
	case string:
		if strings.ContainsFunc(t, unsafe) {
			return quoted(t), nil
		}
	}
	return token, nil
}

// quoted is text that YAML holds in double quotes, with escapes for what a terminal
// may act on.
type quoted string

var _ yaml.BytesMarshaler = quoted("")

// MarshalYAML is not for others: yaml.Marshal calls it.
func (q quoted) MarshalYAML() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range string(q) {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case unsafe(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return []byte(b.String()), nil
}

func decodeList(dec *json.Decoder) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := decodeValue(dec)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := dec.Token()
	return list, err
}

func decodeObject(dec *json.Decoder) (any, error) {
	object := yaml.MapSlice{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(dec)
		if err != nil {
			return nil, err
		}
		object = append(object, yaml.MapItem{Key: key, Value: v})
	}
	_, err := dec.Token()
	return object, err
}

// withoutNil is a copy of v in which lists and maps that are nil are empty. Values
// that marshal themselves are left alone.
func withoutNil(v any) any {
	if v == nil {
		return nil
	}
	return fill(reflect.ValueOf(v)).Interface()
}

func fill(v reflect.Value) reflect.Value {
	t := v.Type()
	if marshals(t) {
		return v
	}
	switch t.Kind() {
	case reflect.Slice:
		out := reflect.MakeSlice(t, v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(fill(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := reflect.MakeMapWithSize(t, v.Len())
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(it.Key(), fill(it.Value()))
		}
		return out
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return v
		}
		inner := fill(v.Elem())
		out := reflect.New(t).Elem()
		if t.Kind() == reflect.Interface {
			out.Set(inner)
			return out
		}
		p := reflect.New(t.Elem())
		p.Elem().Set(inner)
		out.Set(p.Convert(t))
		return out
	case reflect.Array:
		out := reflect.New(t).Elem()
		for i := range v.Len() {
			out.Index(i).Set(fill(v.Index(i)))
		}
		return out
	case reflect.Struct:
		out := reflect.New(t).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if field := out.Field(i); field.CanSet() {
				field.Set(fill(v.Field(i)))
			}
		}
		return out
	}
	return v
}

// marshals reports whether values of t have a JSON form of their own.
func marshals(t reflect.Type) bool {
	for _, own := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](),
		reflect.TypeFor[interface{ MarshalText() ([]byte, error) }](),
	} {
		if t.Implements(own) || t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(own) {
			return true
		}
	}
	return false
}
