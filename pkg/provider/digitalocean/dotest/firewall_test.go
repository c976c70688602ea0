package dotest_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func ssh22() godo.InboundRule {
	return godo.InboundRule{Protocol: "tcp", PortRange: "22", Sources: &godo.Sources{Addresses: []string{"0.0.0.0/0", "::/0"}}}
}

// wall is a firewall that is accepted.
func wall(name string) *godo.FirewallRequest {
	return &godo.FirewallRequest{Name: name, InboundRules: []godo.InboundRule{ssh22()}}
}

func TestFirewall_IsKeptAsItWasSentWithEveryPortWrittenZero(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	if _, _, err := g.Tags.Create(t.Context(), &godo.TagCreateRequest{Name: "fleet:x"}); err != nil {
		t.Fatal(err)
	}
	req := wall("fleet-x")
	req.Tags = []string{"fleet:x"}
	req.InboundRules = append(req.InboundRules, godo.InboundRule{Protocol: "icmp", Sources: &godo.Sources{Addresses: []string{"0.0.0.0/0"}}})
	req.OutboundRules = []godo.OutboundRule{{Protocol: "udp", PortRange: "all", Destinations: &godo.Destinations{Addresses: []string{"::/0"}}}}
	made, resp, err := g.Firewalls.Create(t.Context(), req)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("create: got %v, want 202", err)
	}
	f, _, err := g.Firewalls.Get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	ports := []string{f.InboundRules[0].PortRange, f.InboundRules[1].PortRange, f.OutboundRules[0].PortRange}
	if f.Status != "succeeded" || !slices.Equal(f.Tags, req.Tags) || !slices.Equal(ports, []string{"22", "0", "0"}) {
		t.Errorf("got %+v, want tag fleet:x and ports 22, 0 (icmp) and 0 (all)", f)
	}

	_, _, err = g.Firewalls.Create(t.Context(), wall("fleet-x"))
	wantStatus(t, "second firewall of the name", err, http.StatusConflict)

	if _, _, err := g.Firewalls.Update(t.Context(), f.ID, wall("fleet-x")); err != nil {
		t.Fatal(err)
	}
	f, _, err = g.Firewalls.Get(t.Context(), f.ID)
	if err != nil || len(f.Tags) != 0 || len(f.OutboundRules) != 0 || len(f.InboundRules) != 1 {
		t.Errorf("after a PUT without tags and outbound rules: got %+v, %v; want them reset", f, err)
	}
	if _, err := g.Firewalls.Delete(t.Context(), f.ID); err != nil {
		t.Fatal(err)
	}
	_, err = g.Firewalls.Delete(t.Context(), f.ID)
	wantStatus(t, "second delete", err, http.StatusNotFound)
}

func TestFirewall_PartsAreAddedAndRemoved(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	ctx := t.Context()
	req := order("a")
	req.Tags = []string{"tagged"}
	d := create(t, g, req)
	f, _, err := g.Firewalls.Create(ctx, wall("wall"))
	if err != nil {
		t.Fatal(err)
	}
	more := &godo.FirewallRulesRequest{InboundRules: []godo.InboundRule{
		{Protocol: "udp", PortRange: "9000-9101", Sources: &godo.Sources{Tags: []string{"tagged"}}},
	}}
	for what, call := range map[string]func() (*godo.Response, error){
		"droplet": func() (*godo.Response, error) { return g.Firewalls.AddDroplets(ctx, f.ID, d.ID) },
		"tag":     func() (*godo.Response, error) { return g.Firewalls.AddTags(ctx, f.ID, "tagged") },
		"rule":    func() (*godo.Response, error) { return g.Firewalls.AddRules(ctx, f.ID, more) },
	} {
		if resp, err := call(); err != nil || resp.StatusCode != http.StatusNoContent {
			t.Errorf("add %s: got %v, want 204", what, err)
		}
	}
	f, _, err = g.Firewalls.Get(ctx, f.ID)
	if err != nil || len(f.DropletIDs) != 1 || len(f.Tags) != 1 || len(f.InboundRules) != 2 {
		t.Errorf("got %+v, %v; want a droplet, a tag and two rules", f, err)
	}
	if of, _, err := g.Firewalls.ListByDroplet(ctx, d.ID, nil); err != nil || len(of) != 1 {
		t.Errorf("firewalls of the droplet: got %+v, %v; want one", of, err)
	}
	for what, call := range map[string]func() (*godo.Response, error){
		"droplet": func() (*godo.Response, error) { return g.Firewalls.RemoveDroplets(ctx, f.ID, d.ID) },
		"tag":     func() (*godo.Response, error) { return g.Firewalls.RemoveTags(ctx, f.ID, "tagged") },
		"rule":    func() (*godo.Response, error) { return g.Firewalls.RemoveRules(ctx, f.ID, more) },
	} {
		if _, err := call(); err != nil {
			t.Errorf("remove %s: %v", what, err)
		}
	}
	f, _, err = g.Firewalls.Get(ctx, f.ID)
	if err != nil || len(f.DropletIDs)+len(f.Tags) != 0 || len(f.InboundRules) != 1 {
		t.Errorf("got %+v, %v; want what there was at first", f, err)
	}
}

func TestFirewall_DropletThatIsGoneIsForgotten(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	d := create(t, g, order("a"))
	req := wall("wall")
	req.DropletIDs = []int{d.ID}
	f, _, err := g.Firewalls.Create(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Droplets.Delete(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if f, _, err = g.Firewalls.Get(t.Context(), f.ID); err != nil || len(f.DropletIDs) != 0 {
		t.Errorf("got %v, %v; want no droplet", f.DropletIDs, err)
	}
}

func TestLimit_FirewallNeedsTagsThatExist(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	req := wall("wall")
	req.Tags = []string{"not-there"}
	_, _, err := g.Firewalls.Create(t.Context(), req)
	wantStatus(t, "tag that does not exist", err, http.StatusUnprocessableEntity)
}

func TestLimit_FirewallOf5TagsAnd50RulesAnd10Droplets(t *testing.T) {
	s := serve(t, dotest.Config{Limits: dotest.NoLimits()})
	g := s.client(t, dotest.DefaultToken)
	ctx := t.Context()
	req := wall("wall")
	for n := range 5 {
		name := fmt.Sprintf("t%d", n)
		if _, _, err := g.Tags.Create(ctx, &godo.TagCreateRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		req.Tags = append(req.Tags, name)
	}
	for n := range 10 {
		req.DropletIDs = append(req.DropletIDs, create(t, g, order(fmt.Sprintf("d%d", n))).ID)
	}
	for n := range 49 {
		r := ssh22()
		r.PortRange = fmt.Sprint(1000 + n)
		req.InboundRules = append(req.InboundRules, r)
	}
	f, _, err := g.Firewalls.Create(ctx, req)
	if err != nil {
		t.Fatalf("5 tags, 50 rules and 10 droplets: %v", err)
	}
	eleventh := create(t, g, order("d10"))
	if _, _, err := g.Tags.Create(ctx, &godo.TagCreateRequest{Name: "t5"}); err != nil {
		t.Fatal(err)
	}
	_, err = g.Firewalls.AddTags(ctx, f.ID, "t5")
	wantStatus(t, "sixth tag", err, http.StatusUnprocessableEntity)
	_, err = g.Firewalls.AddDroplets(ctx, f.ID, eleventh.ID)
	wantStatus(t, "eleventh droplet", err, http.StatusUnprocessableEntity)
	_, err = g.Firewalls.AddRules(ctx, f.ID, &godo.FirewallRulesRequest{InboundRules: []godo.InboundRule{ssh22()}})
	wantStatus(t, "rule 51", err, http.StatusUnprocessableEntity)
	req.Name, req.Tags = "wall-2", append(req.Tags, "t5")
	_, _, err = g.Firewalls.Create(ctx, req)
	wantStatus(t, "six tags in a create", err, http.StatusUnprocessableEntity)
	s.wantViolation(t, "use a tag")
}

func TestLimit_NameRulesAndPortsOfAFirewall(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	with := func(change func(*godo.FirewallRequest)) *godo.FirewallRequest {
		req := wall("wall")
		change(req)
		return req
	}
	for what, req := range map[string]*godo.FirewallRequest{
		"underscore":     wall("a_b"),
		"space":          wall("a b"),
		"one character":  wall("a"),
		"no rule":        {Name: "none"},
		"no ports":       with(func(r *godo.FirewallRequest) { r.InboundRules[0].PortRange = "" }),
		"range backward": with(func(r *godo.FirewallRequest) { r.InboundRules[0].PortRange = "9-8" }),
		"port too great": with(func(r *godo.FirewallRequest) { r.InboundRules[0].PortRange = "65536" }),
		"no source":      with(func(r *godo.FirewallRequest) { r.InboundRules[0].Sources = &godo.Sources{} }),
		"no address":     with(func(r *godo.FirewallRequest) { r.InboundRules[0].Sources.Addresses = []string{"any"} }),
		"protocol":       with(func(r *godo.FirewallRequest) { r.InboundRules[0].Protocol = "sctp" }),
	} {
		_, _, err := g.Firewalls.Create(t.Context(), req)
		wantStatus(t, what, err, http.StatusUnprocessableEntity)
	}
	s.wantViolation(t, "name")
}
