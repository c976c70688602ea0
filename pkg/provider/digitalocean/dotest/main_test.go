package dotest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/digitalocean/godo"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// served is a cloud with its address.
type served struct {
	*dotest.Cloud
	url   string
	quiet bool // violations are expected
}

// serve starts a cloud and checks at the end that nothing broke the published description.
func serve(t *testing.T, cfg dotest.Config) *served {
	t.Helper()
	s := &served{Cloud: dotest.New(cfg)}
	server := httptest.NewServer(s.Handler())
	s.url = server.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
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

// bearer sends a token, and has a connection of its own for every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func httpClient(t *testing.T, token string) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: bearer{token, transport}, Timeout: 10 * time.Second}
}

// client is the official client of an account.
func (s *served) client(t *testing.T, token string) *godo.Client {
	t.Helper()
	g, err := godo.New(httpClient(t, token), godo.SetBaseURL(s.url))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// send makes a request that the official client would not make.
func (s *served) send(t *testing.T, token, method, path, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := httpClient(t, token).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
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

// status is the status of an error of the official client; 0 is none.
func status(err error) int {
	var e *godo.ErrorResponse
	if errors.As(err, &e) {
		return e.Response.StatusCode
	}
	return 0
}

func wantStatus(t *testing.T, what string, err error, want int) {
	t.Helper()
	if status(err) != want {
		t.Errorf("%s: got %v, want status %d", what, err, want)
	}
}

// order is a create that succeeds.
func order(name string) *godo.DropletCreateRequest {
	return &godo.DropletCreateRequest{
		Name: name, Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"},
	}
}

func create(t *testing.T, g *godo.Client, req *godo.DropletCreateRequest) *godo.Droplet {
	t.Helper()
	d, resp, err := g.Droplets.Create(t.Context(), req)
	if err != nil {
		t.Fatalf("create %s: %v", req.Name, err)
	}
	if resp.StatusCode != http.StatusAccepted || d.Status != "new" || len(d.Networks.V4) > 0 {
		t.Errorf("create %s: got %d, %s, networks %v; want 202, new, none", req.Name, resp.StatusCode, d.Status, d.Networks.V4)
	}
	return d
}

// publicKey is a new public key as a line of authorized_keys.
func publicKey(t *testing.T, seed byte) string {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// clock is a time that moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)} }

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

func names(all []godo.Droplet) []string {
	found := []string{}
	for _, d := range all {
		found = append(found, d.Name)
	}
	slices.Sort(found)
	return found
}

// all are the options of a list that wants everything.
func all() *godo.ListOptions { return &godo.ListOptions{PerPage: 200} }

// wantViolation checks that something was recorded, and lets the test end with it.
func (s *served) wantViolation(t *testing.T, part string) {
	t.Helper()
	s.quiet = true
	if found := s.Violations(); !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, part) }) {
		t.Errorf("got violations %q, want one that says %q", found, part)
	}
}
