package dotest_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// The defaults are what DigitalOcean documents.
func TestLimit_250RequestsAMinuteThen429WithRetryAfter(t *testing.T) {
	at := newClock()
	s := serve(t, dotest.Config{Now: at.Now})
	for n := range 250 {
		if r := s.send(t, dotest.DefaultToken, "GET", "/v2/account", ""); r.status != http.StatusOK {
			t.Fatalf("request %d: got %d, want 200", n+1, r.status)
		}
	}
	at.add(20 * time.Second)
	r := s.send(t, dotest.DefaultToken, "GET", "/v2/account", "")
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "40" || r.body["id"] != "too_many_requests" {
		t.Errorf("request 251: got %d, retry-after %q, %s; want 429, 40, too_many_requests", r.status, r.header.Get("Retry-After"), r.raw)
	}
	at.add(40 * time.Second)
	if r := s.send(t, dotest.DefaultToken, "GET", "/v2/account", ""); r.status != http.StatusOK {
		t.Errorf("after retry-after: got %d, want 200", r.status)
	}
}

func TestLimit_HourlyBudgetIsInEveryAnswerAndIts429HasNoRetryAfter(t *testing.T) {
	at := newClock()
	s := serve(t, dotest.Config{Now: at.Now, Limits: dotest.Limits{PerHour: 3}})
	start := at.Now()
	for n := range 3 {
		r := s.send(t, dotest.DefaultToken, "GET", "/v2/regions", "")
		want := strconv.Itoa(2 - n)
		reset := strconv.FormatInt(start.Add(time.Hour).Unix(), 10) // when the oldest request stops to count
		if h := r.header; h.Get("ratelimit-limit") != "3" || h.Get("ratelimit-remaining") != want || h.Get("ratelimit-reset") != reset {
			t.Errorf("request %d: got limit %q, remaining %q, reset %q; want 3, %s, %s", n+1,
				h.Get("ratelimit-limit"), h.Get("ratelimit-remaining"), h.Get("ratelimit-reset"), want, reset)
		}
		at.add(time.Minute)
	}
	r := s.send(t, dotest.DefaultToken, "GET", "/v2/regions", "")
	if _, has := r.header["Retry-After"]; r.status != http.StatusTooManyRequests || has || r.header.Get("ratelimit-remaining") != "0" {
		t.Errorf("beyond the hour's budget: got %d with %v; want 429 without retry-after, nothing remaining", r.status, r.header)
	}
	at.add(57 * time.Minute) // an hour after the first
	if r := s.send(t, dotest.DefaultToken, "GET", "/v2/regions", ""); r.status != http.StatusOK {
		t.Errorf("when the oldest request has expired: got %d, want 200", r.status)
	}
}

func TestLimit_HourlyDefaultIs5000(t *testing.T) {
	s := serve(t, dotest.Config{})
	if r := s.send(t, dotest.DefaultToken, "GET", "/v2/sizes", ""); r.header.Get("ratelimit-limit") != "5000" {
		t.Errorf("got limit %q, want 5000", r.header.Get("ratelimit-limit"))
	}
}

func TestLimit_10KeyListsPerMinute(t *testing.T) {
	at := newClock()
	s := serve(t, dotest.Config{Now: at.Now})
	g := s.client(t, dotest.DefaultToken)
	for n := range 10 {
		if _, _, err := g.Keys.List(t.Context(), nil); err != nil {
			t.Fatalf("list %d: %v", n+1, err)
		}
	}
	_, _, err := g.Keys.List(t.Context(), nil)
	wantStatus(t, "list 11 of the keys", err, http.StatusTooManyRequests)
	_, _, err = g.Keys.GetByID(t.Context(), 1)
	wantStatus(t, "get of one key, which the limit does not name", err, http.StatusNotFound)
	at.add(time.Minute)
	if _, _, err := g.Keys.List(t.Context(), nil); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestLimit_LimitsAreOfOneToken(t *testing.T) {
	s := serve(t, dotest.Config{Accounts: []dotest.Account{{Token: "a"}, {Token: "b"}}, Limits: dotest.Limits{PerMinute: 1}})
	s.send(t, "a", "GET", "/v2/account", "")
	a, b := s.send(t, "a", "GET", "/v2/account", ""), s.send(t, "b", "GET", "/v2/account", "")
	if a.status != http.StatusTooManyRequests || b.status != http.StatusOK {
		t.Errorf("got %d for the token that was used and %d for the other, want 429 and 200", a.status, b.status)
	}
}

func TestLimit_NoLimitsAnswersAnyNumber(t *testing.T) {
	s := serve(t, dotest.Config{Now: newClock().Now, Limits: dotest.NoLimits()})
	for n := range 260 {
		if r := s.send(t, dotest.DefaultToken, "GET", "/v2/account/keys", ""); r.status != http.StatusOK {
			t.Fatalf("request %d: got %d, want 200", n+1, r.status)
		}
	}
}

// body is a create of one droplet, with more fields.
func body(more string) string {
	return `{"name":"a","region":"nyc1","size":"s-1vcpu-1gb","image":"debian-12-x64"` + more + `}`
}

func TestLimit_64KiBOfUserData(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	req := order("fits")
	req.UserData = strings.Repeat("x", 64*1024)
	create(t, g, req)
	req.UserData += "x"
	_, _, err := g.Droplets.Create(t.Context(), req)
	wantStatus(t, "64 KiB and one byte of user data", err, http.StatusUnprocessableEntity)
	s.wantViolation(t, "user_data")
}

func TestLimit_TenNamesPerCreate(t *testing.T) {
	s := serve(t, dotest.Config{})
	g := s.client(t, dotest.DefaultToken)
	req := &godo.DropletMultiCreateRequest{Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"}}
	for n := range 10 {
		req.Names = append(req.Names, fmt.Sprintf("n%d", n))
	}
	if _, _, err := g.Droplets.CreateMultiple(t.Context(), req); err != nil {
		t.Errorf("ten names: %v", err)
	}
	req.Names = append(req.Names, "n10")
	_, _, err := g.Droplets.CreateMultiple(t.Context(), req)
	wantStatus(t, "eleven names", err, http.StatusUnprocessableEntity)
	if n := len(s.Droplets(dotest.DefaultToken)); n != 10 {
		t.Errorf("got %d droplets, want the 10 of the first create", n)
	}
	s.wantViolation(t, "names")
}

func TestLimit_CharactersAndLengthOfADropletsName(t *testing.T) {
	s := serve(t, dotest.Config{})
	for name, want := range map[string]int{
		"a": 202, "fleet-nyc1-1.example": 202, strings.Repeat("a", 255): 202,
		strings.Repeat("a", 256): 422, "under_score": 422, "ends-": 422, "with space": 422, "ü": 422, "": 422,
	} {
		r := s.send(t, dotest.DefaultToken, "POST", "/v2/droplets", strings.Replace(body(""), `"a"`, strconv.Quote(name), 1))
		if r.status != want {
			t.Errorf("name %q: got %d %s, want %d", name, r.status, r.raw, want)
		}
	}
	s.wantViolation(t, "name")
}

func TestLimit_CharactersAndLengthOfATag(t *testing.T) {
	s := serve(t, dotest.Config{})
	for tag, good := range map[string]bool{
		"fleet:x": true, "a_b-C:1": true, strings.Repeat("t", 255): true,
		strings.Repeat("t", 256): false, "a b": false, "a.b": false, "ä": false, "": false,
	} {
		made := s.send(t, dotest.DefaultToken, "POST", "/v2/tags", fmt.Sprintf(`{"name":%q}`, tag))
		if made.status == http.StatusCreated != good {
			t.Errorf("tag %q: got %d %s, want it accepted: %v", tag, made.status, made.raw, good)
		}
		used := s.send(t, dotest.DefaultToken, "POST", "/v2/droplets", body(fmt.Sprintf(`,"tags":[%q]`, tag)))
		if used.status == http.StatusAccepted != good {
			t.Errorf("droplet with tag %q: got %d %s, want it accepted: %v", tag, used.status, used.raw, good)
		}
	}
	s.wantViolation(t, "is not a tag")
}

func TestLimit_200PerPage(t *testing.T) {
	s := serve(t, dotest.Config{})
	for query, want := range map[string]int{"per_page=1": 200, "per_page=200": 200, "per_page=201": 422, "per_page=0": 422, "page=0": 422, "page=9223372036854775807": 200} {
		if r := s.send(t, dotest.DefaultToken, "GET", "/v2/droplets?"+query, ""); r.status != want {
			t.Errorf("%s: got %d %s, want %d", query, r.status, r.raw, want)
		}
	}
	s.wantViolation(t, "per_page")
}

func TestLimit_20PerPageUnlessAskedOtherwise(t *testing.T) {
	s := serve(t, dotest.Config{Accounts: []dotest.Account{{Token: "t", DropletLimit: 50}}})
	for n := range 45 {
		if _, err := s.AddDroplet(t.Context(), "t", dotest.Machine{Name: fmt.Sprintf("n%02d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	g := s.client(t, "t")
	var found []godo.Droplet
	opt := &godo.ListOptions{}
	for pages := 1; ; pages++ {
		part, resp, err := g.Droplets.List(t.Context(), opt)
		if err != nil || resp.Meta.Total != 45 {
			t.Fatalf("page %d: total %v, %v; want 45", pages, resp.Meta, err)
		}
		found = append(found, part...)
		if resp.Links.IsLastPage() {
			if pages != 3 || len(part) != 5 {
				t.Errorf("got %d pages, %d droplets on the last; want 3 and 5", pages, len(part))
			}
			break
		}
		current, err := resp.Links.CurrentPage()
		if err != nil {
			t.Fatal(err)
		}
		opt.Page = current + 1
	}
	if got := names(found); len(got) != 45 || got[0] != "n00" || got[44] != "n44" {
		t.Errorf("got %q, want n00 to n44 once", got)
	}
}

func TestLimit_TagNameWithNoOtherFilter(t *testing.T) {
	s := serve(t, dotest.Config{})
	for _, other := range []string{"name=a", "type=droplets"} {
		if r := s.send(t, dotest.DefaultToken, "GET", "/v2/droplets?tag_name=x&"+other, ""); r.status != http.StatusUnprocessableEntity {
			t.Errorf("tag_name and %s: got %d, want 422", other, r.status)
		}
	}
	s.wantViolation(t, "tag_name")
}

func TestLimit_DropletsOfAnAccount(t *testing.T) {
	s := serve(t, dotest.Config{Accounts: []dotest.Account{{Token: "t", DropletLimit: 2}}})
	g := s.client(t, "t")
	create(t, g, order("a"))
	_, _, err := g.Droplets.CreateMultiple(t.Context(), &godo.DropletMultiCreateRequest{
		Names: []string{"b", "c"}, Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"},
	})
	wantStatus(t, "two more than there is room for one", err, http.StatusUnprocessableEntity)
	if err == nil || !strings.Contains(err.Error(), "will exceed your droplet limit") {
		t.Errorf("got %v, want the limit named", err)
	}
	create(t, g, order("b"))
}
