package cftest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestList_FiltersAreThoseThatAreDocumented(t *testing.T) {
	s := serve(t, cftest.Config{Zones: []cftest.Zone{{Name: cftest.DefaultZone, Plan: cftest.Pro}}})
	s.want(t, "POST", "", txt("_dnsaddr", `"dnsaddr=1"`, `,"comment":"fleetctl:a/nyc1-1","tags":["owner:me"]`))
	s.want(t, "POST", "", txt("_dnsaddr.nyc1", "dnsaddr=2", ""))
	s.want(t, "POST", "", `{"type":"A","name":"www","content":"192.0.2.3","ttl":60,"proxied":true}`)
	for query, want := range map[string]string{
		"":                                           "3,1,2", // by type
		"type=TXT":                                   "1,2",
		"name=_dnsaddr.example.test":                 "1",
		"name.exact=_DNSADDR.example.test":           "1",
		"name.startswith=_dnsaddr.":                  "1,2",
		"name.endswith=nyc1.example.test":            "2",
		"name.contains=dnsaddr":                      "1,2",
		"content.startswith=dnsaddr%3D":              "2", // what is quoted begins with a quote
		"content.contains=dnsaddr%3D":                "1,2",
		"content=dnsaddr%3D2":                        "2",
		"comment.present=true":                       "1",
		"comment.absent=true":                        "3,2",
		"comment.startswith=FLEETCTL:a%2F":           "1",
		"comment.exact=fleetctl:a%2Fnyc1-1":          "1",
		"type=A&comment.present=true":                "",
		"type=A&comment.present=true&match=any":      "3,1",
		"tag=owner:me":                               "1",
		"tag.present=owner":                          "1",
		"tag.absent=owner":                           "3,2",
		"proxied=true":                               "3",
		"search=nyc1-1":                              "1",
		"order=content&direction=desc&type=TXT":      "2,1",
		"order=name&per_page=1&page=2&direction=asc": "2",
	} {
		var got []string
		for _, r := range decode[[]record](t, s.want(t, "GET", "?"+query, "")) {
			got = append(got, strings.Trim(r.Content, `"`)[len(strings.Trim(r.Content, `"`))-1:])
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: got %q, want %s", query, got, want)
		}
	}
}

func TestList_IsPagedAndCounted(t *testing.T) {
	s := serve(t, cftest.Config{})
	var posts []string
	for n := range 120 {
		posts = append(posts, txt(fmt.Sprintf("r%03d", n), "x", ""))
	}
	s.want(t, "POST", "/batch", `{"posts":[`+strings.Join(posts, ",")+`]}`)
	for query, want := range map[string][5]int{ // page, per_page, count, total_count, total_pages
		"":                           {1, 100, 100, 120, 2},
		"?page=2":                    {2, 100, 20, 120, 2},
		"?page=3":                    {3, 100, 0, 120, 2},
		"?per_page=5000":             {1, 5000, 120, 120, 1},
		"?per_page=50&page=3":        {3, 50, 20, 120, 3},
		"?name.startswith=r00":       {1, 100, 10, 10, 1},
		"?name.startswith=nothing":   {1, 100, 0, 0, 0},
		"?page=1000000&per_page=100": {1000000, 100, 0, 120, 2},
	} {
		r := s.want(t, "GET", query, "")
		i := r.body.ResultInfo
		if got := [5]int{i.Page, i.PerPage, i.Count, i.TotalCount, i.TotalPages}; got != want || len(decode[[]record](t, r)) != want[2] {
			t.Errorf("%s: got %v with %d records, want %v", query, got, len(decode[[]record](t, r)), want)
		}
	}
	seen := map[string]bool{}
	for n := 1; n <= 6; n++ {
		for _, r := range decode[[]record](t, s.want(t, "GET", fmt.Sprintf("?per_page=20&page=%d", n), "")) {
			seen[r.ID] = true
		}
	}
	if len(seen) != 120 {
		t.Errorf("got %d records on six pages, want 120", len(seen))
	}
}

func TestZones_AreFoundByNameAndStatus(t *testing.T) {
	cfg := cftest.Config{
		Zones:  []cftest.Zone{{Name: "a.test"}, {Name: "b.test", Pending: true}, {Name: "b.test"}, {Name: "c.b.test"}},
		Tokens: []cftest.Token{{Value: "all", Grants: []cftest.Grant{{May: cftest.All}}}},
	}
	s := serve(t, cfg)
	for query, want := range map[string]string{
		"":                              "a.test active,b.test pending,b.test active,c.b.test active",
		"?name=b.test":                  "b.test pending,b.test active",
		"?name=b.test&status=active":    "b.test active",
		"?name=ends_with:b.test":        "b.test pending,b.test active,c.b.test active",
		"?name=other.test":              "",
		"?per_page=5&page=2":            "",
		"?order=name&direction=desc":    "c.b.test active,b.test active,b.test pending,a.test active",
		"?name=starts_with:c&match=all": "c.b.test active",
	} {
		r := s.send(t, "all", "GET", "/zones"+query, "")
		var got []string
		for _, z := range decode[[]struct{ ID, Name, Status string }](t, r) {
			got = append(got, z.Name+" "+z.Status)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: got %q, want %s", query, got, want)
		}
	}
	id := s.ZoneID("a.test")
	if r := s.send(t, "all", "GET", "/zones/"+id, ""); r.status != 200 || !strings.Contains(r.raw, `"name":"a.test"`) {
		t.Errorf("got %d %s, want a.test", r.status, r.raw)
	}
	if b := s.ZoneID("b.test"); b == "" || b == id || s.ZoneID("no.test") != "" {
		t.Errorf("got zone ID %q, want one that is not that of a.test", b)
	}
}
