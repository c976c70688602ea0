package history

import (
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestSeries_LengthOfSessionsByRelayNamesOnlyItsOwnSilence(t *testing.T) {
	s := open(t, Options{})
	start := monday()
	next := start.Add(time.Hour)
	r := answer(1, start, 1)
	ingest(t, s, start, r, answer(2, start, 1), answer(3, start, 1))
	r = answer(1, next, 1)
	r.Telemetry.Counters = stats.Counters{Sessions: 3, SessionSecs: 30}
	ingest(t, s, next, r, silent(2, "no route"), answer(3, next, 1))
	got := points(t, s, "session_length", Query{Step: StepHour, Since: next, By: true})
	want := []string{"nyc1-1 11-02 13:00 10", "nyc1-2 11-02 13:00 unknown without nyc1-2", "nyc1-3 11-02 13:00 unknown"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
