package dotest_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestLag_CreateIsSeenStepByStep(t *testing.T) {
	s := serve(t, dotest.Config{Boot: dotest.Lag{Reads: 2}, Tag: dotest.Lag{Reads: 1}})
	g := s.client(t, dotest.DefaultToken)
	req := order("a")
	req.Tags = []string{"x"}
	d := create(t, g, req)
	if len(d.Tags) != 0 {
		t.Errorf("create: got tags %q, want none: they are applied afterwards", d.Tags)
	}
	for n, want := range []string{"new [] 0", "new [x] 0", "active [x] 2", "active [x] 2"} {
		d, _, err := g.Droplets.Get(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %v %d", d.Status, d.Tags, len(d.Networks.V4)); got != want {
			t.Errorf("read %d: got %s, want %s (status, tags, networks)", n+1, got, want)
		}
	}
}

func TestLag_ListByTagMissesADropletThatHasNotItsTagsYet(t *testing.T) {
	s := serve(t, dotest.Config{Tag: dotest.Lag{Reads: 1}})
	g := s.client(t, dotest.DefaultToken)
	req := order("a")
	req.Tags = []string{"x"}
	create(t, g, req)
	for n, want := range []int{0, 1} {
		if found, _, err := g.Droplets.ListByTag(t.Context(), "x", nil); err != nil || len(found) != want {
			t.Errorf("list %d: got %d droplets, %v; want %d", n+1, len(found), err, want)
		}
	}
}

func TestLag_CreateCanBeFollowedByItsAction(t *testing.T) {
	s := serve(t, dotest.Config{Boot: dotest.Lag{Reads: 1}})
	g := s.client(t, dotest.DefaultToken)
	_, resp, err := g.Droplets.Create(t.Context(), order("a"))
	if err != nil || len(resp.Links.Actions) != 1 || resp.Links.Actions[0].Rel != "create" {
		t.Fatalf("got %+v, %v; want a link to the action of the create", resp.Links, err)
	}
	for n, want := range []string{"in-progress", "completed"} {
		a, _, err := g.Actions.Get(t.Context(), resp.Links.Actions[0].ID)
		if err != nil || a.Status != want || a.Type != "create" || (a.CompletedAt == nil) != (want == "in-progress") {
			t.Errorf("read %d: got %+v, %v; want a create that is %s", n+1, a, err, want)
		}
	}
}

func TestLag_DeletedDropletIsSeenForAWhile(t *testing.T) {
	s := serve(t, dotest.Config{Delete: dotest.Lag{Reads: 2}, Accounts: []dotest.Account{{Token: "t", DropletLimit: 1}}})
	g := s.client(t, "t")
	d := create(t, g, order("a"))
	for range 2 { // the second is no error
		if _, err := g.Droplets.Delete(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := g.Droplets.Create(t.Context(), order("b"))
	wantStatus(t, "create while the deleted droplet still counts", err, 422)
	if found, _, err := g.Droplets.List(t.Context(), nil); err != nil || len(found) != 1 {
		t.Errorf("list: got %q, %v; want a", names(found), err)
	}
	if _, _, err := g.Droplets.Get(t.Context(), d.ID); err != nil {
		t.Errorf("get: %v", err)
	}
	_, _, err = g.Droplets.Get(t.Context(), d.ID)
	wantStatus(t, "third read", err, 404)
}

func TestLag_OfTimeIsByTheClockOfTheConfig(t *testing.T) {
	at := newClock()
	s := serve(t, dotest.Config{Now: at.Now, Boot: dotest.Lag{Wait: time.Minute}})
	g := s.client(t, dotest.DefaultToken)
	d := create(t, g, order("a"))
	for _, want := range []string{"new", "active"} {
		if d, _, err := g.Droplets.Get(t.Context(), d.ID); err != nil || d.Status != want {
			t.Errorf("got %s, %v; want %s", d.Status, err, want)
		}
		at.add(time.Minute)
	}
}

func TestAction_PowersDropletsOffAndOn(t *testing.T) {
	s := serve(t, dotest.Config{Act: dotest.Lag{Reads: 1}})
	g := s.client(t, dotest.DefaultToken)
	ctx := t.Context()
	d := create(t, g, order("a"))
	wantState := func(want string) {
		t.Helper()
		if d, _, err := g.Droplets.Get(ctx, d.ID); err != nil || d.Status != want {
			t.Errorf("got %s, %v; want %s", d.Status, err, want)
		}
	}
	_, _, err := g.DropletActions.PowerOn(ctx, d.ID)
	wantStatus(t, "power on of an active droplet", err, 422)
	a, _, err := g.DropletActions.PowerOff(ctx, d.ID)
	if err != nil || a.Status != "in-progress" {
		t.Fatalf("power off: got %+v, %v; want it in progress", a, err)
	}
	_, _, err = g.DropletActions.Reboot(ctx, d.ID)
	wantStatus(t, "reboot while it is being switched off", err, 422)
	wantState("active")
	wantState("off")
	if a, _, err = g.DropletActions.Get(ctx, d.ID, a.ID); err != nil || a.Status != "completed" {
		t.Errorf("got %+v, %v; want it completed", a, err)
	}
	for what, call := range map[string]func(int) error{
		"power off": func(id int) error { _, _, err := g.DropletActions.PowerOff(ctx, id); return err },
		"reboot":    func(id int) error { _, _, err := g.DropletActions.Reboot(ctx, id); return err },
		"shutdown":  func(id int) error { _, _, err := g.DropletActions.Shutdown(ctx, id); return err },
		"cycle":     func(id int) error { _, _, err := g.DropletActions.PowerCycle(ctx, id); return err },
	} {
		wantStatus(t, what+" of a droplet that is off", call(d.ID), 422)
	}
	if _, _, err := g.DropletActions.PowerOn(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	wantState("off")
	wantState("active")
	if err := s.SwitchOff(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	wantState("off")
	actions, _, err := g.Droplets.Actions(ctx, d.ID, nil)
	var kinds []string
	for _, a := range actions {
		kinds = append(kinds, a.Type)
	}
	if want := []string{"power_on", "power_off", "create"}; err != nil || !slices.Equal(kinds, want) {
		t.Errorf("got actions %q, %v; want %q: what happened behind the API's back is none", kinds, err, want)
	}
}

func TestHandle_DropletsThatOthersMade(t *testing.T) {
	s := serve(t, dotest.Config{Boot: dotest.Lag{Reads: 9}})
	g := s.client(t, dotest.DefaultToken)
	id, err := s.AddDroplet(t.Context(), dotest.DefaultToken, dotest.Machine{Name: "old-fra1", Region: "fra1", Tags: []string{"relay"}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.AddDroplet(t.Context(), dotest.DefaultToken, dotest.Machine{Name: "dark"}, netip.MustParseAddr("127.0.0.7"))
	if err := errors.Join(err, s.SwitchOff(t.Context(), other)); err != nil {
		t.Errorf("switching off a droplet that was just added: %v", err)
	}
	found, _, err := g.Droplets.ListByTag(t.Context(), "relay", &godo.ListOptions{})
	if err != nil || len(found) != 1 || found[0].ID != id || found[0].Status != "active" || found[0].Region.Slug != "fra1" {
		t.Errorf("got %+v, %v; want %d, active in fra1", found, err, id)
	}
	if err := s.Vanish(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	_, _, err = g.Droplets.Get(t.Context(), id)
	wantStatus(t, "get of a droplet that vanished", err, 404)
	if err := s.SwitchOff(t.Context(), id); err == nil {
		t.Error("switching off a droplet that vanished: got no error, want one")
	}
}
