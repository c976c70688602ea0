package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func written(t *testing.T, v render.View, f render.Format) string {
	t.Helper()
	var out strings.Builder
	if err := render.Write(&out, v, render.Options{Format: f}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// days is a series of daily figures from a date on; below 0 is unknown.
func days(metric string, at *time.Location, values ...float64) stats.Series {
	s := stats.Series{Metric: metric, Unit: "peers", Step: 24 * time.Hour}
	for i, v := range values {
		p := stats.Point{At: time.Date(2026, 11, 1+i, 0, 0, 0, 0, at), Figure: stats.Figure{Missing: []string{}}}
		if v >= 0 {
			p.Value, p.Since = &v, stats.Time{Time: time.Date(2026, 11, 9, 8, 7, 6, 0, time.UTC)}
		}
		s.Points = append(s.Points, p)
	}
	return s
}

func TestHistory_DaysOfUTCStandBesideThoseOfAnotherPlaceAndAreCalledSo(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	v := historyView{collected: time.Date(2026, 11, 9, 8, 7, 6, 0, time.UTC), TimeZone: "Asia/Tokyo", Series: []stats.Series{days("returning_peers", time.UTC, 1, 2), days("new_peers", tokyo, 3, 4)}}
	got := written(t, v, render.FormatTable)
	want := `AT (ASIA/TOKYO)  RETURNING (UTC)  NEW
2026-11-01                     1    3
2026-11-02                     2    4

as of 2026-11-09 08:07:06Z
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	c, _ := chartOf(stats.Metric{}, v.Series[:1], tokyo)
	if c.Location != time.UTC {
		t.Errorf("the chart of days of UTC is one of %s", c.Location)
	}
}

func TestHistory_TheHourThatClocksShowTwiceHasTwoRows(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	s := stats.Series{Metric: "new_peers", Unit: "peers", Step: time.Hour}
	for i, value := range []float64{7, 8, 9, 10} {
		at := time.Date(2026, 10, 24, 23+i, 0, 0, 0, time.UTC).In(berlin)
		s.Points = append(s.Points, stats.Point{At: at, Figure: stats.Figure{Value: &value}})
	}
	got := written(t, historyView{TimeZone: "Europe/Berlin", Series: []stats.Series{s}}, render.FormatTable)
	want := `AT (EUROPE/BERLIN)  NEW
2026-10-25 01:00      7
2026-10-25 02:00      8
2026-10-25 02:00      9
2026-10-25 03:00     10
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHistory_SaysWhoWasSilentApartFromWhenNothingWasRead(t *testing.T) {
	s := days("concurrent_peers", time.UTC, 5, -1)
	s.Points[0].AtLeast, s.Points[0].Missing = true, []string{"sgp1-1"}
	for i := range 20 {
		s.Points[1].Missing = append(s.Points[1].Missing, fmt.Sprintf("fra1-%02d", i+1))
	}
	got := written(t, historyView{TimeZone: "UTC", Series: []stats.Series{s}}, render.FormatTable)
	for _, want := range []string{
		"≥ is at least: sgp1-1 did not tell all of it\n",
		"n/a is unknown: fra1-01, fra1-02, ", "fra1-12 and 8 more told nothing of that time\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}

func TestHistory_DaysThatAreCutFromThoseOfUTCAreCalledSo(t *testing.T) {
	s := days("joins", time.UTC, 5, 6)
	v := historyView{TimeZone: "UTC", Series: []stats.Series{s}}
	const note = "near a border of such a step some stand on its other side\n"
	if got := written(t, v, render.FormatTable); strings.Contains(got, note) {
		t.Errorf("nothing is blurred: got\n%s", got)
	}
	s.Points[1].Blurred = true
	if got := written(t, v, render.FormatTable); !strings.Contains(got, note) {
		t.Errorf("got\n%s\nwant %q in it", got, note)
	}
	got := strings.ReplaceAll(written(t, v, render.FormatCSV), "\r\n", "\n")
	if !strings.Contains(got, "2026-11-01T00:00:00Z,joins,,peers,5,false,,2026-11-09T08:07:06Z,0,false\n") || !strings.Contains(got, ",0,true\n") {
		t.Errorf("CSV: got\n%s", got)
	}
}

func TestHistory_AtLeastThoughAllAnsweredIsSaidAsItIs(t *testing.T) {
	s := days("joins", time.UTC, 5, 6)
	s.Points[0].AtLeast = true
	v := historyView{TimeZone: "UTC", Series: []stats.Series{s}}
	if got, want := written(t, v, render.FormatTable), "\n≥ is at least: a relay's counters were first read within that time\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %q in it", got, want)
	}
	s.Points[1].AtLeast, s.Points[1].Missing = true, []string{"sgp1-1"}
	if got, want := written(t, v, render.FormatTable), "\n≥ is at least: sgp1-1 did not tell all of it, or a relay's counters were first read within that time\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %q in it", got, want)
	}
}

func TestRetention_EveryFormSaysWhoIsMissingAndWhoseWeeksTheyAre(t *testing.T) {
	figure := func(n float64) stats.Figure { return stats.Figure{Value: &n, Missing: []string{}} }
	less := figure(5)
	less.AtLeast, less.Missing = true, []string{"=nyc1-1"}
	v := cohortsView{Cohorts: []history.Cohort{
		{Week: time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC), Peers: 10, Active: []stats.Figure{figure(10), less}},
		{Week: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Peers: 4, Active: []stats.Figure{figure(4)}},
	}}
	got := written(t, v, render.FormatTable)
	want := `WEEK (UTC)  PEERS  +0W %  +1W %
2026-11-16     10  100.0  ≥50.0
2026-11-23      4  100.0

≥ is at least: =nyc1-1 did not tell all of it
weeks begin on Mondays, 00:00 UTC; the last figure of a row is of a week that is not over
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got = strings.ReplaceAll(written(t, v, render.FormatCSV), "\r\n", "\n")
	want = "week,peers,weeks_later,active,at_least,missing,since,error\n" +
		"2026-11-16,10,0,10,false,,,0\n" +
		"2026-11-16,10,1,5,true,'=nyc1-1,,0\n" +
		"2026-11-23,4,0,4,false,,,0\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFigureCell_WhatIsNotOfAllIsMarkedThoughItIsNoBound(t *testing.T) {
	f := stats.Figure{Value: new(3.0), Missing: []string{"nyc1-1"}}
	if got, ok := figureCell(f, "peers").(render.Toned); !ok || got.Value != (render.Marked{Mark: "≈", Value: int64(3)}) {
		t.Errorf("got %v, want ≈ 3", figureCell(f, "peers"))
	}
	if got := figureCell(f, "relays"); got != int64(3) {
		t.Errorf("got %v, want 3: so many relays answered, whoever did not", got)
	}
}

func TestStats_ASumOverARelayThatDoesNotTellIsAtLeast(t *testing.T) {
	three := uint64(3)
	v := statsView{Snapshot: stats.Snapshot{Reservations: &three, Relays: []stats.RelayRow{
		{Node: "nyc1-1", Reservations: &three, Status: stats.StatusOK}, {Node: "fra1-1", Status: stats.StatusOK},
	}}}
	got := written(t, v, render.FormatTable)
	for _, want := range []string{"reservations served:         at least 3\n", "circuits established:        n/a\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}

func TestDiff_TheDifferenceOfWhatIsNotAllThereIsMarked(t *testing.T) {
	figure := func(n float64, missing ...string) stats.Figure {
		return stats.Figure{Value: &n, AtLeast: len(missing) > 0, Missing: missing, Since: stats.Time{Time: time.Date(2026, 11, 9, 8, 7, 6, 0, time.UTC)}}
	}
	v := diffView{history.Diff{Changes: []history.Change{
		{Metric: "nat_status", Unit: "relays", Before: figure(3, "fra1-1"), After: figure(2, "nyc1-1"), Delta: new(-1.0)},
		{Metric: "joins", Unit: "connections", Before: stats.Figure{}, After: figure(7), Delta: new(7.0), DeltaExact: true},
	}}}
	table := strings.Join(strings.Fields(written(t, v, render.FormatTable)), " ")
	for _, want := range []string{"nat_status ≥3 ≥2 ≈-1 relays", "joins n/a 7 7 connections"} {
		if !strings.Contains(table, want) {
			t.Errorf("got\n%s\nwant %q in it", table, want)
		}
	}
	if got, want := written(t, v, render.FormatCSV), ",true,fra1-1 nyc1-1,2026-11-09T08:07:06Z"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %q in it: who is missing at either time, and from when the data is", got, want)
	}
}

func TestStats_SaysWhereItsPeersWereCountedAndWhoLeftUnread(t *testing.T) {
	seven := uint64(7)
	alone := written(t, statsView{Snapshot: stats.Snapshot{LifetimeUniquePeers: &seven}}, render.FormatTable)
	if !strings.Contains(alone, "lifetime unique peers:       7\nlifetime counted in:         the registries as they are now\n") {
		t.Errorf("without a history: got\n%s", alone)
	}
	past := written(t, statsView{Snapshot: stats.Snapshot{
		LifetimeUniquePeers: &seven, HistorySince: stats.Time{Time: time.Date(2026, 11, 2, 23, 0, 0, 0, time.UTC)}, HistoryMissing: []string{"sgp1-1"},
	}}, render.FormatTable)
	for _, want := range []string{
		"lifetime unique peers:       at least 7\nlifetime counted in:         the registries, and the history since 2026-11-02\n",
		"\nsgp1-1 left the fleet before its census was read to its end: lifetime is without whom it alone met since its last whole reading\n",
	} {
		if !strings.Contains(past, want) {
			t.Errorf("got\n%s\nwant %q in it", past, want)
		}
	}
}

func TestStats_AnOldRelayIsCalledSoAndIsNoReasonToFail(t *testing.T) {
	v := statsView{Snapshot: stats.Merge(time.Now(), []stats.Reading{{Node: "nyc1-1", Old: true, Report: &stats.Report{}, Registry: []stats.CensusEntry{}}})}
	got := written(t, v, render.FormatTable)
	for _, want := range []string{"\nnyc1-1  old  ", "\nnyc1-1: an old relay, read through its files and its old API", "lifetime unique peers:       0\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
	if err := v.problem(); err != nil {
		t.Errorf("got %v, want exit 0", err)
	}
	if got := written(t, v, render.FormatCSV); !strings.Contains(got, ",nyc1-1,old") {
		t.Errorf("CSV: got\n%s", got)
	}
}

func TestStats_DamagedCountersAreCalledSoAndTheCensusIsWhole(t *testing.T) {
	seven := uint64(7)
	v := statsView{Snapshot: stats.Snapshot{
		LifetimeUniquePeers: &seven, Reservations: &seven, Circuits: &seven, Partial: true,
		Relays: []stats.RelayRow{{
			Node: "nyc1-1", Status: stats.StatusPartial, LifetimeUniquePeers: &seven, Reservations: &seven, Circuits: &seven,
			Warnings: []string{"relay-counters.json was damaged before this start"},
		}},
	}}
	got := written(t, v, render.FormatTable)
	for _, want := range []string{
		"lifetime unique peers:       7\n", "reservations served:         at least 7\n", "circuits established:        at least 7\n",
		"nyc1-1  damaged counters ", "\nnyc1-1: relay-counters.json was damaged before this start\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
	if strings.Count(got, "≥7") != 2 {
		t.Errorf("got\n%s\nwant reservations and circuits to be at least, and nothing else", got)
	}
	if v.problem() == nil {
		t.Error("got exit 0, want 3")
	}
}

func TestStats_WhatIsKnownOfADamagedCensusIsAtLeast(t *testing.T) {
	nought, seven := uint64(0), uint64(7)
	v := statsView{Snapshot: stats.Snapshot{Relays: []stats.RelayRow{
		{Node: "fra1-1", Status: stats.StatusOK, LifetimeUniquePeers: &seven},
		{Node: "nyc1-1", Status: stats.StatusPartial, LifetimeUniquePeers: &nought, Warnings: []string{"bootnode-peers.json was damaged"}},
	}}}
	got := written(t, v, render.FormatTable)
	if !strings.Contains(got, "≥0") || strings.Contains(got, "≥7") {
		t.Errorf("got\n%s\nwant ≥0 of nyc1-1 and 7 of fra1-1", got)
	}
	if err := v.problem(); err == nil || strings.Contains(fleet.Hint(err), "fleetctl up") {
		t.Errorf("got %v, want a hint that is about a damaged file", err)
	}
}
