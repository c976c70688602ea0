package web

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
	"github.com/relayfleet/fleetctl/stats"
)

func TestToken_IsComparedInATimeThatSaysNothingOfIt(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "token.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	uses := make(map[string]int)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "ConstantTimeCompare" || f.Sel.Name == "Equal") {
				uses[f.Sel.Name]++
			}
		case *ast.BinaryExpr:
			if n.Op != token.EQL && n.Op != token.NEQ {
				return true
			}
			ast.Inspect(n, func(side ast.Node) bool {
				if call, ok := side.(*ast.CallExpr); ok {
					f, ok := call.Fun.(*ast.SelectorExpr)
					return !ok || f.Sel.Name != "ConstantTimeCompare" && f.Sel.Name != "Equal"
				}
				if s, ok := side.(*ast.SelectorExpr); ok && (s.Sel.Name == "want" || s.Sel.Name == "seal") {
					t.Errorf("%s is compared with %s, whose time says how much of it was right", s.Sel.Name, n.Op)
				}
				return true
			})
		}
		return true
	})
	if uses["ConstantTimeCompare"] != 1 || uses["Equal"] != 1 {
		t.Errorf("got %v, want the token and the seal of a cookie compared in constant time", uses)
	}
}

func TestToken_AProgramIsToldHowToShowIt(t *testing.T) {
	_, server := serve(t, well(1), func(c *Config) { c.Token = secret })
	a := ask(t, http.MethodGet, server.URL+"/api/v1/fleet", nil)
	if got, want := a.Header.Get("WWW-Authenticate"), `Bearer realm="fleetctl"`; got != want {
		t.Errorf("WWW-Authenticate: got %q, want %q", got, want)
	}
}

func TestClean_EveryTextAndListOfOthersHasAnEnd(t *testing.T) {
	long := strings.Repeat("x", 5000)
	many := slices.Repeat([]string{long}, 1000)
	f := well(1)
	f.Name, f.Errors, f.Zone.Name = long, many, long
	f.Events = slices.Repeat([]Event{{Kind: long, Node: long, Text: long}}, 1000)
	f.Zone.Servers = slices.Repeat([]NameServer{{Name: long, State: long, Detail: long}}, 1000)
	f.Plan.Steps = []Step{{Stage: long, Action: long, Node: long, Subject: long, Reason: long}}
	r := &f.Relays[0]
	r.Node, r.Version, r.PeerID, r.Reason, r.Addresses, r.Warnings = long, long, long, long, many, many
	got := clean(f)
	relay, step, server := got.Relays[0], got.Plan.Steps[0], got.Zone.Servers[0]
	label := cleanSeries(stats.Series{Label: long}).Label
	for name, c := range map[string]struct{ got, most int }{
		"events": {len(got.Events), 200}, "errors": {len(got.Errors), 200}, "servers": {len(got.Zone.Servers), 200},
		"addresses": {len(relay.Addresses), 200}, "warnings": {len(relay.Warnings), 200},
		"a name": {utf8.RuneCountInString(got.Name), 80}, "a node": {utf8.RuneCountInString(relay.Node), 80}, "a version": {utf8.RuneCountInString(relay.Version), 80},
		"a state": {utf8.RuneCountInString(server.State), 80}, "an action": {utf8.RuneCountInString(step.Action), 80}, "a label": {utf8.RuneCountInString(label), 80},
		"a peer ID": {utf8.RuneCountInString(relay.PeerID), 128}, "an address": {utf8.RuneCountInString(relay.Addresses[0]), 255},
		"a zone": {utf8.RuneCountInString(got.Zone.Name), 255}, "a subject": {utf8.RuneCountInString(step.Subject), 255}, "a server": {utf8.RuneCountInString(server.Name), 255},
		"a reason": {utf8.RuneCountInString(relay.Reason), 400}, "an event": {utf8.RuneCountInString(got.Events[0].Text), 400}, "a warning": {utf8.RuneCountInString(relay.Warnings[0]), 400},
	} {
		if c.got == 0 || c.got > c.most {
			t.Errorf("%s: got %d, want at most %d, and some", name, c.got, c.most)
		}
	}
}

func TestPage_TakesNoParameters(t *testing.T) {
	_, server := serve(t, well(1), nil)
	for _, path := range []string{"/?x=1", "/live?x=1"} {
		if a := head(t, server.URL+path, nil); a.StatusCode != http.StatusBadRequest {
			t.Errorf("GET %s: status %d, want 400", path, a.StatusCode)
		}
	}
}

func TestScrape_ARelayThatHangsIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: hanging{&source{Board: NewBoard(well(1))}}, Now: today})
		if err != nil {
			t.Fatal(err)
		}
		begun, w := time.Now(), httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+monitoring.PathScrape+"nyc1-1", nil))
		if took := time.Since(begun); took != 9*time.Second || w.Code != http.StatusBadGateway {
			t.Errorf("a relay that hangs: status %d after %s, want 502 after 9s: Prometheus waits for 10", w.Code, took)
		}
	})
}

// hanging is a source whose relays do not answer.
type hanging struct{ *source }

func (hanging) Scrape(ctx context.Context, _ string) (io.ReadCloser, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Hour):
		return nil, io.ErrUnexpectedEOF
	}
}

func TestLive_APageThatLeftMakesRoom(t *testing.T) {
	s, err := New(Config{Source: &source{Board: NewBoard(well(1))}, Now: today})
	if err != nil {
		t.Fatal(err)
	}
	if cap(s.open) != 100 {
		t.Fatalf("there is room for %d pages, want 100", cap(s.open))
	}
	h := s.Handler()
	for i := range cap(s.open) + 1 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "http://localhost/live", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("page %d, after all others left: status %d, want 200", i+1, w.Code)
		}
	}
}

// dialed is one connection to a server with the time limits of fleetctl serve. The pipe knows
// the time of a bubble.
func dialed(t *testing.T, change func(*Config)) (client net.Conn, end func()) {
	t.Helper()
	cfg := Config{Source: &source{Board: NewBoard(well(1))}, Now: today}
	change(&cfg)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client, side := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	conns := make(chan net.Conn, 1)
	conns <- side
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(one{conns}) }()
	return client, func() {
		cancel()
		_ = client.Close()
		close(conns)
		_ = server.Close()
		<-ended
	}
}

// one is a listener of the connections in a channel.
type one struct{ conns chan net.Conn }

func (l one) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l one) Close() error   { return nil }
func (l one) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func TestToken_AFormWithoutAnEndIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, end := dialed(t, func(c *Config) { c.Token = secret })
		defer end()
		begun := time.Now()
		go func() {
			_, _ = io.WriteString(client, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken=")
		}()
		_, _ = io.Copy(io.Discard, client)
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("a form that does not end was waited for %s, want 10s", took)
		}
	})
}

func TestLive_APageThatReadsIsKeptAndOneThatDoesNotIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, end := dialed(t, func(*Config) {})
		defer end()
		go func() { _, _ = io.WriteString(client, "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
		begun := time.Now()
		heard, buffer := 0, make([]byte, 1<<16)
		for time.Since(begun) < 3*time.Minute {
			n, err := client.Read(buffer)
			if err != nil {
				t.Fatalf("a page that reads was left after %s: %v", time.Since(begun), err)
			}
			heard += strings.Count(string(buffer[:n]), "event: beat")
		}
		if heard < 30 {
			t.Errorf("heard %d beats in 3 minutes, want one every 5s", heard)
		}
		time.Sleep(30 * time.Second) // in the bubble: it reads nothing
		rest, err := io.ReadAll(client)
		if err != nil || strings.Count(string(rest), "event: beat") > 2 {
			t.Errorf("a page that did not read for 30 s: %v and %q, want that it was left", err, rest)
		}
	})
}
