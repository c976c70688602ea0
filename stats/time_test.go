package stats

import (
	"encoding/json"
	"testing"
	"time"
)

func TestFigure_FromWhenItIsUnknownIsNull(t *testing.T) {
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	for want, f := range map[string]Figure{
		`{"value":null,"at_least":false,"missing":[],"since":null,"error":0,"blurred":false}`:                   {Missing: []string{}},
		`{"value":null,"at_least":false,"missing":[],"since":"2026-11-02T12:00:00Z","error":0,"blurred":false}`: {Missing: []string{}, Since: Time{at}},
	} {
		text, err := json.Marshal(f)
		if err != nil || string(text) != want {
			t.Errorf("got %s %v, want %s", text, err, want)
		}
		var back Figure
		if err := json.Unmarshal(text, &back); err != nil || !back.Since.Equal(f.Since.Time) {
			t.Errorf("read again: got %s %v, want %s", back.Since, err, f.Since)
		}
	}
}
