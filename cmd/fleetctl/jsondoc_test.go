package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/statedir"
	"github.com/relayfleet/fleetctl/stats"
)

// TestJSON_EveryFieldIsNamedInTheDocumentation compares docs/json.md with the types that
// are printed: a field that the page does not name fails, and so does one that is gone.
func TestJSON_EveryFieldIsNamedInTheDocumentation(t *testing.T) {
	compareWithPage(t, "../../docs/json.md", "\n## ", map[string][]string{
		"status":              fieldsOf(reflect.TypeFor[statusView](), ""),
		"verify":              fieldsOf(reflect.TypeFor[verifyView](), ""),
		"verify --cold-start": fieldsOf(reflect.TypeFor[coldView](), ""),
		"stats":               fieldsOf(reflect.TypeFor[statsView](), ""),
		"stats count":         fieldsOf(reflect.TypeFor[countView](), ""),
		"stats collect":       fieldsOf(reflect.TypeFor[collectView](), ""),
		"stats history":       fieldsOf(reflect.TypeFor[historyView](), ""),
		"stats retention":     fieldsOf(reflect.TypeFor[cohortsView](), ""),
		"stats diff":          fieldsOf(reflect.TypeFor[diffView](), ""),
		"stats explain":       fieldsOf(reflect.TypeFor[metricsView](), ""),
		"stats import":        fieldsOf(reflect.TypeFor[importedView](), ""),
		"stats forget":        fieldsOf(reflect.TypeFor[forgottenView](), ""),
		"plan":                append(fieldsOf(reflect.TypeFor[fleet.Plan](), ""), "hash"),
		"dnsaddr list":        fieldsOf(reflect.TypeFor[recordsView](), ""),
		"dnsaddr lint":        fieldsOf(reflect.TypeFor[lintView](), ""),
		"dnsaddr verify":      fieldsOf(reflect.TypeFor[namesView](), ""),
		"dnsaddr watch":       fieldsOf(reflect.TypeFor[watchView](), ""),
		"exec":                fieldsOf(reflect.TypeFor[[]execRow](), ""),
		"hosts":               fieldsOf(reflect.TypeFor[hostsView](), ""),
		"hosts known-hosts":   fieldsOf(reflect.TypeFor[knownHostsView](), ""),
		"cost":                fieldsOf(reflect.TypeFor[costView](), ""),
		"usage":               fieldsOf(reflect.TypeFor[usageView](), ""),
		"monitoring init":     fieldsOf(reflect.TypeFor[monitoringView](), ""),
		"keys list":           fieldsOf(reflect.TypeFor[keysView](), ""),
		"keys add":            fieldsOf(reflect.TypeFor[keyChangeView](), ""),
		"cp":                  fieldsOf(reflect.TypeFor[copyView](), ""),
		"ssh --print-config":  fieldsOf(reflect.TypeFor[sshConfigView](), ""),
		"doctor":              fieldsOf(reflect.TypeFor[doctorView](), ""),
		"adopt":               fieldsOf(reflect.TypeFor[adoptView](), ""),
		"adopt --take-over":   fieldsOf(reflect.TypeFor[takeOverView](), ""),
		"import":              fieldsOf(reflect.TypeFor[importView](), ""),
		"release":             fieldsOf(reflect.TypeFor[releaseView](), ""),
		"serve":               fieldsOf(reflect.TypeFor[serveView](), ""),
		"version":             fieldsOf(reflect.TypeFor[versionView](), ""),
		"init":                fieldsOf(reflect.TypeFor[initView](), ""),
		"config validate":     fieldsOf(reflect.TypeFor[validView](), ""),
		"Errors":              fieldsOf(reflect.TypeFor[errorLine](), ""),
		"Progress":            progressFields(t),
		"Audit log":           fieldsOf(reflect.TypeFor[statedir.Entry](), ""),
	})
}

// TestJSON_EveryFieldOfTheRelayIsNamedInTheDocumentation does the same for what a relay
// answers over HTTP.
func TestJSON_EveryFieldOfTheRelayIsNamedInTheDocumentation(t *testing.T) {
	compareWithPage(t, "../../docs/box.md", "\n### GET ", map[string][]string{
		"/api/stats":            fieldsOf(reflect.TypeFor[stats.Report](), ""),
		"/api/bootstrap/census": fieldsOf(reflect.TypeFor[stats.Census](), ""),
		"/api/reservations":     fieldsOf(reflect.TypeFor[stats.Reservations](), ""),
		"/api/version":          fieldsOf(reflect.TypeFor[stats.Version](), ""),
		"/api/telemetry":        fieldsOf(reflect.TypeFor[stats.Telemetry](), ""),
		"/api/census/delta":     append(fieldsOf(reflect.TypeFor[stats.Delta](), ""), fieldsOf(reflect.TypeFor[stats.DeltaEnd](), "")...),
		"/readyz":               fieldsOf(reflect.TypeFor[stats.Ready](), ""),
	})
}

// compareWithPage holds the tables of a page to fields, both ways, by the title of the
// section; heading is what begins one.
func compareWithPage(t *testing.T, page, heading string, fields map[string][]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for title, printed := range fields {
		documented := documentedFields(string(text), heading, title)
		for _, name := range printed {
			if !slices.Contains(documented, name) {
				t.Errorf("%s, %s: field %s is printed and not named", page, title, name)
			}
		}
		for _, name := range documented {
			if !slices.Contains(printed, name) {
				t.Errorf("%s, %s: field %s is named and not printed", page, title, name)
			}
		}
	}
}

// documentedFields are the first cells of the table below a heading.
func documentedFields(text, heading, title string) []string {
	_, section, _ := strings.Cut(text, heading+title+"\n")
	section, _, _ = strings.Cut(section, heading)
	var fields []string
	for _, cell := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		fields = append(fields, cell[1])
	}
	return fields
}

// fieldsOf lists the paths of the JSON fields of t, as jq writes them without the first dot.
func fieldsOf(t reflect.Type, path string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	leaf := t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	switch {
	case leaf && path != "":
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return fieldsOf(t.Elem(), path+"[]")
	case t.Kind() == reflect.Struct:
		var fields []string
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case name == "-", !f.Anonymous && !f.IsExported():
			case f.Anonymous && name == "":
				fields = append(fields, fieldsOf(f.Type, path)...)
			default:
				fields = append(fields, fieldsOf(f.Type, strings.TrimPrefix(path+"."+name, "."))...)
			}
		}
		return fields
	}
	return []string{path}
}

// progressFields are those of an event that was printed.
func progressFields(t *testing.T) []string {
	t.Helper()
	var line bytes.Buffer
	p := render.NewProgress(&line, render.ProgressOptions{JSON: true})
	p.Event(fleet.Event{Kind: fleet.EventStarted})
	p.Close()
	var event map[string]any
	if err := json.Unmarshal(line.Bytes(), &event); err != nil {
		t.Fatalf("%s: %v", line.String(), err)
	}
	var fields []string
	for name := range event {
		fields = append(fields, name)
	}
	return fields
}
