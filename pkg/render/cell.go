package render

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Unknown is what people read in place of a value that nobody knows.
const Unknown = "n/a"

// PeerID is a libp2p peer ID as a cell: short in tables, whole everywhere else.
// The empty one is unknown.
type PeerID string

// Short is the form for people: the first eight characters, an ellipsis and the last six.
func (p PeerID) Short() string {
	r := []rune(Safe(string(p)))
	if len(r) <= 16 {
		return string(r)
	}
	return string(r[:8]) + "…" + string(r[len(r)-6:])
}

// Tone says how a cell should strike the eye. It is shown as colour, never as colour alone.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Warn
	Bad
	Faint
)

// Toned is a cell with a tone.
type Toned struct {
	Value any
	Tone  Tone
}

// Marked is a number as a cell, with a mark before it for people: "≥120". Programs are
// given the number alone, and what the mark says elsewhere.
type Marked struct {
	Mark  string
	Value any
}

// plain follows pointers and tones down to a value; nil is unknown.
func plain(v any) (any, Tone) {
	tone := Plain
	for {
		switch c := v.(type) {
		case nil:
			return nil, tone
		case Toned:
			v, tone = c.Value, c.Tone
			continue
		case Trend:
			v = c.Value
			continue
		case Marked:
			if c.Value, _ = plain(c.Value); c.Value == nil {
				return nil, tone
			}
			return c, tone
		case PeerID:
			if c == "" {
				return nil, tone
			}
			return c, tone
		case time.Time:
			if c.IsZero() {
				return nil, tone
			}
			return c, tone
		case error:
			return c.Error(), tone
		}
		r := reflect.ValueOf(v)
		if r.Kind() != reflect.Pointer {
			return v, tone
		}
		if r.IsNil() {
			return nil, tone
		}
		if s, ok := v.(fmt.Stringer); ok {
			return s, tone
		}
		v = r.Elem().Interface()
	}
}

// numeric reports whether a cell belongs on the right side of its column.
func numeric(v any) bool {
	if m, ok := v.(Marked); ok {
		return numeric(m.Value)
	}
	if _, ok := v.(time.Duration); ok {
		return true
	}
	if _, ok := v.(fmt.Stringer); ok {
		return false
	}
	switch reflect.ValueOf(v).Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return true
	}
	return false
}

// forPeople is a cell as people read it.
func forPeople(v any, wide bool) string {
	switch c := v.(type) {
	case nil:
		return Unknown
	case Marked:
		return Safe(c.Mark) + forPeople(c.Value, wide)
	case PeerID:
		if !wide {
			return c.Short()
		}
		return Safe(string(c))
	case bool:
		if c {
			return "yes"
		}
		return "no"
	case time.Duration:
		return Elapsed(c)
	case time.Time:
		return c.UTC().Format("2006-01-02 15:04:05Z")
	case float64:
		return strconv.FormatFloat(c, 'f', 1, 64)
	case []string:
		return Safe(strings.Join(c, ", "))
	}
	return Safe(fmt.Sprint(v))
}

// forCSV is a cell as a program reads it: times in RFC 3339, durations in seconds. Text
// that a spreadsheet would take for a formula is led by an apostrophe.
func forCSV(v any) string {
	switch c := v.(type) {
	case nil:
		return ""
	case Marked:
		return forCSV(c.Value)
	case time.Duration:
		return strconv.FormatFloat(c.Seconds(), 'f', -1, 64)
	case time.Time:
		return c.UTC().Format(time.RFC3339)
	case float64:
		return strconv.FormatFloat(c, 'f', -1, 64)
	case []string:
		return inert(Safe(strings.Join(c, " ")))
	}
	text := Safe(fmt.Sprint(v))
	if numeric(v) {
		return text
	}
	return inert(text)
}

// inert is text that no spreadsheet computes.
func inert(text string) string {
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

// Elapsed is a duration in the two units that matter: 850ms, 4.2s, 3m05s, 2h07m, 5d03h.
func Elapsed(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Elapsed(-max(d, math.MinInt64+1))
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < 59*time.Second+950*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	d = d.Round(time.Second)
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
