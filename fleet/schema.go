package fleet

import (
	"bytes"
	"encoding/json"
)

// Schema is the JSON Schema (draft 2020-12) of fleet.yaml, for editors. It knows keys,
// types, ranges and defaults; [Load] checks more, such as what depends on several values.
func Schema() []byte {
	s := Defaults("", "", "", nil)
	schema := keys(&s).schema()
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "fleet.yaml"
	schema["description"] = "A fleet of libp2p relays, as fleetctl keeps it."
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		panic(err) // maps, lists, text and whole numbers can be encoded
	}
	return b.Bytes()
}
