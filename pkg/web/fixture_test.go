package web

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// today is the time of every test.
func today() time.Time { return time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC) }

func ptr[T any](v T) *T { return &v }

// well is a fleet of n relays of which all is known and fine.
func well(n int) Fleet {
	cities := []string{"nyc1", "fra1", "sgp1", "ams3", "lon1", "sfo3", "tor1", "blr1", "syd1", "nyc3"}
	f := Fleet{
		Name: "demo", At: today().Add(-3 * time.Second), LookedAt: today().Add(-9 * time.Second), Wanted: n, Floor: min(2, n),
		Published: ptr(n), Verified: ptr(n), Version: "v1.2.3",
		Zone: Zone{
			Name: "_dnsaddr.p2p.example.test", ReadAt: today().Add(-9 * time.Second), Records: ptr(n), Foreign: ptr(1), Differences: ptr(0),
			Servers: []NameServer{{Name: "127.0.0.1:5353", State: "in sync"}},
		},
		Plan:      Plan{At: today().Add(-9 * time.Second)},
		Collected: Collected{At: today().Add(-20 * time.Second), Took: 130 * time.Millisecond, Every: time.Minute, Answered: ptr(n)},
		Figures: map[string]stats.Figure{
			"lifetime_unique_peers": {Value: ptr(184302.0), Missing: []string{}, Since: stats.Time{Time: today()}},
			"active_peers_24h":      {Value: ptr(20114.0), Missing: []string{}, Since: stats.Time{Time: today()}},
			"concurrent_peers":      {Value: ptr(3120.0), Missing: []string{}, Since: stats.Time{Time: today()}},
		},
		Events: []Event{{At: today().Add(-time.Hour), Kind: "relay", Node: "nyc1-1", Text: "nyc1-1 is serving"}},
	}
	for i := range n {
		region := cities[i%len(cities)]
		f.Relays = append(f.Relays, Relay{
			Node: fmt.Sprintf("%s-%d", region, i/len(cities)+1), Region: region, State: "serving",
			PeerID:    fmt.Sprintf("12D3KooW%044d", 7919*i*i+31*i),
			Addresses: []string{fmt.Sprintf("/ip4/203.0.%d.%d/tcp/9100", i/250, i%250)}, Version: "v1.2.3",
			Published: ptr(true), Verified: ptr(true), ProbedAt: today().Add(-9 * time.Second),
			Reservations: ptr(137 * (i + 1) % 900), ReservationLimit: ptr(1024), Users: ptr(211 * (i + 1) % 700),
			Answering: ptr(true), CensusDamaged: ptr(false),
		})
	}
	return f
}

// ill is a fleet of six in which everything that can be wrong is.
func ill() Fleet {
	f := well(6)
	f.Verified, f.Floor = ptr(1), 2
	f.Relays[1].State, f.Relays[1].Reason, f.Relays[1].Verified = "down", "its API does not answer: connection refused", ptr(false)
	f.Relays[1].Reservations, f.Relays[1].Users, f.Relays[1].Answering = nil, nil, ptr(false)
	f.Relays[2].State, f.Relays[2].Reason = "unreadable", "sgp1-1 (203.0.0.2:22): dial: no answer within 10s"
	f.Relays[2].Verified, f.Relays[2].Reservations, f.Relays[2].Users, f.Relays[2].Version = nil, nil, nil, ""
	f.Relays[3].State, f.Relays[3].Published = "draining", ptr(false)
	f.Relays[4].CensusDamaged = ptr(true)
	f.Relays[5].Reservations = ptr(1001)
	f.Relays[5].Old, f.Relays[5].Version = ptr(true), ""
	f.Zone.Differences = ptr(2)
	f.Plan.Steps = []Step{
		{Stage: "configure", Action: "configure", Node: "fra1-1", Subject: "box-2", Reason: "the relay does not run"},
		{Stage: "publish", Action: "publish", Node: "ams3-1", Subject: "dnsaddr=/ip4/203.0.0.3/tcp/9100/p2p/12D3KooW", Reason: "it serves and has no record"},
	}
	f.Collected.Answered = ptr(4)
	for name, figure := range f.Figures {
		figure.AtLeast, figure.Missing = true, []string{"fra1-1", "sgp1-1"}
		f.Figures[name] = figure
	}
	f.Events = append([]Event{{At: today().Add(-5 * time.Second), Kind: "relay", Node: "fra1-1", Text: "fra1-1 is down: its API does not answer: connection refused"}}, f.Events...)
	return f
}

// blank is a fleet of which nothing is known yet.
func blank() Fleet {
	f := Fleet{Name: "demo", Wanted: 3, Floor: 2, Version: "v1.2.3", Zone: Zone{Name: "_dnsaddr.p2p.example.test"}}
	for _, region := range []string{"nyc1", "fra1", "moon"} {
		f.Relays = append(f.Relays, Relay{Node: region + "-1", Region: region})
	}
	return f
}

// curves are series with all that a chart may have: a gap, a part that is at least so
// much, and a lone point.
func curves() []stats.Series {
	var out []stats.Series
	for i, name := range []string{"lifetime_unique_peers", "active_peers_24h", "concurrent_peers"} {
		s := stats.Series{Metric: name, Unit: "peers", Step: 24 * time.Hour}
		for day := range 60 {
			p := stats.Point{At: today().Add(time.Duration(day-60) * 12 * time.Hour), Figure: stats.Figure{Missing: []string{}}}
			v := []float64{1000 + 3000*float64(day), 9000 + 4000*math.Sin(float64(day)/5), 2000 + 900*math.Sin(float64(day)/2)}[i]
			switch {
			case day > 20 && day < 26 || day == 41 || day == 43:
			case day > 50:
				p.AtLeast, p.Missing = true, []string{"sgp1-1"}
				fallthrough
			default:
				p.Value = &v
			}
			s.Points = append(s.Points, p)
		}
		out = append(out, s)
	}
	return out
}

// source is a made-up Source.
type source struct {
	*Board
	mu     sync.Mutex
	asked  []Query
	series []stats.Series
	err    error // of Series
	scrape func(node string) (io.ReadCloser, error)
}

func (s *source) Series(_ context.Context, q Query) ([]stats.Series, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	return s.series, s.err
}

func (s *source) Scrape(_ context.Context, node string) (io.ReadCloser, error) {
	if s.scrape != nil {
		return s.scrape(node)
	}
	return io.NopCloser(strings.NewReader("relay_up{} 1\n")), nil
}

var _ Source = (*source)(nil)

// serve starts a server that shows f. The test's end ends it.
func serve(t testing.TB, f Fleet, change func(*Config)) (*source, *httptest.Server) {
	t.Helper()
	from := &source{Board: NewBoard(f), series: curves()}
	cfg := Config{Source: from, Now: today}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return from, server
}

// answered is what a request was answered with.
type answered struct {
	*http.Response
	text string
}

// ask sends a request; change may be nil. A redirect is an answer.
func ask(t testing.TB, method, url string, change func(*http.Request)) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return answered{resp, string(text)}
}

// newServer starts a server that a test made itself, and returns its URL.
func newServer(t *testing.T, s *Server) string {
	t.Helper()
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server.URL
}
