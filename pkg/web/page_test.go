package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// page is the page of a fleet as a browser without JavaScript gets it.
func page(t testing.TB, f Fleet) string {
	t.Helper()
	_, server := serve(t, f, nil)
	a := ask(t, http.MethodGet, server.URL+"/", nil)
	if a.StatusCode != http.StatusOK {
		t.Fatalf("GET /: %d %s", a.StatusCode, a.text)
	}
	return a.text
}

// rowOf is the text of a relay's row, without tags.
func rowOf(t testing.TB, page, node string) string {
	t.Helper()
	_, row, ok := strings.Cut(page, `<tr id="row-`+node+`">`)
	if !ok {
		t.Fatalf("%s has no row", node)
	}
	row, _, _ = strings.Cut(row, "</tr>")
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(row, " ")), " ")
}

func TestPage_ShowsEveryRelayWithItsState(t *testing.T) {
	got := page(t, ill())
	for node, want := range map[string]string{
		"nyc1-1": "nyc1-1 ● serving 137 of 1,024 13 % ● published ● yes 211 v1.2.3 /ip4/203.0.0.0/tcp/9100 …00000000",
		"fra1-1": "fra1-1 ✕ down its API does not answer: connection refused unknown of 1,024 ● published ✕ no unknown v1.2.3 /ip4/203.0.0.1/tcp/9100 …00007950",
		"sfo3-1": "sfo3-1 ● serving 1,001 of 1,024 97 % ● published ● yes 566 old /ip4/203.0.0.5/tcp/9100 …00198130",
		"sgp1-1": "sgp1-1 ? unreadable sgp1-1 (203.0.0.2:22): dial: no answer within 10s unknown of 1,024 ● published ? unknown unknown unknown /ip4/203.0.0.2/tcp/9100 …00031738",
		"ams3-1": "ams3-1 ▲ draining 548 of 1,024 53 % ▲ not published ● yes 144 v1.2.3 /ip4/203.0.0.3/tcp/9100 …00071364",
	} {
		if row := rowOf(t, got, node); row != want {
			t.Errorf("row of %s:\n got %s\nwant %s", node, row, want)
		}
	}
	for _, want := range []string{
		"3 of 6 relays serve; 1 unknown", "1 relay verified in DNS: at least 2 are needed", "sfo3-1 holds 1,001 of 1,024 reservations",
		"2 records at _dnsaddr.p2p.example.test would be changed by &#39;fleetctl dnsaddr sync&#39;", "at least: no answer from fra1-1, sgp1-1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestPage_UnknownIsNeitherFineNorZero(t *testing.T) {
	got := page(t, blank())
	for _, want := range []string{"Nothing is known yet", "No history is kept here", "What 'fleetctl up' would do is unknown"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page of a fleet that nobody looked at does not say %q", want)
		}
	}
	if row := rowOf(t, got, "nyc1-1"); row != "nyc1-1 ? unknown unknown ? unknown ? unknown unknown unknown unknown unknown" {
		t.Errorf("row of a relay that nobody looked at: %s", row)
	}
	for _, not := range []string{"Nothing needs attention", `class="sign good"`, `class="value">0`} {
		if strings.Contains(got, not) {
			t.Errorf("the page of a fleet that nobody looked at has %q", not)
		}
	}
}

func TestPage_HoldsItsPolicy(t *testing.T) {
	f := ill()
	f.Charts = curves()
	got := page(t, f)
	for what, pattern := range map[string]string{
		"a script within": `<script[^>]*>[^<]`, "a style within": `<style|\sstyle=`, "a handler within": `\son[a-z]+=`, "something of another host": `(src|href|action)="(https?:)?//`,
	} {
		if found := regexp.MustCompile(pattern).FindString(got); found != "" {
			t.Errorf("the page has %s: %q", what, found)
		}
	}
}

func TestPage_TextOfOthersIsTextOnly(t *testing.T) {
	f := well(1)
	evil := "<script>alert(1)</script>\x1b[31m\u202e\u2066\x00"
	f.Relays[0].Version, f.Relays[0].Reason, f.Relays[0].State = evil, strings.Repeat(evil, 1000), evil
	f.Relays[0].Warnings, f.Errors = []string{evil}, []string{evil}
	f.Events = []Event{{At: today(), Text: evil}}
	f.Charts = []stats.Series{{Metric: evil, Label: evil}}
	got := page(t, f)
	if strings.Contains(got, "<script>alert") || strings.ContainsAny(got, "\x1b\u202e\u2066\x00") {
		t.Error("text of a relay is more than text on the page")
	}
	if !strings.Contains(got, "&lt;script&gt;alert(1)&lt;/script&gt;[31m") {
		t.Error("text of a relay is not on the page")
	}
	if len(got) > 60_000 {
		t.Errorf("the page has %d bytes: texts have no bound", len(got))
	}
}

func TestPage_IsReadableByEar(t *testing.T) {
	f := ill()
	f.Charts = curves()
	got := page(t, f)
	for what, pattern := range map[string]string{
		"language": `<html lang="en">`, "landmark main": `<main `, "landmark header": `<header `, "landmark footer": `<footer `,
		"way past the head": `<a class="skip" href="#relays">`, "announcements": `role="status" aria-live="polite"`, "head cells": `<th scope="col">`, "head cells of rows": `<th scope="row">`,
		"scrolling by keys": `role="region" aria-label="[^"]+" tabindex="0"`, "text of the map": `<svg[^>]*role="img" aria-label="[^"]+"`,
	} {
		if !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("the page has no %s (%s)", what, pattern)
		}
	}
	if n := strings.Count(got, "<h1"); n != 1 {
		t.Errorf("the page has %d headings of the first level, want 1", n)
	}
	ids := make(map[string]bool)
	for _, id := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(got, -1) {
		if ids[id[1]] {
			t.Errorf("two elements have the ID %q", id[1])
		}
		ids[id[1]] = true
	}
	for _, ref := range regexp.MustCompile(`aria-labelledby="([^"]*)"`).FindAllStringSubmatch(got, -1) {
		if !ids[ref[1]] {
			t.Errorf("nothing has the ID %q that a label refers to", ref[1])
		}
	}
}

// A page that is made anew finds what was scrolled by its name.
func TestPage_WhatScrollsHasANameOfItsOwn(t *testing.T) {
	f := ill()
	f.Plan.Waiting, f.Plan.Kept = f.Plan.Steps, f.Plan.Steps
	f.Charts = curves()
	names, kinds := make(map[string]bool), make(map[string]bool)
	for _, tag := range regexp.MustCompile(`<[a-z]+ class="(scroll|events|steps)\b[^>]*>`).FindAllStringSubmatch(page(t, f), -1) {
		kinds[tag[1]] = true
		name := regexp.MustCompile(`aria-label="([^"]+)"`).FindStringSubmatch(tag[0])
		if name == nil || names[name[1]] {
			t.Errorf("%s has no name, or that of another", tag[0])
			continue
		}
		names[name[1]] = true
	}
	if len(kinds) != 3 || len(names) < 6 {
		t.Errorf("names %v of %v, want some of scroll, events and steps", names, kinds)
	}
}

func TestPage_TellsThatItIsOld(t *testing.T) {
	now, hour := today(), today().Add(-time.Hour)
	for name, c := range map[string]struct {
		at, lookedAt time.Time
		took         time.Duration
		stale        bool
		shown        string
	}{
		"new":                                   {now, now, 0, false, "03:04:05 UTC"},
		"all of an hour ago":                    {hour, hour, 0, true, "02:04:05 UTC"},
		"relays answer, the look is of before":  {now, hour, 0, true, "02:04:05 UTC"},
		"relays answer, and there was no look":  {now, time.Time{}, 0, true, "never"},
		"old, and looks take that long":         {now, now.Add(-time.Minute), 31 * time.Second, false, "03:04:05 UTC"},
		"older than looks take":                 {now, now.Add(-time.Minute), 29 * time.Second, true, "03:03:05 UTC"},
		"a look that is newer than what it saw": {hour, now, 0, true, "02:04:05 UTC"},
	} {
		f := well(1)
		f.At, f.LookedAt, f.LookTook = c.at, c.lookedAt, c.took
		got := page(t, f)
		if stale := strings.Contains(got, `class="live stale"`) && strings.Contains(got, ">Stale<"); stale != c.stale || !strings.Contains(got, c.shown+"</time>") {
			t.Errorf("%s: called stale %v, want %v, and as of %s: %s", name, stale, c.stale, c.shown, regexp.MustCompile(`<p id="live".*`).FindString(got))
		}
	}
}

func TestPage_SaysOfWhenOldNumbersAre(t *testing.T) {
	f := well(1)
	f.Collected.At, f.Collected.Answered = today().Add(-time.Hour), nil
	delete(f.Figures, "concurrent_peers")
	got := page(t, f)
	for _, want := range []string{"184,302</dd><dd class=\"note\">as of 2026-03-02 02:04:05 UTC</dd>", "Connected at once</dt><dd class=\"value\"><span class=\"mark\" aria-hidden=\"true\">?</span>unknown"} {
		if !strings.Contains(got, want) {
			t.Errorf("an hour after the last collection the page does not say %q", want)
		}
	}
}

func TestPage_NumbersOfPeersSayOfWhenTheyAre(t *testing.T) {
	f := well(1)
	f.Collected.At = today().Add(-9 * time.Minute)
	got := page(t, f)
	for _, want := range []string{`184,302</dd><dd class="note">as of 02:55 UTC</dd>`, `20,114</dd><dd class="note">as of 02:55 UTC</dd>`, `3,120</dd><dd class="note">at 03:04 UTC</dd>`} {
		if !strings.Contains(got, want) {
			t.Errorf("nine minutes after the last collection the page does not say %q", want)
		}
	}
}

func TestPage_OfAFleetThatNobodyCanTellOfSaysUnknown(t *testing.T) {
	f := well(3)
	f.Verified = nil
	for i := range f.Relays {
		f.Relays[i].State, f.Relays[i].Verified = "unknown", nil
	}
	f.Relays[2].State = "elsewhere"
	got := page(t, f)
	for _, want := range []string{"0 of 3 relays serve; 3 unknown", "How many published relays serve is unknown; at least 2 are needed", `<div class="tile unknown"><dt>Verified in DNS</dt>`} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(got, `class="sign bad"`) {
		t.Error("something is called bad of which nobody knows")
	}
}

func TestChart_WhatIsNotOfAllIsDrawnApartThoughItIsNoBound(t *testing.T) {
	s := curves()[0]
	for i := range s.Points {
		if p := &s.Points[i]; p.AtLeast {
			p.AtLeast = false
		}
	}
	if c := newChart(s); c.AtLeast == "" || !strings.HasPrefix(c.Note, "not of all: no answer from sgp1-1") {
		t.Errorf("got %q drawn apart and the note %q, want it apart and that sgp1-1 did not answer", c.AtLeast, c.Note)
	}
}

func TestChart_BreaksWhereNothingIsKnown(t *testing.T) {
	c := newChart(curves()[0])
	if n := strings.Count(c.Area, "M"); n != 3 {
		t.Errorf("the surface has %d parts, want 3: before the gap, after it, and after the lone point", n)
	}
	if len(c.Dots) != 1 {
		t.Errorf("%d lone points, want 1", len(c.Dots))
	}
	if c.AtLeast == "" || strings.Contains(c.Area, "NaN") {
		t.Errorf("what is at least so much is not drawn apart: %q", c.AtLeast)
	}
	if c.Latest != "178,000" || !strings.HasPrefix(c.Note, "at least") || c.Rows[0].Note != c.Note {
		t.Errorf("the newest is %q (%q), want 178,000 and at least", c.Latest, c.Note)
	}
	unknown := newChart(stats.Series{Metric: "concurrent_peers", Points: []stats.Point{{At: today()}}})
	if !unknown.Empty || unknown.Latest != "unknown" {
		t.Errorf("a chart of nothing: empty %v, latest %q, want true and unknown", unknown.Empty, unknown.Latest)
	}
}

func TestNumber_HasItsThousandsApart(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", 0.5: "0.50", 1234.567: "1,234.57"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) is %q, want %q", v, got, want)
		}
	}
}

// large is a fleet as large as the page is made for.
func large() Fleet {
	f := well(1000)
	f.Charts = curves()
	const letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	state := uint64(1)
	for i := range f.Relays {
		id := []byte("12D3KooW")
		for range 44 {
			state = state*6364136223846793005 + 1442695040888963407
			id = append(id, letters[state>>33%uint64(len(letters))])
		}
		f.Relays[i].PeerID = string(id)
	}
	return f
}

func TestPage_OfAThousandRelaysIsSmall(t *testing.T) {
	_, server := serve(t, large(), nil)
	a := ask(t, http.MethodGet, server.URL+"/", func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
	if a.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("the page was sent as %q, want gzip", a.Header.Get("Content-Encoding"))
	}
	if len(a.text) > 100_000 {
		t.Errorf("the page has %d bytes compressed, want at most 100,000", len(a.text))
	}
	z, err := gzip.NewReader(strings.NewReader(a.text))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || strings.Count(string(text), `<tr id="row-`) != 1000 {
		t.Errorf("the page unpacks to %d rows and %v, want 1000", strings.Count(string(text), `<tr id="row-`), err)
	}
}

// BenchmarkPage_Thousand makes the page of 1,000 relays anew each time, and packs it.
func BenchmarkPage_Thousand(b *testing.B) {
	from, server := serve(b, large(), nil)
	size := 0
	for b.Loop() {
		from.Set(from.Look().Fleet)
		a := ask(b, http.MethodGet, server.URL+"/", func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
		size = len(a.text)
	}
	b.ReportMetric(float64(size), "B/page")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/page")
}
