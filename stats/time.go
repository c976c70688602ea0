package stats

import (
	"encoding/json"
	"time"
)

// Time is a time that may be unknown: the zero value, which is null in JSON.
type Time struct{ time.Time }

// MarshalJSON writes RFC 3339, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(t.Time)
}
