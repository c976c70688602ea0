package zone_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/zone"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// What a spec and the environment say is enough to write to a zone at Cloudflare, and to
// wait for its name servers.
func TestOpen_CloudflareReplacesARecordWithoutAGapAtARealNameServer(t *testing.T) {
	const domain, entry = "p2p.zone.test", "_dnsaddr.p2p.zone.test"
	cloud := cftest.New(cftest.Config{Zones: []cftest.Zone{{Name: "zone.test"}}, ShowAddrs: true})
	names, err := cloud.ServeDNS(t.Context(), "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := errors.Join(names.Close(context.WithoutCancel(t.Context())), cloud.Close(context.WithoutCancel(t.Context()))); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	env := map[string]string{
		"CLOUDFLARE_BASE_URL": server.URL + cftest.BasePath, "CLOUDFLARE_ZONE_ID": cloud.ZoneID("zone.test"), "MY_TOKEN": cftest.DefaultToken,
	}
	z, err := zone.Open(fleet.ZoneCloudflare, zone.Config{
		Domain: domain, Fleet: "seabird", Env: func(name string) string { return env[name] },
		DNS: fleet.DNSSpec{Cloudflare: fleet.CloudflareSpec{Token: fleet.SecretSpec{Env: "MY_TOKEN"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	record := func(host string) dnsaddr.Record {
		return dnsaddr.Record{
			Name: entry, Value: "dnsaddr=/ip4/" + host + "/tcp/9100/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
			TTL: time.Minute, Comment: "fleetctl:seabird/nyc1-1",
		}
	}
	if err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: []dnsaddr.Record{record("192.0.2.1")}}); err != nil {
		t.Fatal(err)
	}
	have, err := z.Records(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	cloud.Delay(1, func(c cftest.Change) time.Duration {
		if c.Gone {
			return 0
		}
		return 100 * time.Millisecond
	})
	if err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: []dnsaddr.Record{record("192.0.2.2")}, Remove: have}); err != nil {
		t.Fatal(err)
	}
	for i := range cloud.Servers() {
		if got, want := cloud.Resolve(i, entry), []string{record("192.0.2.2").Value}; !slices.Equal(got, want) {
			t.Errorf("name server %d: got %q, want %q", i, got, want)
		}
		for _, m := range cloud.History(i) {
			if len(m.Values) == 0 {
				t.Errorf("name server %d had nothing after %+v", i, m.Change)
			}
		}
	}
	if s := z.Status(t.Context()); !s.Serving || s.Server != cloud.Servers()[0].Addr {
		t.Errorf("got status %+v, want serving, at %s", s, cloud.Servers()[0].Addr)
	}
	if found := cloud.Violations(); len(found) > 0 {
		t.Errorf("got violations of the published API %q, want none", found)
	}
}
