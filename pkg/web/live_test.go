package web

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

// event is one server-sent event.
type event struct {
	name, id string
	news     news
}

// follow opens the stream of a page. Its events come until the test ends.
func follow(t *testing.T, url string) <-chan event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("GET %s: status %d, %s", url, resp.StatusCode, got)
	}
	events, done := make(chan event, 100), make(chan struct{})
	t.Cleanup(func() { cancel(); _ = resp.Body.Close(); <-done })
	go func() {
		defer close(done)
		var e event
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				_ = json.Unmarshal([]byte(value), &e.news) // an event that cannot be read is an empty one
			case "":
				events <- e
				e = event{}
			}
		}
	}()
	return events
}

// next waits for the next event of a name.
func next(t *testing.T, events <-chan event, name string) event {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case e := <-events:
			if e.name == name {
				return e
			}
		case <-deadline:
			t.Fatalf("no event %q within a minute", name)
		}
	}
}

// lookOf is the look that a page shows.
func lookOf(page string) string {
	return regexp.MustCompile(`data-look="([^"]+)"`).FindStringSubmatch(page)[1]
}

func TestLive_SendsWhatChangesAndNothingElse(t *testing.T) {
	from, server := serve(t, well(3), nil)
	shown := lookOf(ask(t, http.MethodGet, server.URL+"/", nil).text)
	events := follow(t, server.URL+"/live?have="+shown)
	if e := next(t, events, "look"); e.id != shown || e.news.Reload || len(e.news.Parts) != 0 || e.news.Age != 3000 {
		t.Errorf("first event of a page that is new: %+v, want nothing to change and an age of 3000", e)
	}
	f := from.Look().Fleet
	f.Relays = append([]Relay(nil), f.Relays...)
	f.Relays[1].State = "down"
	from.Set(f)
	e := next(t, events, "look")
	var ids []string
	for _, p := range e.news.Parts {
		ids = append(ids, p.ID)
	}
	if got, want := strings.Join(ids, " "), "headline tiles attention marks regions row-fra1-1"; got != want || e.news.Reload {
		t.Errorf("one relay went down: parts %q, reload %v, want %q", got, e.news.Reload, want)
	}
	if last := e.news.Parts[len(e.news.Parts)-1].HTML; !strings.Contains(string(last), "down") {
		t.Errorf("its row is %q, want it down", last)
	}
	f.Relays = f.Relays[:2]
	from.Set(f)
	if e := next(t, events, "look"); !e.news.Reload || len(e.news.Parts) != 0 {
		t.Errorf("one relay is gone: %+v, want the page to be loaded anew", e.news)
	}
}

func TestLive_APageOfAnotherRunIsLoadedAnew(t *testing.T) {
	_, server := serve(t, well(3), nil)
	for _, have := range []string{"", "0123456789abcdef-1", "%00"} {
		if e := next(t, follow(t, server.URL+"/live?have="+have), "look"); !e.news.Reload {
			t.Errorf("a page that shows %q is not loaded anew", have)
		}
	}
}

func TestLive_APageThatHearsNothingNewHearsABeat(t *testing.T) {
	_, server := serve(t, blank(), func(c *Config) { c.Beat = 10 * time.Millisecond })
	e := next(t, follow(t, server.URL+"/live"), "beat")
	if e.news.Age != -1 || !e.news.Stale || e.news.Clock != "never" {
		t.Errorf("beat of a fleet that nobody looked at: %+v, want age -1, stale, never", e.news.beat)
	}
}

func TestLive_ThereIsAnEndToPagesThatFollow(t *testing.T) {
	from := &source{Board: NewBoard(well(1))}
	s, err := New(Config{Source: from, Now: today})
	if err != nil {
		t.Fatal(err)
	}
	for range followers {
		s.open <- struct{}{}
	}
	server := newServer(t, s)
	if a := ask(t, http.MethodGet, server+"/live", nil); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("one page too many: status %d, want 503 and when to come again", a.StatusCode)
	}
}
