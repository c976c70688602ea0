package monitoring

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAlerts_EachIsProvenToFireAndToEnd counts the cases that promtool runs.
func TestAlerts_EachIsProvenToFireAndToEnd(t *testing.T) {
	for _, a := range Alerts() {
		proven := false
		for _, c := range a.Cases {
			ends := slices.ContainsFunc(c.Quiet, func(at string) bool { return minutes(at) > minutes(c.Fires) })
			waits := slices.ContainsFunc(c.Quiet, func(at string) bool { return minutes(at) < minutes(c.Fires) })
			if c.Fires != "" && (!ends || !waits) {
				t.Errorf("%s: %s: it has to be quiet before it fires and after, got %v and %s", a.Name, c.Name, c.Quiet, c.Fires)
			}
			if c.Fires == "" && len(c.Quiet) == 0 {
				t.Errorf("%s: %s: it proves nothing", a.Name, c.Name)
			}
			proven = proven || c.Fires != "" && ends && waits
		}
		if !proven {
			t.Errorf("%s: no case fires and ends", a.Name)
		}
	}
}

// TestAlerts_AreThoseThatSomebodyWantsToBeWokenFor keeps the list short: another alert
// needs a reason to be here.
func TestAlerts_AreThoseThatSomebodyWantsToBeWokenFor(t *testing.T) {
	want := []string{
		"FleetBelowFloor", "FleetCertificateExpires", "FleetCollectorStale", "FleetDNSDiffers", "RelayCensusDamaged", "RelayDiskLow",
		"RelayErrorRate", "RelayMemoryHigh", "RelayPublishedNotServing", "RelayReservationsNearLimit",
	}
	got := make(map[string]bool)
	for _, a := range Alerts() {
		got[a.Name] = true
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// TestQueries_GoByNamesThatSomebodyCountsUnder looks up every name in alerts, recording
// rules and dashboard among those of relays, of serve, and of the rules themselves.
func TestQueries_GoByNamesThatSomebodyCountsUnder(t *testing.T) {
	known := relayNames(t)
	known["up"], known["ALERTS"] = true, true
	for _, m := range Series() {
		known[m.Name] = true
	}
	exprs := make(map[string]string)
	for _, r := range slices.Concat(relayRecordings(), fleetRecordings()) {
		known[r.Name], exprs[r.Name] = true, r.Expr
	}
	for _, a := range Alerts() {
		exprs[a.Name+" "+string(a.Severity)] = a.Expr
		for _, c := range a.Cases {
			for _, in := range c.Input {
				exprs[a.Name+": "+c.Name+": "+in.Series] = in.Series
			}
		}
	}
	for _, c := range charts() {
		for _, q := range c.queries {
			exprs[c.title+": "+q.expr] = q.expr
		}
	}
	used := make(map[string]bool)
	for where, expr := range exprs {
		for _, name := range namesIn(expr) {
			used[name] = true
			if !known[name] {
				t.Errorf("%s: nobody counts under %q", where, name)
			}
		}
	}
	if len(used) < 30 {
		t.Errorf("got %d names, want 30 and more: are they found?", len(used))
	}
}

// namesIn are the names of series in a query.
func namesIn(expr string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`__name__=~"([^"]*)"`).FindAllStringSubmatch(expr, -1) {
		names = append(names, strings.Split(m[1], "|")...)
	}
	for _, what := range []string{`\{[^}]*\}`, `\b(by|on|without) \([^)]*\)`, `\[[^\]]*\]`, `"[^"]*"`} {
		expr = regexp.MustCompile(what).ReplaceAllString(expr, " ")
	}
	words := regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	for _, at := range words.FindAllStringIndex(expr, -1) {
		word := expr[at[0]:at[1]]
		function := strings.HasPrefix(strings.TrimLeft(expr[at[1]:], " "), "(")
		before := at[0] > 0 && expr[at[0]-1] >= '0' && expr[at[0]-1] <= '9' // "9e9"
		if !before && !function && !slices.Contains([]string{"and", "or", "unless", "by", "offset"}, word) {
			names = append(names, word)
		}
	}
	return names
}

// relayNames are the names that the daemon's sources declare.
func relayNames(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../relay/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of the relay: %v", err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(relay_[a-z_]+)":`).FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
	}
	return names
}
