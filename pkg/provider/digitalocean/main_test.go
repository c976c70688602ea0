package digitalocean

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// direct carries requests to a cloud without a network, so that a bubble of synctest can
// hold both: there a wait of ten minutes costs nothing.
type direct struct {
	cloud http.Handler
	// broken, if set, is the answer's body cut off after so many bytes.
	seen func(*http.Request)
}

func (d *direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if d.seen != nil {
		d.seen(r)
	}
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
				panic(p)
			}
			resp, err = nil, errors.New("connection reset by peer")
			if r.Context().Err() != nil {
				err = r.Context().Err()
			}
		}
	}()
	rec := httptest.NewRecorder()
	d.cloud.ServeHTTP(rec, r)
	resp = rec.Result()
	resp.Request = r
	return resp, nil
}

// rig is a cloud and what opens it.
type rig struct {
	*dotest.Cloud
	t     *testing.T
	spec  fleet.Spec
	wire  *direct
	log   *logged
	quiet bool // violations are expected
}

// bubble runs a test over a cloud in a bubble of synctest.
func bubble(t *testing.T, cfg dotest.Config, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, cfg)) })
}

func newRig(t *testing.T, cfg dotest.Config) *rig {
	t.Helper()
	c := dotest.New(cfg)
	r := &rig{Cloud: c, t: t, spec: specOf("nyc1", "fra1", "sgp1"), wire: &direct{cloud: c.Handler()}, log: &logged{}}
	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing the cloud: %v", err)
		}
		if found := c.Violations(); len(found) > 0 && !r.quiet {
			t.Errorf("got violations of the published API %q, want none", found)
		}
	})
	return r
}

// specOf is a fleet named seabird with a node in each region.
func specOf(regions ...string) fleet.Spec {
	var nodes []fleet.NodeSpec
	for _, r := range regions {
		nodes = append(nodes, fleet.NodeSpec{Region: r})
	}
	s := fleet.Defaults("seabird", fleet.ProviderDigitalOcean, "local", nodes)
	s.ID = "7f3a9c"
	s.Ocean.Tags = []string{"relay"}
	return s
}

func tokenIs(value string) Token {
	return func(context.Context) (string, string, error) { return value, "THE_TEST_TOKEN", nil }
}

// bootstrap makes new host keys.
func bootstrap(keys []string) (string, string, error) {
	_, public, err := sshx.NewHostKey()
	return "#cloud-config\nssh_authorized_keys: " + strings.Join(keys, ","), public, err
}

// provider is one handle on the fleet; change, which may be nil, changes its config.
func (r *rig) provider(change func(*Config)) *Provider {
	r.t.Helper()
	cfg := Config{
		Spec: r.spec, Token: tokenIs(dotest.DefaultToken), BaseURL: "http://127.0.0.1:1", Bootstrap: bootstrap,
		Transport: r.wire, Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: levelTrace})),
	}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// ready is a handle that may order.
func (r *rig) ready() *Provider {
	r.t.Helper()
	p := r.provider(nil)
	if err := p.EnsureKey(r.t.Context(), operatorKey); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// operatorKey is a public key without a private half that anybody has.
const operatorKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK"

// keyOf is a public key that follows from a number.
func keyOf(seed byte) string {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		panic(err)
	}
	return sshx.AuthorizedKey(signer.PublicKey())
}

func order(node string) fleet.NewMachine {
	region, _, _ := strings.Cut(node, "-")
	return fleet.NewMachine{Node: node, Region: region, Op: ulid.Make().String()}
}

func create(t *testing.T, p *Provider, n fleet.NewMachine) fleet.Machine {
	t.Helper()
	m, err := p.Create(t.Context(), n)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return m
}

// list is what a fresh handle sees.
func (r *rig) list() []fleet.Machine {
	r.t.Helper()
	ms, err := r.provider(nil).Machines(r.t.Context())
	if err != nil {
		r.t.Fatalf("Machines: %v", err)
	}
	return ms
}

// alone checks that the fleet has exactly one machine, that of m.
func (r *rig) alone(m fleet.Machine) {
	r.t.Helper()
	ms := r.list()
	if len(ms) != 1 || ms[0].ID != m.ID || ms[0].Op != m.Op || ms[0].HostKey == "" || ms[0].HostKey != m.HostKey {
		r.t.Fatalf("got machines %+v, want exactly %+v", ms, m)
	}
}

// do makes a request that the provider would not make, and fails the test on a refusal.
func (r *rig) do(method, path, body string) string {
	r.t.Helper()
	req := httptest.NewRequestWithContext(r.t.Context(), method, "http://127.0.0.1:1"+path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+dotest.DefaultToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, req)
	text, _ := io.ReadAll(rec.Body)
	if rec.Code >= 300 {
		r.t.Fatalf("%s %s: got %d %s", method, path, rec.Code, text)
	}
	return string(text)
}

// stranger makes a droplet by hand and returns its ID.
func (r *rig) stranger(name string, tags ...string) string {
	r.t.Helper()
	var form struct {
		Droplet struct {
			ID int `json:"id"`
		} `json:"droplet"`
	}
	quoted := make([]string, len(tags))
	for i, tag := range tags {
		quoted[i] = strconv.Quote(tag)
	}
	text := r.do("POST", "/v2/droplets", fmt.Sprintf(
		`{"name":%q,"region":"nyc1","size":"s-1vcpu-1gb","image":"debian-12-x64","tags":[%s]}`, name, strings.Join(quoted, ",")))
	decode(r.t, text, &form)
	return strconv.Itoa(form.Droplet.ID)
}

// tags are those of the account.
func (r *rig) tags() []string {
	r.t.Helper()
	var form struct {
		Tags []struct {
			Name string `json:"name"`
		} `json:"tags"`
	}
	decode(r.t, r.do("GET", "/v2/tags?per_page=200", ""), &form)
	names := []string{}
	for _, tag := range form.Tags {
		names = append(names, tag.Name)
	}
	return names
}

// count is how often a call was made.
func (r *rig) count(call string) int { return r.Calls()[call] }

const (
	postDroplet    = "POST /v2/droplets"
	listDroplet    = "GET /v2/droplets"
	oneDroplet     = "GET " + oneDropletPath
	deleteDroplet  = "DELETE " + oneDropletPath
	dropletsPath   = "/v2/droplets"
	oneDropletPath = dropletsPath + "/{droplet_id}"
)

// logged is what was logged, for several goroutines.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wantErr checks an error's kind and words.
func wantErr(t *testing.T, what string, err, kind error, words ...string) {
	t.Helper()
	if err == nil || kind != nil && !errors.Is(err, kind) {
		t.Fatalf("%s: got error %v, want %v", what, err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error()+" hint: "+fleet.Hint(err), w) {
			t.Errorf("%s: got error %q with hint %q, want it to say %q", what, err, fleet.Hint(err), w)
		}
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// waits are for tests that need real time.
func waits() Waits {
	return Waits{
		Every: time.Microsecond, First: time.Microsecond, Poll: 5 * time.Millisecond, Backoff: time.Millisecond,
		Doubt: 160 * time.Millisecond, Marks: 20 * time.Millisecond,
	}
}

// httpRequest keeps the signatures of hooks short.
type httpRequest = *http.Request

// rsaHostKey makes a key that is not Ed25519.
func rsaHostKey() (ssh.Signer, string, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, "", err
	}
	return signer, sshx.AuthorizedKey(signer.PublicKey()), nil
}

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
