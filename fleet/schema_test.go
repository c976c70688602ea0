package fleet

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatalf("schema is not JSON: %v", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("fleet.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("fleet.schema.json")
	if err != nil {
		t.Fatalf("schema does not compile: %v", err)
	}
	return s
}

func schemaError(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestSchema_AcceptsWhatLoadAccepts(t *testing.T) {
	s := compileSchema(t)
	files := exampleFleets(t)
	files["minimal"], files["example"] = []byte(minimal), Example("three", ProviderLocal, exampleID)
	for name, data := range files {
		if err := schemaError(t, s, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := schemaError(t, s, Encode(mustLoad(t, data, name))); err != nil {
			t.Errorf("%s, canonical: %v", name, err)
		}
	}
}

func TestSchema_RefusesWhatOneValueAloneMakesWrong(t *testing.T) {
	s := compileSchema(t)
	for _, bad := range []string{
		"relays: {}", "relay: {prot: 1}", "relay: {port: 0}", "relay: {port: abc}", "relay: {tier: a/b}", "provider: elsewhere",
		"rollout: {drain_timeout: 5}", "rollout: {drain_timeout: soon}", "relay: {limits: {memory: 1}}",
	} {
		if _, err := Load([]byte(with(bad)), "f"); err == nil {
			t.Errorf("%s: Load accepts it", bad)
		}
		if err := schemaError(t, s, []byte(with(bad))); err == nil {
			t.Errorf("%s: the schema accepts it", bad)
		}
	}
}

func TestSchema_EveryKeyIsDescribed(t *testing.T) {
	var spec Spec
	var walk func(at string, g group)
	walk = func(at string, g group) {
		for _, k := range g {
			if !strings.HasSuffix(k.doc, ".") {
				t.Errorf("%s: its description is %q, want a sentence", join(at, k.name), k.doc)
			}
			if sub, ok := k.value.(group); ok {
				walk(join(at, k.name), sub)
			}
		}
	}
	walk("", keys(&spec))
	walk("nodes", nodeKeys(&NodeSpec{}).(group))
}
