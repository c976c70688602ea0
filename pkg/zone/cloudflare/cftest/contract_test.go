package cftest_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func description(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("testdata/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// references collects what a part of a description points at.
func references(part any, into map[string]bool) {
	switch p := part.(type) {
	case map[string]any:
		for key, value := range p {
			if s, is := value.(string); is && key == "$ref" {
				into[s] = true
			}
			references(value, into)
		}
	case []any:
		for _, value := range p {
			references(value, into)
		}
	}
}

func TestDescription_IsValidAndHoldsNothingThatNoOperationNeeds(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("testdata/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if doc.Info.License.Name != "BSD-3-Clause" {
		t.Errorf("got licence %s, want BSD-3-Clause", doc.Info.License.Name)
	}
	used := map[string]bool{}
	references(description(t), used)
	for name, schema := range doc.Components.Schemas {
		if !used["#/components/schemas/"+name] {
			t.Errorf("%s is used by nothing", name)
		}
		if schema.Extensions["x-provenance"] == nil && schema.Value.Extensions["x-provenance"] == nil {
			t.Errorf("%s does not say where it is from", name)
		}
	}
}

func TestDescription_EveryOperationOfItIsServed(t *testing.T) {
	s := serve(t, cftest.Config{})
	s.quiet = true // most of them lack a body
	fill := strings.NewReplacer("{zone_id}", s.ZoneID(cftest.DefaultZone), "{dns_record_id}", "0123456789abcdef0123456789abcdef")
	paths, _ := description(t)["paths"].(map[string]any)
	for path, item := range paths {
		operations, _ := item.(map[string]any)
		for method := range operations {
			s.send(t, cftest.DefaultToken, strings.ToUpper(method), fill.Replace(path), "")
			if s.Calls()[strings.ToUpper(method)+" "+path] == 0 {
				t.Errorf("%s %s is described and not served", method, path)
			}
		}
	}
	for _, v := range s.Violations() {
		if strings.HasPrefix(v, "answer") {
			t.Errorf("got violation %q, want none of an answer", v)
		}
	}
}

func TestRequest_ThatIsNotAsDescribedIsRefusedAndRecorded(t *testing.T) {
	const id = "/0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		what, method, rest, body string
		code                     int
		says                     string
	}{
		{"no JSON", "POST", "", `{"name":`, 9207, "decode"},
		{"no TTL", "POST", "", `{"type":"TXT","name":"a","content":"b"}`, 1004, "ttl"},
		{"no name", "POST", "", `{"type":"TXT","content":"b","ttl":60}`, 1004, "name"},
		{"no type", "POST", "", `{"name":"a","content":"b","ttl":60}`, 1004, "type"},
		{"TTL 2", "POST", "", `{"type":"TXT","name":"a","content":"b","ttl":2}`, 1004, "ttl"},
		{"null tags", "PATCH", id, `{"tags":null}`, 1004, "tags"},
		{"null comment", "POST", "", txt("a", "b", `,"comment":null`), 1004, "comment"},
		{"secret in the wrong place", "POST", "", txt("a", "b", `,"comment":["s3cret"]`), 1004, "comment"},
		{"batch of a delete without an ID", "POST", "/batch", `{"deletes":[{}]}`, 1004, "id"},
		{"page 0", "GET", "?page=0", "", 1004, "page"},
		{"filter that there is not", "GET", "?name.prefix=x", "", 1004, "name.prefix"},
		{"import", "POST", "/import", `{}`, 7003, "not served"},
		{"wrong method", "PUT", "", `{}`, 7003, "not served"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := serve(t, cftest.Config{})
			if r := s.do(t, c.method, c.rest, c.body); r.code() != c.code || r.status/100 != 4 {
				t.Errorf("got %d %s, want %d", r.status, r.raw, c.code)
			}
			s.wantViolation(t, c.says)
			for _, v := range s.Violations() {
				if strings.Contains(v, "s3cret") {
					t.Errorf("got violation %q, want it without the value", v)
				}
			}
		})
	}
}

func TestRequest_WithKeysThatTheDescriptionLetsPassIsRecorded(t *testing.T) {
	s := serve(t, cftest.Config{})
	s.want(t, "POST", "", txt("a", "b", `,"coment":"typo"`))
	s.wantViolation(t, "unknown keys coment")
	s.want(t, "POST", "/batch", `{"post":[]}`)
	s.wantViolation(t, "unknown keys post")
}

func TestCheck_SaysWhyThereCanBeNoSuchCloud(t *testing.T) {
	for says, cfg := range map[string]cftest.Config{
		"cannot be called": {Zones: []cftest.Zone{{Name: "a_b.test"}}},
		"no value":         {Tokens: []cftest.Token{{}}},
		"another one":      {Tokens: []cftest.Token{{Value: "a"}, {Value: "a"}}},
		"no zone":          {Zones: []cftest.Zone{{Name: "a.test"}}, Tokens: []cftest.Token{{Value: "a", Grants: []cftest.Grant{{Zone: "b.test"}}}}},
	} {
		if err := cftest.Check(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
}
