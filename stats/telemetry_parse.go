package stats

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a telemetry beside [MaxReport].
const (
	maxGroups  = 256  // of one counter
	maxMinutes = 1440 // a day
	maxDamaged = 20   // sentences
	maxClock   = 1 << 33
)

// ParseTelemetry reads the answer of /api/telemetry. Errors name the field: every counter
// and every gauge must be there, since what is missing is not 0; none is negative or
// above [MaxCount]; names are short and printable. The relay's clock may be wrong, also by
// years: times are only held against each other. Fields that are not known are ignored.
func ParseTelemetry(data []byte) (Telemetry, error) {
	var t Telemetry
	fields, err := decode(data, &t, "peer_id", "now", "started_at", "epoch", "registry", "cursor", "counters", "gauges", "minutes")
	if err == nil {
		err = t.check(fields)
	}
	if err != nil {
		return Telemetry{}, fmt.Errorf("telemetry: %w", err)
	}
	for i := range t.Damaged {
		t.Damaged[i] = clean(t.Damaged[i], 500)
	}
	t.Damaged = t.Damaged[:min(len(t.Damaged), maxDamaged)]
	return t, nil
}

func (t Telemetry) check(fields map[string]json.RawMessage) error {
	switch {
	case !isPeerID(t.PeerID):
		return fmt.Errorf("peer_id: %q is no peer ID", clean(t.PeerID, 80))
	case t.Now <= 0 || t.Now > maxClock:
		return fmt.Errorf("now: %d is no time", t.Now)
	case t.StartedAt < 0 || t.StartedAt > maxClock:
		return fmt.Errorf("started_at: %d is no time", t.StartedAt)
	case !isLife(t.Epoch):
		return fmt.Errorf("epoch: %q, accepted are 32 hex digits", clean(t.Epoch, 80))
	case !isLife(t.Registry):
		return fmt.Errorf("registry: %q, accepted are 32 hex digits", clean(t.Registry, 80))
	case !isCursor(t.Cursor):
		return fmt.Errorf("cursor: %q is no cursor", clean(t.Cursor, 80))
	}
	if err := whole(fields["counters"], t.Counters, "hole_punches_succeeded", "hole_punches_failed", "own_bytes_relayed"); err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	if got, want := len(t.Counters.SessionLengths), len(SessionBounds())+1; got != want {
		return fmt.Errorf("counters: session_lengths: %d numbers, accepted are %d", got, want)
	}
	if err := whole(fields["gauges"], t.Gauges); err != nil {
		return fmt.Errorf("gauges: %w", err)
	}
	switch t.Gauges.NATStatus {
	case "unknown", "public", "private":
	default:
		return fmt.Errorf("gauges: nat_status: %q, accepted are unknown, public and private", clean(t.Gauges.NATStatus, 80))
	}
	if t.Lifetime != nil {
		if err := whole(fields["lifetime"], *t.Lifetime); err != nil {
			return fmt.Errorf("lifetime: %w", err)
		}
	}
	if err := t.checkMinutes(fields["minutes"]); err != nil {
		return fmt.Errorf("minutes: %w", err)
	}
	return nil
}

// whole checks the numbers and names of a struct and that each field was written, but
// those that may be unknown.
func whole(raw json.RawMessage, v any, unknown ...string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return explain(err)
	}
	for field := range reflect.ValueOf(v).Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if value, ok := fields[name]; (!ok || string(value) == "null") && !slices.Contains(unknown, name) {
			return fmt.Errorf("%s: missing", name)
		}
	}
	if err := checkCounts(reflect.ValueOf(v)); err != nil {
		return err
	}
	for field, value := range reflect.ValueOf(v).Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if err := checkGroup(value.Interface()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// checkGroup bounds the names that peers chose, and the numbers of a list.
func checkGroup(v any) error {
	switch v := v.(type) {
	case []uint64:
		for i, n := range v {
			if n > MaxCount {
				return fmt.Errorf("element %d: %d is larger than any count", i, n)
			}
		}
	case map[string]uint64:
		if len(v) > maxGroups {
			return fmt.Errorf("%d names, at most %d are read", len(v), maxGroups)
		}
		for name := range v {
			if name == "" || len(name) > 128 || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
				return fmt.Errorf("%q is no name", clean(name, 80))
			}
		}
	}
	return nil
}

func (t Telemetry) checkMinutes(raw json.RawMessage) error {
	if len(t.Minutes) > maxMinutes {
		return fmt.Errorf("%d minutes, at most %d are read", len(t.Minutes), maxMinutes)
	}
	var pairs [][]int64 // encoding/json fills arrays of another length silently
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return explain(err)
	}
	for i, p := range pairs {
		switch {
		case len(p) != 2:
			return fmt.Errorf("element %d: %d numbers, accepted are 2", i, len(p))
		case p[0] < 0 || p[0]%60 != 0:
			return fmt.Errorf("element %d: %d is no whole minute", i, p[0])
		case p[0] > t.Now:
			return fmt.Errorf("element %d: %d is after now", i, p[0])
		case i > 0 && p[0] <= pairs[i-1][0]:
			return fmt.Errorf("element %d: %d does not come after %d", i, p[0], pairs[i-1][0])
		}
		if err := checkCount(p[1]); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

// isLife reports whether text names a life of the counters or of the census.
func isLife(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// isCursor reports whether text is a life and a number.
func isCursor(text string) bool {
	life, number, _ := strings.Cut(text, "-")
	return isLife(life) && number != "" && len(number) <= 20 && strings.Trim(number, "0123456789") == ""
}
