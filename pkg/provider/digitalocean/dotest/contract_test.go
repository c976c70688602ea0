package dotest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// original is where the description that the copy was cut from may lie, beside the
// repository.
var original = filepath.FromSlash("../../../../../shared/spec/digitalocean-openapi.json")

func description(t *testing.T, path string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return all
}

// references collects what a part of a description points at.
func references(part any, into map[string]bool) {
	switch p := part.(type) {
	case map[string]any:
		for key, value := range p {
			if s, is := value.(string); is && (key == "$ref" || strings.HasPrefix(s, "#/components/")) {
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
	all := description(t, "testdata/openapi.json")
	used := map[string]bool{"#/components/securitySchemes/bearer_auth": true}
	references(all, used)
	components, _ := all["components"].(map[string]any)
	for kind, parts := range components {
		named, _ := parts.(map[string]any)
		for name := range named {
			if ref := "#/components/" + kind + "/" + name; !used[ref] {
				t.Errorf("%s is used by nothing", ref)
			}
		}
	}
}

// TestDescription_IsWordForWordAsPublished compares with the original where that is at
// hand; what is compared in any case is that the licence is named.
func TestDescription_IsWordForWordAsPublished(t *testing.T) {
	cut := description(t, "testdata/openapi.json")
	info, _ := cut["info"].(map[string]any)
	if licence, _ := info["license"].(map[string]any); licence["name"] != "Apache 2.0" {
		t.Errorf("got licence %v, want Apache 2.0", licence)
	}
	if _, err := os.Stat(original); errors.Is(err, fs.ErrNotExist) {
		return
	}
	contained(t, "", cut, description(t, original))
}

// contained checks paths, methods and components one by one, and all below them whole.
func contained(t *testing.T, at string, cut, whole map[string]any) {
	t.Helper()
	for name, part := range cut {
		here := at + "/" + name
		inner, isObject := part.(map[string]any)
		outer, alsoObject := whole[name].(map[string]any)
		if isObject && alsoObject && partly(here) {
			contained(t, here, inner, outer)
			continue
		}
		if !reflect.DeepEqual(part, whole[name]) {
			t.Errorf("%s differs from what is published", here)
		}
	}
}

// partly names the objects of which the copy has a part only.
func partly(at string) bool {
	depth := strings.Count(at, "/")
	switch {
	case at == "/paths", at == "/components":
		return true
	case strings.HasPrefix(at, "/components/"):
		return depth == 2
	default: // a path has slashes of its own; what is below it is an operation
		return strings.HasPrefix(at, "/paths//v2/") && !strings.HasSuffix(at, "/get") && !strings.HasSuffix(at, "/post") &&
			!strings.HasSuffix(at, "/put") && !strings.HasSuffix(at, "/delete")
	}
}

func TestDescription_EveryOperationOfItIsServed(t *testing.T) {
	s := serve(t, dotest.Config{})
	paths, _ := description(t, "testdata/openapi.json")["paths"].(map[string]any)
	fill := strings.NewReplacer(
		"{ssh_key_identifier}", "1", "{action_id}", "1", "{droplet_id}", "1", "{tag_id}", "x",
		"{firewall_id}", "00000000-0000-4000-8000-000000000000", "{image_id}", "1")
	for path, item := range paths {
		operations, _ := item.(map[string]any)
		for method := range operations {
			s.send(t, dotest.DefaultToken, strings.ToUpper(method), fill.Replace(path), "")
			if s.Calls()[strings.ToUpper(method)+" "+path] == 0 {
				t.Errorf("%s %s is described and not served", method, path)
			}
		}
	}
	s.quiet = true // most of them lack a body
}

func TestRequest_ThatIsNotAsDescribedIsRefusedAndRecorded(t *testing.T) {
	for _, c := range []struct {
		what, method, path, body string
		status                   int
		says                     string
	}{
		{"no JSON", "POST", "/v2/droplets", `{"name":`, 400, "decode"},
		{"no size", "POST", "/v2/droplets", `{"name":"a","region":"nyc1","image":"debian-12-x64"}`, 422, "size"},
		{"wrong type", "POST", "/v2/droplets", body(`,"user_data":7`), 422, "user_data"},
		{"secret in the wrong place", "POST", "/v2/droplets", body(`,"backups":"s3cret"`), 422, "backups"},
		{"unknown action", "POST", "/v2/droplets/1/actions", `{"type":"explode"}`, 422, "type"},
		{"no droplet ID", "GET", "/v2/droplets/x", "", 422, "droplet_id"},
		{"nothing there", "GET", "/v2/kubernetes/clusters", "", 404, "not served"},
		{"wrong method", "PATCH", "/v2/droplets", "", 404, "not served"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := serve(t, dotest.Config{})
			if r := s.send(t, dotest.DefaultToken, c.method, c.path, c.body); r.status != c.status || r.body["id"] == nil || r.body["message"] == nil {
				t.Errorf("got %d %s, want %d with id and message", r.status, r.raw, c.status)
			} else if id := r.header.Get("X-Request-Id"); id == "" || r.body["request_id"] != id {
				t.Errorf("got request_id %v, header %q; want the same", r.body["request_id"], id)
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
