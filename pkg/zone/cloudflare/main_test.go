package cloudflare_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

const (
	apex   = "zone.test"
	domain = "p2p.zone.test"
	entry  = "_dnsaddr.p2p.zone.test"
	listed = "_dnsaddr.nyc1.p2p.zone.test"

	batchCall = "POST /zones/{zone_id}/dns_records/batch"
	listCall  = "GET /zones/{zone_id}/dns_records"
	usageCall = "GET /zones/{zone_id}/dns_records/usage"
	zoneCall  = "GET /zones/{zone_id}"
	zonesCall = "GET /zones"
	batchPath = "/zones/{zone_id}/dns_records/batch"
	listPath  = "/zones/{zone_id}/dns_records"
)

// direct carries requests to a cloud without a network, so that a bubble of synctest can
// hold both: there a wait of five minutes costs nothing.
type direct struct{ cloud http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
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
	*cftest.Cloud
	t     testing.TB
	log   *logged
	quiet bool // violations are expected
}

// bubble runs a test over a cloud in a bubble of synctest. A cloud without zones gets one
// of a plan with room.
func bubble(t *testing.T, cfg cftest.Config, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, cfg)) })
}

func newRig(t testing.TB, cfg cftest.Config) *rig {
	t.Helper()
	if cfg.Zones == nil {
		cfg.Zones = []cftest.Zone{{Name: apex, Plan: cftest.Pro}}
	}
	r := &rig{Cloud: cftest.New(cfg), t: t, log: &logged{}}
	t.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing the cloud: %v", err)
		}
		if found := r.Violations(); len(found) > 0 && !r.quiet {
			t.Errorf("got violations of the published API %q, want none", found)
		}
	})
	return r
}

func tokenIs(value string) func(context.Context) (string, string, error) {
	return func(context.Context) (string, string, error) { return value, "THE_TEST_TOKEN", nil }
}

// zone is one process's handle; change, which may be nil, changes its config.
func (r *rig) zone(change func(*cloudflare.Config)) *cloudflare.Zone {
	r.t.Helper()
	cfg := cloudflare.Config{
		Domain: domain, ZoneID: r.ZoneID(apex), Token: tokenIs(cftest.DefaultToken), BaseURL: "http://127.0.0.1:1" + cftest.BasePath,
		Transport: direct{r.Handler()}, Resolve: r.resolve, Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})),
	}
	if change != nil {
		change(&cfg)
	}
	z, err := cloudflare.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return z
}

// resolve asks a name server of the cloud, without a network.
func (r *rig) resolve(ctx context.Context, server, name string) ([]string, error) {
	for i, s := range r.Servers() {
		if s.Host+":53" == server {
			return r.Resolve(i, name), ctx.Err()
		}
	}
	return nil, errors.New("no such host")
}

// byName is for handles that look their zone up.
func byName(c *cloudflare.Config) { c.ZoneID = "" }

// value is what the n-th relay publishes.
func value(n int) string { return fmt.Sprintf("dnsaddr=/ip4/192.0.2.%d/tcp/9100%s", n, peer(n)) }

// peer ends the address of the n-th relay.
func peer(n int) string { return "/p2p/" + fleettest.PeerID(fmt.Sprint(n)) }

// ours is the n-th relay's record at the entry name.
func ours(n int) dnsaddr.Record {
	return dnsaddr.Record{Name: entry, Value: value(n), TTL: 5 * time.Minute, Comment: fmt.Sprintf("fleetctl:seabird/nyc1-%d", n)}
}

func several(from, to int) []dnsaddr.Record {
	var out []dnsaddr.Record
	for n := from; n <= to; n++ {
		out = append(out, ours(n))
	}
	return out
}

func records(t testing.TB, z dnsaddr.Zone) []dnsaddr.Record {
	t.Helper()
	got, err := z.Records(t.Context(), entry)
	if err != nil {
		t.Fatalf("Records: %v", err)
	}
	return got
}

func apply(t testing.TB, z dnsaddr.Zone, c dnsaddr.Changes) {
	t.Helper()
	if err := z.Apply(t.Context(), entry, c); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

// converge is one run of fleetctl: it reads, compares and writes.
func converge(ctx context.Context, z dnsaddr.Zone, want []dnsaddr.Record) error {
	have, err := z.Records(ctx, entry)
	if err != nil {
		return err
	}
	return z.Apply(ctx, entry, dnsaddr.Diff("seabird", have, want))
}

// values are those of the zone at the entry name, as others see them.
func (r *rig) values() []string {
	var out []string
	for _, rec := range r.Cloud.Records(apex) {
		if rec.Name == entry && rec.Type == "TXT" {
			out = append(out, rec.Value())
		}
	}
	return out
}

// wrote is how many requests changed something or tried to.
func (r *rig) wrote() int {
	n := 0
	for _, q := range r.Requests() {
		if q.Write() {
			n++
		}
	}
	return n
}

// total is how many requests were made.
func (r *rig) total() int { return len(r.Requests()) }

// wantErr checks an error's kind and words, hint included.
func wantErr(t testing.TB, what string, err, kind error, words ...string) {
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
