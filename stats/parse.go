package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is read of a relay.
const (
	MaxReport        = 1 << 20     // bytes of a report or a census
	MaxRegistry      = 256 << 20   // bytes of a registry
	MaxRegistryEntry = 64 << 10    // bytes of one of its entries
	MaxCount         = 1 << 53     // the largest counter: beyond it JSON readers round
	ClockSkew        = time.Hour   // how far ahead of ours a relay's clock may be
	AheadTold        = time.Minute // from how far in the future on a sight is told of
)

// ParseReport reads the answer of /api/stats. Errors name the field: the counts that
// [Merge] needs must be there, none is negative or above [MaxCount], no time is
// further in the future than [ClockSkew]. Fields that are not known are ignored.
func ParseReport(data []byte, now time.Time) (Report, error) {
	var r Report
	fields, err := decode(data, &r, "peer_id", "connected_peers", "uptime_secs", "peak_concurrent_peers",
		"relay_reservations_accepted", "relay_circuits_established")
	if err == nil {
		err = r.check(fields, now)
	}
	if err != nil {
		return Report{}, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

// ParseCensus reads the answer of /api/bootstrap/census, as strictly as [ParseReport].
func ParseCensus(data []byte, now time.Time) (Census, error) {
	var c Census
	_, err := decode(data, &c, "enabled", "lifetime_unique_peers")
	if err == nil {
		err = c.check(now)
	}
	if err != nil {
		return Census{}, fmt.Errorf("census: %w", err)
	}
	return c, nil
}

func (r Report) check(fields map[string]json.RawMessage, now time.Time) error {
	if !isPeerID(r.PeerID) {
		return fmt.Errorf("peer_id: %q is no peer ID", clean(r.PeerID, 80))
	}
	switch r.NATStatus {
	case "", "unknown", "public", "private":
	default:
		return fmt.Errorf("nat_status: %q, accepted are unknown, public and private", clean(r.NATStatus, 80))
	}
	for _, name := range []string{"joins_per_minute", "leaves_per_minute"} {
		if err := checkMinutes(fields[name], now); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return checkCounts(reflect.ValueOf(r))
}

func (c Census) check(now time.Time) error {
	if err := checkTime(c.GeneratedAt, now); err != nil {
		return fmt.Errorf("generated_at: %w", err)
	}
	return checkCounts(reflect.ValueOf(c))
}

// checkMinutes wants pairs: encoding/json fills arrays of another length silently.
func checkMinutes(raw json.RawMessage, now time.Time) error {
	var pairs [][]int64
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return fmt.Errorf("%w", explain(err))
	}
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("element %d: %d numbers, accepted are 2", i, len(p))
		}
		if err := checkTime(p[0], now); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
		if err := checkCount(p[1]); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

// checkTime takes UNIX seconds.
func checkTime(secs int64, now time.Time) error {
	switch {
	case secs < 0:
		return fmt.Errorf("%d is before 1970", secs)
	case secs > now.Add(ClockSkew).Unix():
		return fmt.Errorf("%d is in the future", secs)
	}
	return nil
}

func checkCount(n int64) error {
	switch {
	case n < 0:
		return fmt.Errorf("%d is negative", n)
	case n > MaxCount:
		return fmt.Errorf("%d is larger than any count", n)
	}
	return nil
}

// checkCounts checks every number in a struct of the API, so that a field added later
// is checked too.
func checkCounts(v reflect.Value) error {
	for field, value := range v.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if err := checkNumbers(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func checkNumbers(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		return checkCount(v.Int())
	case reflect.Uint64:
		if v.Uint() > MaxCount {
			return fmt.Errorf("%d is larger than any count", v.Uint())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return checkNumbers(v.Elem())
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			if err := checkNumbers(v.MapIndex(key)); err != nil {
				return fmt.Errorf("%s: %w", clean(key.String(), 80), err)
			}
		}
	default: // texts, and lists with checks of their own
	}
	return nil
}

// decode reads one JSON object into a struct and returns its fields as they were written.
func decode(data []byte, into any, required ...string) (map[string]json.RawMessage, error) {
	if len(data) > MaxReport {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(data), MaxReport)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, explain(err)
	}
	if fields == nil {
		return nil, errors.New("null, accepted is an object")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !utf8.ValidString(name) || !utf8.Valid(fields[name]) {
			return nil, fmt.Errorf("%s: invalid UTF-8", clean(name, 80))
		}
	}
	for _, name := range required {
		if value, ok := fields[name]; !ok || string(value) == "null" {
			return nil, fmt.Errorf("%s: missing", name)
		}
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, explain(err)
	}
	return fields, nil
}

// explain says what encoding/json refused in the words of the API.
func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("not JSON: %s", clean(err.Error(), 200))
	}
	wish := "another type"
	switch wrong.Type.Kind() {
	case reflect.Uint64:
		wish = "a count from 0"
	case reflect.Int, reflect.Int64:
		wish = "a whole number"
	case reflect.String:
		wish = "a text"
	case reflect.Bool:
		wish = "true or false"
	case reflect.Slice, reflect.Array:
		wish = "an array"
	case reflect.Map, reflect.Struct:
		wish = "an object"
	default:
	}
	value := clean(strings.TrimPrefix(wrong.Value, "number "), 80)
	if wrong.Field == "" {
		return fmt.Errorf("%s, accepted is %s", value, wish)
	}
	return fmt.Errorf("%s: %s, accepted is %s", clean(wrong.Field, 80), value, wish)
}

// maxPeerID is the longest text of a peer ID, in bytes.
const maxPeerID = 128

// isPeerID reports whether text could be a peer ID: base58 or base32, which are
// letters and digits. It is safe in a cell, a line and a URL.
func isPeerID(text string) bool {
	if text == "" || len(text) > maxPeerID {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// clean makes text from outside fit for one line: no control or format characters, no
// invalid UTF-8, at most so many characters.
func clean(text string, most int) string {
	text = strings.ToValidUTF8(text[:min(len(text), 4*most+4)], "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
