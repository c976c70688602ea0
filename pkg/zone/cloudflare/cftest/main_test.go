package cftest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// served is a cloud with its address.
type served struct {
	*cftest.Cloud
	url   string // with the base path
	quiet bool   // violations are expected
}

// serve starts a cloud and checks at the end that nothing broke the published description.
func serve(t *testing.T, cfg cftest.Config) *served {
	t.Helper()
	s := &served{Cloud: cftest.New(cfg)}
	server := httptest.NewServer(s.Handler())
	s.url = server.URL + cftest.BasePath
	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("closing the cloud: %v", err)
		}
		server.CloseClientConnections()
		server.Close()
		if found := s.Violations(); len(found) > 0 && !s.quiet {
			t.Errorf("got violations %q, want none", found)
		}
	})
	return s
}

// reply is an answer as it came.
type reply struct {
	status int // 0: no answer
	header http.Header
	body   body
	raw    string
}

// body is what the tests look at in an answer.
type body struct {
	Success    bool            `json:"success"`
	Result     json.RawMessage `json:"result"`
	Errors     []problem       `json:"errors"`
	Messages   []problem       `json:"messages"`
	ResultInfo struct {
		Page       int `json:"page"`
		PerPage    int `json:"per_page"`
		Count      int `json:"count"`
		TotalCount int `json:"total_count"`
		TotalPages int `json:"total_pages"`
	} `json:"result_info"`
}

type problem struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Chain   []problem `json:"error_chain"`
}

// code is the first error's; 0 is none.
func (r reply) code() int {
	if len(r.body.Errors) == 0 {
		return 0
	}
	return r.body.Errors[0].Code
}

// chained is the first code of the chain of the first error; 0 is none.
func (r reply) chained() int {
	if len(r.body.Errors) == 0 || len(r.body.Errors[0].Chain) == 0 {
		return 0
	}
	return r.body.Errors[0].Chain[0].Code
}

// record is one as it is shown.
type record struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Content string   `json:"content"`
	TTL     int      `json:"ttl"`
	Comment string   `json:"comment"`
	Tags    []string `json:"tags"`
}

func decode[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.body.Result, &v); err != nil {
		t.Fatalf("got %d %s: %v", r.status, r.raw, err)
	}
	return v
}

// send makes a request with a token.
func (s *served) send(t *testing.T, token, method, path, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return reply{}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &r.body)
	return r
}

// at is the path of the records of the default zone.
func (s *served) at(rest string) string {
	return "/zones/" + s.ZoneID(cftest.DefaultZone) + "/dns_records" + rest
}

// do makes a request with the default token below the records of the default zone.
func (s *served) do(t *testing.T, method, rest, body string) reply {
	t.Helper()
	return s.send(t, cftest.DefaultToken, method, s.at(rest), body)
}

// want is do for what has to succeed.
func (s *served) want(t *testing.T, method, rest, body string) reply {
	t.Helper()
	r := s.do(t, method, rest, body)
	if r.status != http.StatusOK || r.body.Success == (len(r.body.Errors) > 0) {
		t.Fatalf("%s %s: got %d %s, want 200", method, rest, r.status, r.raw)
	}
	return r
}

// txt is a record as the body of a create.
func txt(name, content, more string) string {
	c, _ := json.Marshal(content)
	return `{"type":"TXT","name":"` + name + `","content":` + string(c) + `,"ttl":300` + more + `}`
}

func (s *served) create(t *testing.T, name, content string) record {
	t.Helper()
	return decode[record](t, s.want(t, "POST", "", txt(name, content, "")))
}

// wantViolation checks that something was recorded, and lets the test end with it.
func (s *served) wantViolation(t *testing.T, part string) {
	t.Helper()
	s.quiet = true
	if found := s.Violations(); !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, part) }) {
		t.Errorf("got violations %q, want one that says %q", found, part)
	}
}

// clock is a time that moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
