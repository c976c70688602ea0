package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
)

// description is openapi.json, checked.
func description(t *testing.T, url string) (*openapi3.T, routers.Router) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	doc.Servers = openapi3.Servers{{URL: url}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	return doc, router
}

// agrees checks that an answer is what openapi.json says of it.
func agrees(t *testing.T, router routers.Router, a answered) {
	t.Helper()
	route, params, err := router.FindRoute(a.Request)
	if err != nil {
		t.Errorf("%s is not described: %v", a.Request.URL, err)
		return
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: a.Request, PathParams: params, Route: route},
		Status:                 a.StatusCode, Header: a.Header, Body: io.NopCloser(bytes.NewReader([]byte(a.text))),
	})
	if err != nil {
		t.Errorf("%s answered %d, which is not as described: %v", a.Request.URL, a.StatusCode, err)
	}
}

func TestAPI_AnswersAreAsDescribed(t *testing.T) {
	for name, fleet := range map[string]Fleet{"well": well(3), "ill": ill(), "blank": blank()} {
		t.Run(name, func(t *testing.T) {
			from, server := serve(t, fleet, nil)
			from.scrape = func(node string) (io.ReadCloser, error) {
				if node == "fra1-1" {
					return nil, errors.New("fra1-1: connection refused")
				}
				return io.NopCloser(strings.NewReader("relay_up 1\n")), nil
			}
			doc, router := description(t, server.URL)
			asked := make(map[string]bool)
			for path, want := range map[string]int{
				"/api/v1/fleet": 200, "/api/v1/relays": 200, "/api/v1/plan": 200, "/api/v1/events": 200, "/api/v1/metrics-list": 200,
				"/api/v1/openapi.json": 200, monitoring.PathDiscovery: 200, "/metrics": 200, "/scrape/nyc1-1": 200, "/scrape/fra1-1": 502, "/scrape/none-1": 404,
				"/api/v1/series?metric=lifetime_unique_peers": 200, "/api/v1/series?metric=concurrent&since=7d&step=1h&by=true": 200,
				"/api/v1/series": 400, "/api/v1/series?metric=lifetime&since=yesterday": 400, "/api/v1/fleet?x=1": 400,
			} {
				a := ask(t, http.MethodGet, server.URL+path, nil)
				if a.StatusCode != want {
					t.Errorf("GET %s: status %d, want %d: %s", path, a.StatusCode, want, a.text)
				}
				agrees(t, router, a)
				path, _, _ = strings.Cut(path, "?")
				if strings.HasPrefix(path, "/scrape/") {
					path = "/scrape/{node}"
				}
				asked[path] = true
			}
			for path := range doc.Paths.Map() {
				if !asked[path] {
					t.Errorf("%s is described and was not asked for", path)
				}
			}
		})
	}
}

func TestAPI_UnknownIsNull(t *testing.T) {
	_, server := serve(t, blank(), nil)
	var got map[string]any
	if err := json.Unmarshal([]byte(ask(t, http.MethodGet, server.URL+"/api/v1/fleet", nil).text), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"published", "verified"} {
		if v, there := got[name]; !there || v != nil {
			t.Errorf("%s of a fleet that nobody looked at is %v, want null", name, v)
		}
	}
	if got["stale"] != true || got["unknown"] != 3.0 || got["serving"] != 0.0 {
		t.Errorf("stale %v, unknown %v, serving %v of a fleet of 3 that nobody looked at, want true, 3, 0", got["stale"], got["unknown"], got["serving"])
	}
	if _, there := got["at"]; there {
		t.Errorf("a look that never was has the time %v", got["at"])
	}
	relay, ok := got["relays"].([]any)[0].(map[string]any)
	if !ok {
		t.Fatalf("relays: %v", got["relays"])
	}
	for _, name := range []string{"published", "verified", "reservations", "reservation_limit", "users", "answering", "census_damaged"} {
		if relay[name] != nil {
			t.Errorf("%s of a relay that nobody looked at is %v, want null", name, relay[name])
		}
	}
	if relay["state"] != "unknown" {
		t.Errorf("state of a relay that nobody looked at is %v, want unknown", relay["state"])
	}
}

// An empty list is one of which it is known that nothing is on it.
func TestAPI_WhatIsNotKnownIsNoEmptyList(t *testing.T) {
	at := func(v any, path ...string) any {
		for _, name := range path {
			m, ok := v.(map[string]any)
			if !ok {
				return "missing"
			}
			var there bool
			if v, there = m[name]; !there {
				return "missing"
			}
		}
		return v
	}
	none := well(1)
	none.Cost, none.Zone.Servers = []Cost{}, []NameServer{}
	for _, c := range []struct {
		fleet Fleet
		known bool
	}{{blank(), false}, {none, true}} {
		_, server := serve(t, c.fleet, nil)
		var whole, plan any
		for path, into := range map[string]*any{"fleet": &whole, "plan": &plan} {
			if err := json.Unmarshal([]byte(ask(t, http.MethodGet, server.URL+"/api/v1/"+path, nil).text), into); err != nil {
				t.Fatal(err)
			}
		}
		for what, got := range map[string]any{
			"plan: steps": at(plan, "steps"), "plan: waiting": at(plan, "waiting"), "plan: kept": at(plan, "kept"), "plan: refused": at(plan, "refused"),
			"fleet: steps": at(whole, "plan", "steps"), "cost": at(whole, "cost"), "servers": at(whole, "zone", "servers"), "took": at(whole, "collected", "took_secs"),
		} {
			if got == "missing" || (got != nil) != c.known {
				t.Errorf("%s is %v, known: %t", what, got, c.known)
			}
		}
	}
}

func TestAPI_SeriesAsksForWhatWasMeant(t *testing.T) {
	from, server := serve(t, well(1), nil)
	for _, test := range []struct {
		params string
		want   Query
	}{
		{"metric=lifetime", Query{Metric: "lifetime_unique_peers", Since: today().AddDate(0, 0, -30), Until: today()}},
		{"metric=concurrent&since=24h&step=1h", Query{Metric: "concurrent_peers", Since: today().Add(-24 * time.Hour), Until: today(), Step: "1h"}},
		{"metric=active&since=4w&until=1w&by=true", Query{Metric: "active_peers_24h", Since: today().AddDate(0, 0, -28), Until: today().AddDate(0, 0, -7), By: true}},
		{"metric=new&since=2026-02-01T00:00:00%2B01:00", Query{Metric: "new_peers", Since: time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC), Until: today()}},
	} {
		a := ask(t, http.MethodGet, server.URL+"/api/v1/series?"+test.params, nil)
		if a.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d: %s", test.params, a.StatusCode, a.text)
			continue
		}
		from.mu.Lock()
		got := from.asked[len(from.asked)-1]
		from.mu.Unlock()
		if got != test.want {
			t.Errorf("%s asked for %+v, want %+v", test.params, got, test.want)
		}
	}
}

func TestAPI_SeriesRefusesWhatCannotBeMeant(t *testing.T) {
	from, server := serve(t, well(1), nil)
	for params, want := range map[string]string{
		"metric==cmd":                                 `unknown metric`,
		"metric=lifetime&metric=active":               "twice",
		"metric=lifetime&since=soon":                  "neither a time",
		"metric=lifetime&since=-3h":                   "neither a time",
		"metric=lifetime&since=1h&until=2h":           "not before",
		"metric=lifetime&by=perhaps":                  "true or false",
		"metric=lifetime&tz=Mars":                     `unknown parameter`,
		"metric=lifetime&since=99999999999999999999d": "neither a time",
	} {
		a := ask(t, http.MethodGet, server.URL+"/api/v1/series?"+params, nil)
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.text, want) {
			t.Errorf("%s: %d %s, want 400 with %q", params, a.StatusCode, a.text, want)
		}
	}
	from.err = ErrNoHistory
	if a := ask(t, http.MethodGet, server.URL+"/api/v1/series?metric=lifetime", nil); a.StatusCode != http.StatusNotFound || !strings.Contains(a.text, "collect") {
		t.Errorf("without a history: %d %s, want 404 and how to get one", a.StatusCode, a.text)
	}
}
