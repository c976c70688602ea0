package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
)

// decodeStrict reads one YAML document over the values that into already holds.
func decodeStrict(text []byte, into *Config) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return errors.New("empty")
	}
	err := yaml.NewDecoder(bytes.NewReader(text), yaml.DisallowUnknownField()).Decode(into)
	if errors.Is(err, io.EOF) {
		return errors.New("no keys")
	}
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		return unknownKey(unknown)
	}
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		line := 0
		if token := syntax.GetToken(); token != nil && token.Position != nil {
			line = token.Position.Line
		}
		return fmt.Errorf("line %d: %s", line, syntax.GetMessage())
	}
	return err
}

// unknownKey names the line of the key and the known key that is nearest to it.
func unknownKey(unknown *yaml.UnknownFieldError) error {
	key, line := "", 0
	if unknown.Token != nil {
		key, line = unknown.Token.Value, unknown.Token.Position.Line
	}
	best, distance := "", len(key)/2+2
	for _, known := range configKeys() {
		if d := levenshtein.ComputeDistance(key, known); d < distance {
			best, distance = known, d
		}
	}
	err := fmt.Errorf("line %d: unknown key %q", line, key)
	if best == "" {
		return hint(err, "see `relay config example` for the keys that exist")
	}
	return hint(fmt.Errorf("%w, the nearest known key is %q", err, best), "write "+best+" or remove the key")
}

// configKeys lists every key of a configuration, those of limits too.
func configKeys() []string {
	var keys []string
	for _, t := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Limits]()} {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name != "-" {
				keys = append(keys, name)
			}
		}
	}
	return keys
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return text, nil
}
