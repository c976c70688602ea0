package fleet

import (
	"regexp"
	"strconv"

	"github.com/goccy/go-yaml"
)

// Encode is the spec as a complete fleet.yaml, in the canonical order of the keys: what
// [Load] reads from it is the spec again. Equal specs give equal bytes.
func Encode(s Spec) []byte {
	data, err := yaml.MarshalWithOptions(keys(&s).encode(), yaml.IndentSequence(true), yaml.CustomMarshaler(word))
	if err != nil {
		panic(err) // text, whole numbers and lists of them can be encoded
	}
	return data
}

// plainWord is text that means the same in YAML wherever it stands bare.
var plainWord = regexp.MustCompile(`^([A-Za-z0-9/_]|~/|\.\.?/)`)

// word is text as the library writes it, or in quotes where it leaves bare what is read as
// something else: "? !", "...".
func word(text string) ([]byte, error) {
	data, err := yaml.Marshal(text)
	if err != nil || plainWord.MatchString(text) || data[0] == '"' || data[0] == '\'' {
		return data, err
	}
	return strconv.AppendQuote(nil, text), nil
}
