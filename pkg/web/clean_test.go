package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
	"github.com/relayfleet/fleetctl/stats"
)

// endless has as many bytes as somebody reads.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestClean_BoundsAndCleansWhatIsShown(t *testing.T) {
	const evil = "a\x1b[31m\u202eb"
	f := ill()
	f.Errors = make([]string, 5*listLimit)
	f.Collected.Error, f.Plan.Refused, f.Zone.Error = evil, evil, evil
	f.Zone.Servers = []NameServer{{Name: evil, State: evil, Detail: evil}}
	f.Figures = map[string]stats.Figure{"lifetime_unique_peers": {Value: ptr(1.0), AtLeast: true, Missing: []string{evil}}}
	got := clean(f)
	if len(got.Errors) != listLimit {
		t.Errorf("%d errors are shown, want %d", len(got.Errors), listLimit)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{`\u001b`, "\u202e", `\u202e`} {
		if strings.Contains(string(text), not) {
			t.Errorf("what is shown has %q in it", not)
		}
	}
}

func TestScrape_OfARelayWithoutEndOrManners(t *testing.T) {
	from, server := serve(t, well(1), nil)
	from.scrape = func(string) (io.ReadCloser, error) { return io.NopCloser(endless{}), nil }
	if a := ask(t, http.MethodGet, server.URL+monitoring.PathScrape+"nyc1-1", nil); a.StatusCode != http.StatusBadGateway || len(a.text) > 1000 {
		t.Errorf("a relay whose series do not end: status %d and %d bytes, want 502", a.StatusCode, len(a.text))
	}
	from.scrape = func(string) (io.ReadCloser, error) {
		return nil, errors.New("\x1b[31m\u202e" + strings.Repeat("x", 9999))
	}
	a := ask(t, http.MethodGet, server.URL+monitoring.PathScrape+"nyc1-1", nil)
	if a.StatusCode != http.StatusBadGateway || len(a.text) > 1000 || strings.Contains(a.text, `\u001b`) || strings.Contains(a.text, "\u202e") {
		t.Errorf("a relay that answers with control characters: status %d and %d bytes, %.80q, want 502 and neither", a.StatusCode, len(a.text), a.text)
	}
}

func TestAPI_AQuestionThatTheHistoryCannotAnswerIsTheClients(t *testing.T) {
	from, server := serve(t, well(1), nil)
	for err, want := range map[error]int{ErrQuery: http.StatusBadRequest, io.ErrUnexpectedEOF: http.StatusInternalServerError} {
		from.mu.Lock()
		from.err = err
		from.mu.Unlock()
		if a := ask(t, http.MethodGet, server.URL+"/api/v1/series?metric=lifetime", nil); a.StatusCode != want {
			t.Errorf("%v: status %d, want %d", err, a.StatusCode, want)
		}
	}
}

func TestPage_TemplatesAreNoAssets(t *testing.T) {
	_, server := serve(t, well(1), nil)
	for _, name := range []string{"page.html", "login.html", "none.js"} {
		if a := ask(t, http.MethodGet, server.URL+"/assets/"+name, nil); a.StatusCode != http.StatusNotFound {
			t.Errorf("/assets/%s: status %d, want 404", name, a.StatusCode)
		}
	}
}
