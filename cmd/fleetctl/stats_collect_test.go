package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func TestStatsCollect_MarksOldRelaysInEveryForm(t *testing.T) {
	readings := []stats.Reading{
		{Node: "sgp1-1", Old: true, Report: &stats.Report{}}, {Node: "nyc1-1", Telemetry: &stats.Telemetry{}},
		{Node: "fra1-1", Old: true, Report: &stats.Report{}}, {Node: "fra1-1", Old: true, Err: errors.New("away")},
	}
	v := newCollectView(history.Summary{At: lookTime(), Relays: 3, Answered: 3}, readings, time.Second)
	for format, want := range map[render.Format]string{
		render.FormatTable: "sgp1-1: an old relay, read through its files and its old API",
		render.FormatJSON: `"old": [
    "fra1-1",
    "sgp1-1"
  ]`,
		render.FormatCSV: "fra1-1 sgp1-1",
	} {
		var out bytes.Buffer
		if err := render.Write(&out, v, render.Options{Format: format}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "nyc1-1") {
			t.Errorf("%s: got %q, want %q in it, and no word of nyc1-1", format, out.String(), want)
		}
	}
	if got, want := v.line(), "; fra1-1: an old relay; sgp1-1: an old relay"; !strings.HasSuffix(got, want) {
		t.Errorf("a round of --every: got %q, want %q at its end", got, want)
	}
	if got := jsonOf(t, newCollectView(history.Summary{}, nil, 0)); !strings.Contains(got, `"old":[]`) {
		t.Errorf("without old relays: got %s, want an empty list", got)
	}
}
