package dotest_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// resource names a droplet in a request about tags.
func resource(id int) []godo.Resource {
	return []godo.Resource{{ID: strconv.Itoa(id), Type: godo.DropletResourceType}}
}

func TestTag_FirstSpellingStays(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	ctx := t.Context()
	if _, _, err := g.Tags.Create(ctx, &godo.TagCreateRequest{Name: "Fleet:X"}); err != nil {
		t.Fatal(err)
	}
	if again, _, err := g.Tags.Create(ctx, &godo.TagCreateRequest{Name: "fleet:x"}); err != nil || again.Name != "Fleet:X" {
		t.Errorf("second spelling: got %+v, %v; want Fleet:X", again, err)
	}
	req := order("a")
	req.Tags = []string{"fleet:x"}
	d := create(t, g, req)
	if d, _, err := g.Droplets.Get(ctx, d.ID); err != nil || !slices.Equal(d.Tags, []string{"Fleet:X"}) {
		t.Errorf("droplet: got %q, %v; want Fleet:X", d.Tags, err)
	}
	_, _, err := g.Tags.Get(ctx, "fleet:x")
	wantStatus(t, "tag in the second spelling", err, http.StatusNotFound)
	if found, _, err := g.Droplets.ListByTag(ctx, "fleet:x", nil); err != nil || len(found) != 0 {
		t.Errorf("list by the second spelling: got %q, %v; want nothing", names(found), err)
	}
}

func TestTag_IsPutOnAndTakenOffDroplets(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	ctx := t.Context()
	d := create(t, g, order("a"))
	_, err := g.Tags.TagResources(ctx, "phase:doomed", &godo.TagResourcesRequest{Resources: resource(d.ID)})
	wantStatus(t, "tag that does not exist", err, http.StatusNotFound)
	if _, _, err := g.Tags.Create(ctx, &godo.TagCreateRequest{Name: "phase:doomed"}); err != nil {
		t.Fatal(err)
	}
	_, err = g.Tags.TagResources(ctx, "phase:doomed", &godo.TagResourcesRequest{Resources: resource(7)})
	wantStatus(t, "droplet that does not exist", err, http.StatusNotFound)
	if _, err := g.Tags.TagResources(ctx, "phase:doomed", &godo.TagResourcesRequest{Resources: resource(d.ID)}); err != nil {
		t.Fatal(err)
	}
	tag, _, err := g.Tags.Get(ctx, "phase:doomed")
	if err != nil || tag.Resources.Droplets.Count != 1 || tag.Resources.Count != 1 {
		t.Errorf("got %+v, %v; want one droplet", tag, err)
	}
	if found, _, err := g.Droplets.ListByTag(ctx, "phase:doomed", nil); err != nil || len(found) != 1 {
		t.Errorf("list: got %q, %v; want a", names(found), err)
	}
	if _, err := g.Tags.UntagResources(ctx, "phase:doomed", &godo.UntagResourcesRequest{Resources: resource(d.ID)}); err != nil {
		t.Fatal(err)
	}
	if found, _, err := g.Droplets.ListByTag(ctx, "phase:doomed", nil); err != nil || len(found) != 0 {
		t.Errorf("list after untagging: got %q, %v; want nothing", names(found), err)
	}
}

func TestTag_DeletedOneLeavesTheDroplet(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	req := order("a")
	req.Tags = []string{"x", "y"}
	d := create(t, g, req)
	if _, err := g.Tags.Delete(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if d, _, err := g.Droplets.Get(t.Context(), d.ID); err != nil || !slices.Equal(d.Tags, []string{"y"}) {
		t.Errorf("got %q, %v; want y", d.Tags, err)
	}
	if found, _, err := g.Tags.List(t.Context(), nil); err != nil || len(found) != 1 {
		t.Errorf("got %+v, %v; want y only", found, err)
	}
}

func TestTag_DeleteOfDropletsByTagIsServedAndCounted(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	req := order("a")
	req.Tags = []string{"x"}
	create(t, g, req)
	create(t, g, order("b"))
	if _, _, err := g.Droplets.List(t.Context(), nil); err != nil { // the tag is applied
		t.Fatal(err)
	}
	if _, err := g.Droplets.DeleteByTag(t.Context(), "x"); err != nil { //nolint:forbidigo // that the cloud has the trap, too
		t.Fatal(err)
	}
	if found, _, err := g.Droplets.List(t.Context(), nil); err != nil || !slices.Equal(names(found), []string{"b"}) {
		t.Errorf("got %q, %v; want b", names(found), err)
	}
	if n := s.Calls()["DELETE /v2/droplets"]; n != 1 {
		t.Errorf("got %d deletes by tag in Calls, want 1", n)
	}
}
