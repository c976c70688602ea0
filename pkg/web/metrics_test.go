package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
	"github.com/relayfleet/fleetctl/stats"
)

// sampled are the lines of /metrics of a fleet, without comments.
func sampled(t *testing.T, f Fleet) map[string]string {
	t.Helper()
	_, server := serve(t, f, nil)
	a := ask(t, http.MethodGet, server.URL+monitoring.PathMetrics, nil)
	if a.StatusCode != http.StatusOK {
		t.Fatalf("GET /metrics: %d %s", a.StatusCode, a.text)
	}
	out := make(map[string]string)
	for line := range strings.Lines(a.text) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && !strings.HasPrefix(line, "#") {
			out[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return out
}

func TestMetrics_OfAFleet(t *testing.T) {
	got := sampled(t, ill())
	for name, want := range map[string]string{
		"fleet_relays_planned": "6", "fleet_relays_published": "6", "fleet_relays_verified": "1", "fleet_relays_floor": "2", "fleet_relays_answering": "4",
		`fleet_relay_serving{node="fra1-1",region="fra1"}`: "0", `fleet_relay_serving{node="nyc1-1",region="nyc1"}`: "1",
		`fleet_relay_published{node="ams3-1",region="ams3"}`: "0", `fleet_relay_census_damaged{node="lon1-1",region="lon1"}`: "1",
		`fleet_relay_info{node="sgp1-1",region="sgp1",state="unreadable",version=""}`: "1", `fleet_active_peers{window="24h"}`: "20114",
		"fleet_lifetime_unique_peers": "184302", "fleet_peers_missing_relays": "2", "fleet_peers_error_ratio": "0", "fleet_dns_differences": "2",
		"fleet_collection_interval_seconds": "60", `fleet_build_info{version="v1.2.3"}`: "1",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{`fleet_relay_serving{node="sgp1-1",region="sgp1"}`, `fleet_active_peers{window="7d"}`, "fleet_monthly_cost",
		`fleet_collection_failures_total{node="nyc1-1",region="nyc1"}`} {
		if v, there := got[name]; there {
			t.Errorf("%s is not known and is %s", name, v)
		}
	}
}

func TestMetrics_UnknownHasNoSeries(t *testing.T) {
	for name, v := range sampled(t, blank()) {
		switch family, _, _ := strings.Cut(name, "{"); family {
		case "fleet_relays_planned", "fleet_relays_floor", "fleet_build_info", "fleet_relay_info":
		default:
			t.Errorf("%s of a fleet that nobody looked at is %s", name, v)
		}
	}
}

func TestMetrics_OfALookOfBeforeNothingIsSaid(t *testing.T) {
	f := ill()
	f.LookedAt = today().Add(-time.Hour) // and the relays answer all the while
	got := sampled(t, f)
	for name, want := range map[string]string{
		"fleet_relays_planned": "6", "fleet_relays_floor": "2", "fleet_relays_answering": "4", `fleet_relay_answering{node="fra1-1",region="fra1"}`: "0",
		`fleet_relay_info{node="nyc1-1",region="nyc1",state="unknown",version=""}`: "1", "fleet_lifetime_unique_peers": "184302",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for name, v := range got {
		switch family, _, _ := strings.Cut(name, "{"); family {
		case "fleet_relays_published", "fleet_relays_verified", "fleet_relay_published", "fleet_relay_serving", "fleet_dns_differences":
			t.Errorf("%s was found an hour ago and is %s", name, v)
		}
	}
}

func TestMetrics_AreThoseThatAlertsGoBy(t *testing.T) {
	f := ill()
	f.Relays[0].Failures = ptr(uint64(1))
	f.Figures["active_peers_7d"] = stats.Figure{Value: ptr(1.0)}
	f.Cost = []Cost{{Currency: "USD", Monthly: 18}}
	s, err := New(Config{Source: &source{Board: NewBoard(f)}, Now: today})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(s))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sent := make(map[string]bool)
	for _, family := range families {
		sent[family.GetName()] = true
	}
	for _, m := range monitoring.Series() {
		if !sent[m.Name] && m.Name != "fleet_certificate_expiry_time_seconds" {
			t.Errorf("%s is never sent", m.Name)
		}
	}
}

func TestMetrics_ANodeWithTwoMachinesIsOne(t *testing.T) {
	f := well(2)
	twin := f.Relays[0]
	twin.State, twin.Verified = "down", ptr(false)
	f.Relays = append(f.Relays, twin)
	if got := sampled(t, f)[`fleet_relay_serving{node="nyc1-1",region="nyc1"}`]; got != "0" {
		t.Errorf("serving of a node of which one machine is down is %q, want 0", got)
	}
}

func TestDiscovery_LeadsToEachRelayThroughUs(t *testing.T) {
	_, server := serve(t, well(2), nil)
	var got []group
	text := ask(t, http.MethodGet, server.URL+monitoring.PathDiscovery, nil).text
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != 2 {
		t.Fatalf("%s: %v, want 2 targets", text, err)
	}
	for _, g := range got {
		if len(g.Targets) != 1 || "http://"+g.Targets[0] != server.URL {
			t.Errorf("targets %v, want %s", g.Targets, server.URL)
		}
		a := ask(t, http.MethodGet, g.Labels["__scheme__"]+"://"+g.Targets[0]+g.Labels["__metrics_path__"], nil)
		if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: status %d, %s, want 200 and text", g.Labels["__metrics_path__"], a.StatusCode, a.Header.Get("Content-Type"))
		}
		if g.Labels[monitoring.LabelNode] != g.Labels["instance"] || g.Labels[monitoring.LabelFleet] != "demo" {
			t.Errorf("labels %v", g.Labels)
		}
	}
}

func TestDiscovery_LeavesOutWhatHasNoSeriesAndKeepsWhatIsUnknown(t *testing.T) {
	f := well(4)
	f.Relays[0].State, f.Relays[1].State, f.Relays[2].State = "missing", "unknown", "down"
	f.Relays[2].Old, f.Relays[3].Old = ptr(false), ptr(true)
	_, server := serve(t, f, nil)
	var got []group
	text := ask(t, http.MethodGet, server.URL+monitoring.PathDiscovery, nil).text
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var nodes []string
	for _, g := range got {
		nodes = append(nodes, g.Labels[monitoring.LabelNode])
	}
	if want := []string{"fra1-1", "sgp1-1"}; !slices.Equal(nodes, want) {
		t.Errorf("targets are %q, want %q: nyc1-1 has no machine, and ams3-1 is an old daemon", nodes, want)
	}
}
