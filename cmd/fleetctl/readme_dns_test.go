//go:build unix

package main

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

// aFriend is a boot node of somebody else at the name of the README's fleet.
const aFriend = "dnsaddr=/ip4/127.0.0.1/tcp/9/p2p/12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"

// servedSpec is a fleet that serves already; the line of its zone is what changes.
const servedSpec = `name: harbour
nodes: [{region: nyc1}, {region: fra1}, {region: sgp1}]
relay: {network: /harbour, binary: BINARY}
dns: ZONE
rollout: {min_healthy_time: 0s, drain_timeout: 1s}
`

// newDNSStage is a fleet on this machine that serves, and whose records are about to be
// published in a zone elsewhere: dns is that key of fleet.yaml.
func newDNSStage(t *testing.T, dns string, env ...string) *stage {
	t.Helper()
	s := newStageFleet(t, "harbour")
	zone := func(text string) {
		spec := strings.NewReplacer("ZONE", text, "BINARY", relayBinary(t)).Replace(servedSpec)
		must(t, "write fleet.yaml", os.WriteFile(filepath.Join(s.dir, "fleet.yaml"), []byte(spec), 0o600))
	}
	const here = "{zone: local, domain: p2p.harbour.test, ttl: 1}"
	zone(here)
	s.must(0, "up", "--yes", "-q")
	zone(dns)
	s.env = append([]string{"HOME=" + s.dir}, env...)
	s.end = func() {
		zone(here)
		s.testFleet.end()
	}
	t.Cleanup(func() { // of a stage that failed half-way
		if t.Failed() {
			s.end()
		}
	})
	return s
}

// cloudflareStage has a zone at a simulated Cloudflare, with a stranger's record in it.
func cloudflareStage(t *testing.T) *stage {
	cloud := cftest.New(cftest.Config{ShowAddrs: true})
	servers, err := cloud.ServeDNS(t.Context(), "127.0.0.1:0", "127.0.0.1:0")
	must(t, "serve the zone", err)
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(func() {
		server.Close()
		must(t, "close the name servers", servers.Close(context.Background()))
		must(t, "close the cloud", cloud.Close(context.Background()))
		for _, v := range cloud.Violations() {
			t.Errorf("the cloud: %s", v)
		}
	})
	_, err = cloud.Put(cftest.DefaultZone, cftest.Record{Type: "TXT", Name: "_dnsaddr.p2p.example.test", Content: `"` + aFriend + `"`, TTL: 300 * time.Second})
	must(t, "put a stranger's record", err)
	return newDNSStage(t, "{zone: cloudflare, domain: p2p.example.test, ttl: 300, publish: {scope: any}, resolvers: [\""+cloud.Servers()[0].Addr+"\"]}",
		"CLOUDFLARE_API_TOKEN="+cftest.DefaultToken, "CLOUDFLARE_BASE_URL="+server.URL+cftest.BasePath, "CLOUDFLARE_ZONE_ID="+cloud.ZoneID(cftest.DefaultZone))
}

// bindStage has a primary that takes updates, with a stranger's record in its zone.
func bindStage(t *testing.T) *stage {
	primary := rfctest.Start(t, "example.test")
	primary.Put(t, `_dnsaddr.p2p.example.test. 300 IN TXT "`+aFriend+`"`)
	return newDNSStage(t, "{zone: rfc2136, domain: p2p.example.test, ttl: 300, publish: {scope: any}, rfc2136: {server: \""+primary.Addr()+
		"\", zone: example.test, key_name: "+rfctest.KeyName+"}}",
		"RFC2136_TSIG_SECRET="+rfctest.Secret)
}
