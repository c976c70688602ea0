package stats

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md") //nolint:gochecknoglobals // a test flag

func TestMetrics_PageIsWhatTheDefinitionsSay(t *testing.T) {
	const path = "../docs/metrics.md"
	want := MetricsPage()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the definitions: go test ./stats -run Metrics -update", path)
	}
}

func TestMetrics_EachIsDefinedInFull(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	taken := make(map[string]bool)
	for _, m := range Metrics() {
		for _, n := range []string{m.Name, m.Alias} {
			if n == "" && m.Name != "" {
				continue
			}
			if !name.MatchString(n) || taken[n] {
				t.Errorf("%q of %q is no name or is taken", n, m.Name)
			}
			taken[n] = true
			if got, ok := MetricOf(n); !ok || got != m {
				t.Errorf("MetricOf(%q): got %v, want %v", n, got, m)
			}
		}
		for part, text := range map[string]string{"definition": m.Definition, "source": m.Source, "limits": m.Limits} {
			if !strings.HasSuffix(text, ".") || strings.Contains(text, "  ") || strings.ContainsRune(text, '\n') {
				t.Errorf("%s: its %s is no sentence: %q", m.Name, part, text)
			}
		}
		if m.Title == "" || m.Unit == "" || m.Kind.meaning() == string(m.Kind) || strings.HasSuffix(m.Title, ".") {
			t.Errorf("%s: title %q, unit %q, kind %q", m.Name, m.Title, m.Unit, m.Kind)
		}
		if (m.Kind == KindCohorts) != (m.Name == "retention_weekly") {
			t.Errorf("%s: kind %s", m.Name, m.Kind)
		}
	}
}

func TestMetricOf_UnknownNameIsNoMetric(t *testing.T) {
	for _, n := range []string{"", "lifetime_unique", "Lifetime", " lifetime"} {
		if m, ok := MetricOf(n); ok {
			t.Errorf("%q: got %s, want none", n, m.Name)
		}
	}
}
