package dotest_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestAccount_WrongTokenIs401(t *testing.T) {
	s := serve(t, dotest.Config{})
	for _, token := range []string{"wrong", ""} {
		r := s.send(t, token, "GET", "/v2/droplets", "")
		if r.status != http.StatusUnauthorized || r.body["id"] != "unauthorized" || r.header.Get("ratelimit-limit") == "" {
			t.Errorf("token %q: got %d %s, want 401 unauthorized with the rate headers", token, r.status, r.raw)
		}
	}
}

func TestAccount_EachTokenHasItsOwn(t *testing.T) {
	s := serve(t, dotest.Config{Accounts: []dotest.Account{
		{Token: "a", Email: "a@example.com", DropletLimit: 3, Team: "one"},
		{Token: "b", Status: "warning", StatusMessage: "pay"},
	}})
	a, b := s.client(t, "a"), s.client(t, "b")
	d := create(t, a, order("a"))
	if _, _, err := a.Firewalls.Create(t.Context(), wall("wall")); err != nil {
		t.Fatal(err)
	}
	if found, _, err := b.Droplets.List(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("the other account lists %q, %v; want nothing", names(found), err)
	}
	_, _, err := b.Droplets.Get(t.Context(), d.ID)
	wantStatus(t, "get of another account's droplet", err, http.StatusNotFound)
	_, err = b.Droplets.Delete(t.Context(), d.ID)
	wantStatus(t, "delete of another account's droplet", err, http.StatusNotFound)
	if n := len(s.Droplets("a")); n != 1 {
		t.Errorf("got %d droplets after it, want 1", n)
	}
	ofA, _, errA := a.Account.Get(t.Context())
	ofB, _, errB := b.Account.Get(t.Context())
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if ofA.Email != "a@example.com" || ofA.DropletLimit != 3 || ofA.Status != "active" || ofA.Team.Name != "one" {
		t.Errorf("got %+v, want a@example.com with 3 droplets, active, of team one", ofA)
	}
	if ofB.DropletLimit != 25 || ofB.Status != "warning" || ofB.StatusMessage != "pay" || ofB.Team.UUID == ofA.Team.UUID {
		t.Errorf("got %+v, want 25 droplets and a warning", ofB)
	}
}

func TestAccount_MissingScopeIs403(t *testing.T) {
	full := []string{"account:read", "droplet:read", "droplet:create", "tag:create", "ssh_key:read", "image:read", "vpc:read"}
	s := serve(t, dotest.Config{Accounts: []dotest.Account{{Token: "t", Scopes: full}}})
	g := s.client(t, "t")
	create(t, g, order("a"))
	for what, call := range map[string]func() error{
		"sizes":  func() error { _, _, err := g.Sizes.List(t.Context(), nil); return err },
		"delete": func() error { _, err := g.Droplets.Delete(t.Context(), 400_000_001); return err },
		"action": func() error { _, _, err := g.Actions.Get(t.Context(), 2_000_000_001); return err },
	} {
		wantStatus(t, what, call(), http.StatusForbidden)
	}
	for _, scope := range full[2:] {
		s.SetAccount(dotest.Account{Token: "t", Scopes: slices.DeleteFunc(slices.Clone(full), func(have string) bool { return have == scope })})
		_, _, err := g.Droplets.Create(t.Context(), order("b"))
		wantStatus(t, "create without "+scope, err, http.StatusForbidden)
	}
	if n := len(s.Droplets("t")); n != 1 {
		t.Errorf("got %d droplets, want 1: what is forbidden has no effect", n)
	}
}

func TestAccount_LockedOneMayOnlyRead(t *testing.T) {
	s := serve(t, dotest.Config{Accounts: []dotest.Account{{Token: "t", Status: "locked"}}})
	g := s.client(t, "t")
	if a, _, err := g.Account.Get(t.Context()); err != nil || a.Status != "locked" {
		t.Errorf("got %+v, %v; want a locked account", a, err)
	}
	_, _, err := g.Droplets.Create(t.Context(), order("a"))
	wantStatus(t, "create", err, http.StatusForbidden)
}

func TestKey_IsFoundByIDAndFingerprintAndNotTakenTwice(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	ctx := t.Context()
	line := publicKey(t, 1)
	k, resp, err := g.Keys.Create(ctx, &godo.KeyCreateRequest{Name: "ops", PublicKey: line})
	if err != nil || resp.StatusCode != http.StatusCreated || len(k.Fingerprint) != 47 {
		t.Fatalf("create: got %+v, %v; want 201 and an MD5 fingerprint", k, err)
	}
	_, _, err = g.Keys.Create(ctx, &godo.KeyCreateRequest{Name: "again", PublicKey: line + " comment"})
	wantStatus(t, "key that is there", err, http.StatusUnprocessableEntity)
	_, _, err = g.Keys.Create(ctx, &godo.KeyCreateRequest{Name: "bad", PublicKey: "ssh-ed25519 AAAA"})
	wantStatus(t, "no key", err, http.StatusUnprocessableEntity)

	if by, _, err := g.Keys.GetByFingerprint(ctx, k.Fingerprint); err != nil || by.ID != k.ID {
		t.Errorf("by fingerprint: got %+v, %v; want %d", by, err, k.ID)
	}
	if by, _, err := g.Keys.UpdateByID(ctx, k.ID, &godo.KeyUpdateRequest{Name: "renamed"}); err != nil || by.Name != "renamed" {
		t.Errorf("rename: got %+v, %v", by, err)
	}

	req := order("a")
	req.SSHKeys = []godo.DropletCreateSSHKey{{ID: k.ID}}
	create(t, g, req)
	req.SSHKeys = []godo.DropletCreateSSHKey{{Fingerprint: k.Fingerprint}}
	create(t, g, req)
	for _, d := range s.Droplets(dotest.DefaultToken) {
		if !slices.Equal(d.PublicKeys, []string{line}) {
			t.Errorf("droplet %d: got keys %q, want %q", d.ID, d.PublicKeys, line)
		}
	}
	req.SSHKeys = append(req.SSHKeys, godo.DropletCreateSSHKey{ID: 7})
	_, _, err = g.Droplets.Create(ctx, req)
	wantStatus(t, "create with an unknown key", err, http.StatusUnprocessableEntity)

	if _, err := g.Keys.DeleteByFingerprint(ctx, k.Fingerprint); err != nil {
		t.Fatal(err)
	}
	_, _, err = g.Keys.GetByID(ctx, k.ID)
	wantStatus(t, "get of a deleted key", err, http.StatusNotFound)
}

func TestCatalogue_CreateIsHeldAgainstIt(t *testing.T) {
	s := serve(t, dotest.Config{Prices: map[string]float64{"s-1vcpu-1gb": 7}})
	g := s.client(t, dotest.DefaultToken)
	for what, change := range map[string]func(*godo.DropletCreateRequest){
		"unknown region":         func(r *godo.DropletCreateRequest) { r.Region = "nyc9" },
		"closed region":          func(r *godo.DropletCreateRequest) { r.Region = "sfo2" },
		"unknown size":           func(r *godo.DropletCreateRequest) { r.Size = "s-9vcpu-1gb" },
		"withdrawn size":         func(r *godo.DropletCreateRequest) { r.Size = "512mb" },
		"size not in the region": func(r *godo.DropletCreateRequest) { r.Region, r.Size = "lon1", "s-1vcpu-512mb-10gb" },
		"unknown image":          func(r *godo.DropletCreateRequest) { r.Image.Slug = "debian-1-x64" },
	} {
		req := order("a")
		change(req)
		_, _, err := g.Droplets.Create(t.Context(), req)
		wantStatus(t, what, err, http.StatusUnprocessableEntity)
	}
	req := order("anywhere")
	req.Region = "nyc"
	if d := create(t, g, req); d.Region.Slug != "nyc1" {
		t.Errorf("region nyc: got %s, want one that begins so", d.Region.Slug)
	}
	sizes, _, err := g.Sizes.List(t.Context(), all())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		if want, set := map[string]float64{"s-1vcpu-1gb": 7, "s-1vcpu-2gb": 12}[size.Slug]; set && size.PriceMonthly != want {
			t.Errorf("%s: got $%v a month, want $%v", size.Slug, size.PriceMonthly, want)
		}
	}
	if im, _, err := g.Images.GetBySlug(t.Context(), "ubuntu-24-04-x64"); err != nil || im.Distribution != "Ubuntu" {
		t.Errorf("image by slug: got %+v, %v; want Ubuntu", im, err)
	}
	if found, _, err := g.Images.ListDistribution(t.Context(), all()); err != nil || len(found) != 4 {
		t.Errorf("got %d images, %v; want 4", len(found), err)
	}
	if found, _, err := g.Regions.List(t.Context(), all()); err != nil || len(found) != 10 {
		t.Errorf("got %d regions, %v; want 10", len(found), err)
	}
}
