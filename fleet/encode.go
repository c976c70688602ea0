package fleet

import "github.com/goccy/go-yaml"

// Encode is the spec as a complete fleet.yaml, in the canonical order of the keys: what
// [Load] reads from it is the spec again. Equal specs give equal bytes.
func Encode(s Spec) []byte {
	data, err := yaml.MarshalWithOptions(keys(&s).encode(), yaml.IndentSequence(true))
	if err != nil {
		panic(err) // text, whole numbers and lists of them can be encoded
	}
	return data
}
