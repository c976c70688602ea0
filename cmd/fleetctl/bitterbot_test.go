//go:build unix

package main

import (
	"context"
	"debug/elf"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest/memorytest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// inMemory puts boxes in memory, and the clients that look for them, in the place of what a
// process of fleetctl finds at their addresses.
func inMemory(d *memorytest.Droplets, s fleet.Spec) func(fleet.Backends) fleet.Backends {
	return func(b fleet.Backends) fleet.Backends {
		keys := []string{}
		if b.Key != "" { // which a command that only reads does not need
			keys = append(keys, b.Key)
		}
		b.Hosts = host.New(host.Config{
			Runner: d.Fake, Tunnel: d.Fake, Keys: d.Fake, System: host.SystemOf(s, keys),
			Actor: "test", Command: "test", HealthyDeadline: s.Rollout.HealthyDeadline,
		})
		b.Prober = d
		return b
	}
}

// TestBitterbot_TheFleetOfTheOldToolingIsPricedMadeAndThenLeftAlone runs commands on the
// spec as it stands, against the simulated DigitalOcean and Cloudflare. Their APIs, the
// state directory and every decision are real; the boxes are in memory.
func TestBitterbot_TheFleetOfTheOldToolingIsPricedMadeAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	const (
		spec    = "../../testdata/fleets/bitterbot.yaml"
		zone    = "bitterbot.ai"
		name    = "_dnsaddr.p2p.bitterbot.ai"
		foreign = `"dnsaddr=/dns4/boot.example.net/tcp/443/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"`
	)
	text, err := os.ReadFile(spec)
	must(t, "read the spec", err)
	s, err := fleet.Load(text, spec)
	must(t, "load the spec", err)

	boxes := memorytest.New()
	ocean := dotest.New(dotest.Config{Boxes: boxes})
	dns := cftest.New(cftest.Config{Zones: []cftest.Zone{{Name: zone}}, ShowAddrs: true})
	servers, err := dns.ServeDNS(t.Context(), "127.0.0.1:0", "127.0.0.1:0")
	must(t, "serve the zone", err)
	oceanAPI, dnsAPI := httptest.NewServer(ocean.Handler()), httptest.NewServer(dns.Handler())
	t.Cleanup(func() {
		must(t, "close the clouds", errors.Join(ocean.Close(context.Background()), servers.Close(context.Background()), dns.Close(context.Background())))
		oceanAPI.Close()
		dnsAPI.Close()
		if v := slices.Concat(ocean.Violations(), dns.Violations()); len(v) > 0 {
			t.Errorf("the clouds: %q", v)
		}
	})
	_, err = dns.Put(zone, cftest.Record{Type: "TXT", Name: name, Content: foreign, TTL: time.Hour})
	must(t, "put the foreign bootnode's record", err)

	a, stdout, stderr := testApp(t)
	a.stderr = &oneByOne{to: stderr} // progress and the log write there
	a.now, a.wrap = time.Now, inMemory(boxes, s)
	a.wrapRunner = func(r sshx.Runner) sshx.Runner { return r }
	a.executable = filepath.Join(filepath.Dir(hosttest.Program(t, elf.EM_X86_64)), "fleetctl") // the relay is beside it
	env := map[string]string{
		"HOME": a.dir, "DIGITALOCEAN_TOKEN": dotest.DefaultToken, "DIGITALOCEAN_API_URL": oceanAPI.URL,
		"CLOUDFLARE_API_TOKEN": cftest.DefaultToken, "CLOUDFLARE_BASE_URL": dnsAPI.URL + cftest.BasePath,
	}
	a.env = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	path, err := filepath.Abs(spec)
	must(t, "find the spec", err)
	fleetctl := func(args ...string) string {
		t.Helper()
		stdout.Reset()
		stderr.Reset()
		a.globals = globals{}
		if code := run(t.Context(), a, append(args, "--config", path)); code != exitOK {
			t.Fatalf("fleetctl %s: got exit %d, want 0\n%s%s", strings.Join(args, " "), code, stdout, stderr)
		}
		t.Logf("$ fleetctl %s\n%s%s", strings.Join(args, " "), stdout, stderr)
		return stdout.String()
	}

	plan := fleetctl("plan")
	for _, want := range []string{
		"+ nyc1-1  (region nyc1, size s-1vcpu-1gb, image debian-12-x64, with IPv6 monitoring, tags bitterbot relay node-tier-management)",
		"+ fra1-1  (region fra1, ", "+ sgp1-1  (region sgp1, ", "price per month: 0.00 USD now, 18.00 USD after",
	} {
		if !strings.Contains(plan, want) {
			t.Errorf("plan: got\n%s\nwant %q in it", plan, want)
		}
	}
	fleetctl("up", "--yes")
	if again := fleetctl("plan"); !strings.Contains(again, "fleet bitterbot: nothing to do") {
		t.Errorf("plan after up: got\n%s\nwant nothing to do", again)
	}

	regions := []string{}
	for _, d := range ocean.Droplets(dotest.DefaultToken) {
		regions = append(regions, d.Region)
		for _, tag := range []string{"bitterbot", "relay", "node-tier-management", "fleet:bitterbot"} {
			if !slices.Contains(d.Tags, tag) {
				t.Errorf("%s: got tags %q, want %s among them", d.Name, d.Tags, tag)
			}
		}
	}
	if slices.Sort(regions); !slices.Equal(regions, []string{"fra1", "nyc1", "sgp1"}) {
		t.Errorf("droplets: got regions %q, want fra1, nyc1, sgp1", regions)
	}
	kept, ours := 0, map[time.Duration]int{}
	for _, r := range dns.Records(zone) {
		switch {
		case r.Content == foreign && r.TTL == time.Hour:
			kept++
		case r.Name == name:
			ours[r.TTL]++
		}
	}
	if kept != 1 || len(ours) != 1 || ours[5*time.Minute] != 3 {
		t.Errorf("records: got the foreign one %d times, ours by TTL %v; want it once, and 3 of 5m0s", kept, ours)
	}
}

// oneByOne lets several write at once, as the system does.
type oneByOne struct {
	mu sync.Mutex
	to io.Writer
}

func (w *oneByOne) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
