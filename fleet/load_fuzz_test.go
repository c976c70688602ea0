package fleet

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzLoad: no file makes Load panic or hang, what it refuses it refuses as a SpecError that
// can be printed, and what it accepts is valid and survives its canonical form.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		string(Example("three", ProviderLocal, exampleID)),
		minimal,
		"", "\x00", "name: [", "a: &x [*x]", "--- {}\n--- {}", "? a\n: b", "- - - -", "name: \"\\ud800\"",
		"nodes: [{region: nyc1, count: 999999999999999999}]", "rollout: {drain_timeout: 1h1h}", "\ufeffname: a", "name: |\n  a\n", "dns:\n\tttl: 1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := Load(data, "fleet.yaml")
		if err != nil {
			var se *SpecError
			if !errors.As(err, &se) {
				t.Fatalf("error is %T, want *SpecError", err)
			}
			if len(se.Problems) == 0 || len(se.Problems) > MaxProblems || !printable(string(bytes.ReplaceAll([]byte(err.Error()), []byte("\n"), nil))) {
				t.Fatalf("error cannot be shown: %q", err)
			}
			return
		}
		if err := spec.Validate(); err != nil {
			t.Fatalf("accepted spec is not valid: %v", err)
		}
		again, err := Load(Encode(spec), "canonical")
		if err != nil {
			t.Fatalf("canonical form is refused: %v\n%s", err, Encode(spec))
		}
		if !bytes.Equal(Encode(again), Encode(spec)) {
			t.Fatalf("canonical form is not stable:\n%s\n%s", Encode(spec), Encode(again))
		}
	})
}
