package dotest_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestDroplet_LivesAsTheOfficialClientExpects(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	ctx := t.Context()

	req := order("fleet-nyc1-1")
	req.Tags, req.IPv6, req.UserData = []string{"fleet:x", "slot:nyc1-1"}, true, "#cloud-config\n"
	made := create(t, g, req)
	d, _, err := g.Droplets.Get(ctx, made.ID)
	if err != nil {
		t.Fatal(err)
	}
	v4, _ := d.PublicIPv4()
	v6, _ := d.PublicIPv6()
	if d.Status != "active" || v4 != "198.18.0.2" || v6 != "2001:db8::2" || !slices.Equal(d.Tags, req.Tags) {
		t.Errorf("got %s at %s and %s with %q; want active at 198.18.0.2 and 2001:db8::2 with %q", d.Status, v4, v6, d.Tags, req.Tags)
	}
	if private, _ := d.PrivateIPv4(); private == "" || d.Networks.V4[0].IPAddress != private {
		t.Errorf("got networks %+v, want the private one first: the first address is not the public one", d.Networks.V4)
	}
	if d.Size.PriceMonthly != 6 || d.Region.Slug != "nyc1" || d.Image.Slug != "debian-12-x64" {
		t.Errorf("got size %+v, region %+v, image %+v; want those of the order", d.Size, d.Region, d.Image)
	}
	if held := s.Droplets(dotest.DefaultToken); len(held) != 1 || held[0].UserData != req.UserData {
		t.Errorf("got %+v, want the user data that was sent", held)
	}

	if resp, err := g.Droplets.Delete(ctx, d.ID); err != nil || resp.StatusCode != http.StatusNoContent {
		t.Errorf("delete: got %v, want 204", err)
	}
	_, _, err = g.Droplets.Get(ctx, d.ID)
	wantStatus(t, "get of a deleted droplet", err, http.StatusNotFound)
	_, err = g.Droplets.Delete(ctx, d.ID)
	wantStatus(t, "second delete", err, http.StatusNotFound)
}

func TestDroplet_IDsAreNotUsedAgainAndAddressesAre(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	first := create(t, g, order("a"))
	if _, err := g.Droplets.Delete(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	second := create(t, g, order("a"))
	d, _, err := g.Droplets.Get(t.Context(), second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v4, _ := d.PublicIPv4(); second.ID <= first.ID || v4 != "198.18.0.2" {
		t.Errorf("got ID %d after %d and address %s, want a greater ID and the address of the deleted droplet", second.ID, first.ID, v4)
	}
}

func TestDroplet_NamesAreNotUnique(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	create(t, g, order("twin"))
	create(t, g, order("twin"))
	found, _, err := g.Droplets.ListByName(t.Context(), "TWIN", all())
	if err != nil || len(found) != 2 {
		t.Errorf("got %d droplets by name in another case, %v; want 2", len(found), err)
	}
}

func TestDroplet_SeveralInOneCreate(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	made, _, err := g.Droplets.CreateMultiple(t.Context(), &godo.DropletMultiCreateRequest{
		Names: []string{"a", "b", "c"}, Region: "fra1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{ID: 136464411},
		Tags: []string{"one"},
	})
	if err != nil || len(made) != 3 {
		t.Fatalf("got %d droplets, %v; want 3", len(made), err)
	}
	found, _, err := g.Droplets.ListByTag(t.Context(), "one", all())
	if err != nil || !slices.Equal(names(found), []string{"a", "b", "c"}) {
		t.Errorf("got %q, %v; want a, b and c", names(found), err)
	}
}
