package relay

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/relayfleet/fleetctl/stats"
)

// call asks the handler as if from one client address.
func call(h http.Handler, method, path, from, token string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, path, nil)
	q.RemoteAddr = from
	if token != "" {
		q.Header.Set("Authorization", token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w
}

// idle is a relay that does not run: its API says that it is starting.
func idle(t *testing.T, cfg Config) *Relay {
	t.Helper()
	r, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestAPI_StatsHasExactlyTheFieldsOfTheContractWithTheirTypes(t *testing.T) {
	r := start(t, loopback(t))
	connect(t, client(t, "bitterbot/1/edge"), r.info())
	eventually(t, "a user joins", func() bool { return r.now().ConnectedPeers == 1 })
	var got map[string]any
	if code := r.get("/api/stats", &got); code != 200 {
		t.Fatalf("GET /api/stats = %d", code)
	}
	want := map[string]string{
		"peer_id": "string", "connected_peers": "number", "uptime_secs": "number",
		"mesh_peers_count": "number", "subscribed_topics": "list", "listen_addrs": "list",
		"peak_concurrent_peers": "number", "lifetime_unique_peer_ids": "number",
		"peers_joined_total": "number", "peers_left_total": "number",
		"joins_per_minute": "list", "leaves_per_minute": "list",
		"mesh_peers_per_topic": "object", "routing_table_size": "number",
		"time_to_first_peer_ms": "number", "address_types": "object",
		"relay_reservations_accepted": "number", "relay_circuits_established": "number",
		"hole_punches_succeeded": "null", "hole_punches_failed": "null", "nat_status": "string",
		"bytes_received_per_topic": "object", "bytes_published_per_topic": "object",
		"skills_published": "number", "skills_received": "number",
		"skill_latency_p50_ms": "null", "skill_latency_p95_ms": "null", "skill_latency_samples": "number",
	}
	for key, kind := range want {
		if have := jsonKind(got[key]); have != kind {
			t.Errorf("%s is %s, want %s", key, have, kind)
		}
	}
	if extra := slices.DeleteFunc(slices.Collect(maps.Keys(got)), func(k string) bool { return want[k] != "" }); len(extra) > 0 {
		t.Errorf("fields beside the contract: %v", extra)
	}
	kinds, _ := got["address_types"].(map[string]any)
	if len(kinds) != 6 || kinds["ipv4_private"] != 1.0 {
		t.Errorf("address_types = %v, want all six kinds and one ipv4_private", kinds)
	}
	joins, _ := got["joins_per_minute"].([]any)
	if len(joins) != 1 || len(joins[0].([]any)) != 2 {
		t.Errorf("joins_per_minute = %v, want one [unix_secs,count]", joins)
	}
	if got["nat_status"] != "unknown" {
		t.Errorf("nat_status = %v, want unknown on loopback", got["nat_status"])
	}

	var census map[string]any
	r.get("/api/bootstrap/census", &census)
	if census["enabled"] != true || census["lifetime_unique_peers"] != 1.0 || census["active_last_24h"] != 1.0 || census["active_last_7d"] != 1.0 {
		t.Errorf("census = %v", census)
	}
	if !reflect.DeepEqual(census["by_tier"], map[string]any{"edge": 1.0}) || !reflect.DeepEqual(census["by_address_type"], map[string]any{"ipv4_private": 1.0}) {
		t.Errorf("census = %v, want one edge from ipv4_private", census)
	}
	var peers struct {
		PeerID         string `json:"peer_id"`
		ConnectedPeers int    `json:"connected_peers"`
		PeerDetails    map[string]struct {
			Addrs       []string `json:"addrs"`
			ConnectedAt int64    `json:"connected_at"`
		} `json:"peer_details"`
	}
	r.get("/api/peers", &peers)
	if peers.PeerID != r.ID().String() || peers.ConnectedPeers != 1 || len(peers.PeerDetails) != 1 {
		t.Errorf("peers = %+v", peers)
	}
	for _, d := range peers.PeerDetails {
		if len(d.Addrs) != 1 || time.Since(time.Unix(d.ConnectedAt, 0)) > time.Minute {
			t.Errorf("details = %+v", d)
		}
	}
}

func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "list"
	}
	return "object"
}

func TestAPI_SixtyRequestsPerMinuteAndClientOnTheThreeOldEndpointsOnly(t *testing.T) {
	h := idle(t, loopback(t)).handler()
	old := []string{"/api/stats", "/api/bootstrap/census", "/api/peers"}
	for i := range 60 {
		if w := call(h, "GET", old[i%3], "127.0.0.1:1", ""); w.Code != 200 {
			t.Fatalf("request %d = %d, want 200", i+1, w.Code)
		}
	}
	for _, path := range old {
		if w := call(h, "GET", path, "127.0.0.1:2", ""); w.Code != 429 || w.Header().Get("Retry-After") == "" {
			t.Errorf("request 61 of %s = %d, want 429 with Retry-After", path, w.Code)
		}
	}
	if w := call(h, "GET", old[0], "127.0.0.2:1", ""); w.Code != 200 {
		t.Errorf("another client = %d, want 200", w.Code)
	}
	for range 100 {
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/api/version": 200, "/api/reservations": 200, "/api/census/delta": 200} {
			if w := call(h, "GET", path, "127.0.0.1:1", ""); w.Code != want {
				t.Fatalf("%s = %d, want %d", path, w.Code, want)
			}
		}
	}
	if w := call(h, "GET", "/metrics", "127.0.0.1:1", ""); w.Code != 200 {
		t.Errorf("/metrics = %d, want 200", w.Code)
	}
}

func TestMinuteLimit_OpensAgainAfterAMinuteAndStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMinuteLimit(1)
		allowed := func(client string) bool { ok, _ := m.allow(client, time.Now()); return ok }
		if !allowed("a") || allowed("a") {
			t.Error("want one request in a minute")
		}
		time.Sleep(time.Minute) // in the bubble
		if !allowed("a") {
			t.Error("want another one a minute later")
		}
		for i := range 2 * clientsKept {
			m.allow(fmt.Sprint(i), time.Now())
		}
		if len(m.windows) > clientsKept {
			t.Errorf("%d clients are remembered, want at most %d", len(m.windows), clientsKept)
		}
		time.Sleep(time.Minute) // in the bubble
		if !allowed("new") {
			t.Error("a flood of clients shut the door for longer than a minute")
		}
	})
}

func TestAPI_AsksForTheBearerTokenWhereOneIsConfigured(t *testing.T) {
	cfg := loopback(t)
	cfg.APITokenFile = filepath.Join(t.TempDir(), "token")
	write(t, cfg.APITokenFile, "0123456789abcdef\n")
	h := idle(t, cfg).handler()
	for _, path := range []string{"/api/stats", "/api/bootstrap/census", "/api/peers", "/api/version", "/api/reservations", "/api/telemetry", "/api/census/delta", "/metrics"} {
		for token, want := range map[string]int{"": 401, "Bearer wrong": 401, "Basic 0123456789abcdef": 401, "Bearer 0123456789abcdef": 200} {
			if w := call(h, "GET", path, "127.0.0.1:1", token); w.Code != want {
				t.Errorf("%s with %q = %d, want %d", path, token, w.Code, want)
			}
		}
	}
	if w := call(h, "GET", "/healthz", "127.0.0.1:1", ""); w.Code != 200 {
		t.Errorf("/healthz = %d, want 200 without a token", w.Code)
	}
	write(t, cfg.APITokenFile, "short")
	if _, err := cfg.token(); err == nil {
		t.Error("a token of 5 characters was accepted")
	}
}

func TestAPI_RefusesOtherMethodsAndPaths(t *testing.T) {
	h := idle(t, loopback(t)).handler()
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/api/stats", 405}, {"DELETE", "/readyz", 405}, {"GET", "/", 404}, {"GET", "/api", 404}, {"GET", "/debug/pprof/", 404},
	} {
		if w := call(h, test.method, test.path, "127.0.0.1:1", ""); w.Code != test.want {
			t.Errorf("%s %s = %d, want %d", test.method, test.path, w.Code, test.want)
		}
	}
}

func TestAPI_VersionNamesTheProgramThatRuns(t *testing.T) {
	cfg := loopback(t)
	cfg.Revision = "abc"
	r := start(t, cfg)
	var v stats.Version
	r.get("/api/version", &v)
	if v.Version != "1.2.3" || v.Revision != "abc" || v.Agent != "bitterbot/1.2.3/management" || v.PeerID != r.ID().String() {
		t.Errorf("version = %+v", v)
	}
	if len(v.SHA256) != 64 || v.SHA256 != executableDigest() || v.StartedAt == nil || !strings.HasPrefix(v.Go, "go1.") {
		t.Errorf("version = %+v, want digest, start and Go version", v)
	}
}

func TestMetrics_AreCleanAndCarryGoProcessLibp2pAndOurs(t *testing.T) {
	r := start(t, loopback(t))
	h := newEcho(t)
	if _, err := reserve(t, h, r.info()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reservation is counted", func() bool { return r.now().RelayReservations == 1 })
	families, err := r.gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	body := call(r.handler(), "GET", "/metrics", "127.0.0.1:1", "").Body.String()
	for _, want := range []string{
		"\ngo_goroutines ", "\nprocess_start_time_seconds ", "\nlibp2p_relaysvc_reservations_total{", "\nlibp2p_swarm_",
		"\nrelay_users 1\n", "\nrelay_reservations 1\n", "\nrelay_reservations_accepted_total 1\n", "\nrelay_ready 1\n",
		`relay_build_info{revision="",version="1.2.3"} 1`,
		"\nrelay_reservations_limit 1024\n", "\nrelay_census_damaged 0\n", "\nrelay_bytes_relayed_total 0\n", "\nrelay_sessions_ended_total 0\n",
		"\nrelay_reservations_renewed_total 0\n", `relay_reservations_refused_total{status="RESERVATION_REFUSED"} 0`,
		`relay_circuits_refused_total{status="NO_RESERVATION"} 0`, "\nrelay_disk_free_bytes ", "\nrelay_disk_total_bytes ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
}
