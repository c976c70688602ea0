package main

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// Two zones may hold one domain. A plan is for the one whose records it was made from, whether
// fleet.yaml, the environment or a search said which that is.
func TestSync_APlanForOneZoneIDIsNotAppliedToAnother(t *testing.T) {
	t.Parallel()
	const above, below = "example.test", "p2p.example.test"
	cloud := cftest.New(cftest.Config{
		Zones:  []cftest.Zone{{Name: above}, {Name: below}},
		Tokens: []cftest.Token{{Value: cftest.DefaultToken, Grants: []cftest.Grant{{Zone: above, May: cftest.All}, {Zone: below, May: cftest.All}}}},
	})
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(func() {
		server.Close()
		must(t, "close the cloud", cloud.Close(context.Background()))
	})
	a, stdout, stderr := testApp(t)
	a.wrapRunner = func(r sshx.Runner) sshx.Runner { return r }
	env := map[string]string{"HOME": a.dir, "CLOUDFLARE_API_TOKEN": cftest.DefaultToken, "CLOUDFLARE_BASE_URL": server.URL + cftest.BasePath}
	a.env = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	sync := func(id, inFile string, args ...string) (code int) {
		t.Helper()
		spec := "name: harbour\nnodes: [{region: nyc1}]\nrelay: {network: /harbour}\ndns: {zone: cloudflare, domain: " + below + ", ttl: 300" + inFile + "}\n"
		must(t, "write fleet.yaml", os.WriteFile(filepath.Join(a.dir, "fleet.yaml"), []byte(spec), 0o600))
		if delete(env, "CLOUDFLARE_ZONE_ID"); id != "" {
			env["CLOUDFLARE_ZONE_ID"] = id
		}
		stdout.Reset()
		stderr.Reset()
		a.globals = globals{}
		return run(t.Context(), a, append([]string{"dnsaddr", "sync"}, args...))
	}
	plan := func(id, inFile string, args ...string) (zone, hash string) {
		t.Helper()
		if code := sync(id, inFile, append(args, "--dry-run", "-o", "json")...); code != exitOK {
			t.Fatalf("sync --dry-run: got exit %d, want 0\n%s%s", code, stdout, stderr)
		}
		var p struct{ Zone, Hash string }
		must(t, "read the plan", json.Unmarshal(stdout.Bytes(), &p))
		return p.Zone, p.Hash
	}

	file := filepath.Join(a.dir, "the.plan")
	zone, hash := plan(cloud.ZoneID(above), "", "--out", file)
	if want := "cloudflare " + cloud.ZoneID(above); zone != want {
		t.Errorf("zone of the plan: got %q, want %q", zone, want)
	}
	for what, c := range map[string]struct{ id, inFile string }{
		"by the environment": {id: cloud.ZoneID(below)},
		"by fleet.yaml":      {inFile: ", cloudflare: {zone_id: " + cloud.ZoneID(below) + "}"},
		"by a search":        {},
	} {
		other, otherHash := plan(c.id, c.inFile)
		if want := "cloudflare " + cloud.ZoneID(below); other != want || otherHash == hash {
			t.Errorf("%s: got zone %q, hash %s; want %q, and another hash than %s", what, other, otherHash, want, hash)
		}
		if code := sync(c.id, c.inFile, "--yes", "--plan-hash", hash); code != exitRefused || !strings.Contains(stderr.String(), "the plan is another one than was approved") {
			t.Errorf("%s: the hash of the other zone's plan: got exit %d, want %d\n%s", what, code, exitRefused, stderr)
		}
		if code := sync(c.id, c.inFile, "--yes", "--plan", file); code == exitOK || !strings.Contains(stderr.String(), `it is for the zone "`+zone+`"`) {
			t.Errorf("%s: the plan file of the other zone: got exit %d, want a refusal that names the zone\n%s", what, code, stderr)
		}
	}
	if code := sync(cloud.ZoneID(above), "", "--yes", "--plan-hash", hash); code != exitOK {
		t.Errorf("the zone that the plan is for: got exit %d, want 0\n%s", code, stderr)
	}
	for _, name := range []string{above, below} {
		if got := cloud.Records(name); len(got) != 0 {
			t.Errorf("%s: got %v, want nothing written", name, got)
		}
	}
}
