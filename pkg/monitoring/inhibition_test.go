package monitoring

import (
	"regexp"
	"strings"
	"testing"
)

// TestAlertmanager_WhatIsKnownToBeWrongIsToldOfThoughOtherThingsAreUnknown tries pairs of
// alerts of one fleet that fire at once, as Alertmanager does.
func TestAlertmanager_WhatIsKnownToBeWrongIsToldOfThoughOtherThingsAreUnknown(t *testing.T) {
	alert := func(name string, severity Severity, node string) map[string]string {
		return map[string]string{"alertname": name, "severity": string(severity), LabelFleet: "f", LabelNode: node}
	}
	unwatched, overdue := alert("FleetCollectorStale", Critical, ""), alert("FleetCollectorStale", Warning, "")
	unread, below := alert("FleetCollectorStale", Warning, "nyc1-1"), alert("FleetBelowFloor", Critical, "")
	dead, differs := alert("RelayPublishedNotServing", Warning, "nyc1-1"), alert("FleetDNSDiffers", Warning, "")
	otherFleet := alert("RelayPublishedNotServing", Warning, "nyc1-1")
	otherFleet[LabelFleet] = "g"
	var f alertmanagerFile
	strict(t, filesOf(t, throughServe(t))[FileAlertmanager], &f)
	for name, c := range map[string]struct {
		while, told map[string]string
		silent      bool
	}{
		"nobody watches, and a relay does not serve":         {unwatched, dead, false},
		"nobody watches, and DNS differs":                    {unwatched, differs, false},
		"nobody watches, and the fleet is below its floor":   {unwatched, below, false},
		"nobody watches, and nothing is collected":           {unwatched, overdue, true},
		"nobody watches, and a relay is not read":            {unwatched, unread, true},
		"nothing is collected, and a relay does not serve":   {overdue, dead, false},
		"nothing is collected, and DNS differs":              {overdue, differs, false},
		"nothing is collected, and a relay is not read":      {overdue, unread, false},
		"a relay does not serve, and is not read":            {dead, unread, true},
		"a relay does not serve, and nothing is collected":   {dead, overdue, false},
		"below the floor, and a relay does not serve":        {below, dead, true},
		"below the floor, and one of another fleet does not": {below, otherFleet, false},
	} {
		if got := f.inhibits(t, c.while, c.told); got != c.silent {
			t.Errorf("%s: got the second silenced %t, want %t", name, got, c.silent)
		}
	}
}

// inhibits reports whether while silences told.
func (f alertmanagerFile) inhibits(t *testing.T, while, told map[string]string) bool {
	t.Helper()
	for _, i := range f.Inhibit {
		same := matches(t, i.Source, while) && matches(t, i.Target, told)
		for _, label := range i.Equal {
			same = same && while[label] == told[label]
		}
		if same {
			return true
		}
	}
	return false
}

func matches(t *testing.T, matchers []string, labels map[string]string) bool {
	t.Helper()
	for _, m := range matchers {
		label, value, ok := strings.Cut(m, "=")
		if !ok || strings.ContainsAny(label, "!~") {
			t.Fatalf("a matcher that this test does not know: %s", m)
		}
		pattern, isPattern := strings.CutPrefix(value, "~")
		pattern = strings.Trim(pattern, `"`)
		if !isPattern {
			pattern = regexp.QuoteMeta(pattern)
		}
		if !regexp.MustCompile("^(" + pattern + ")$").MatchString(labels[label]) {
			return false
		}
	}
	return true
}
