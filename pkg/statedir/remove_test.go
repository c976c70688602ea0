package statedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRemove_TakesEverythingButWhatIsKept(t *testing.T) {
	history := func(name string) bool { return strings.HasPrefix(name, "history") }
	for what, c := range map[string]struct {
		file  string
		stays bool
	}{
		"nothing is kept": {"ssh_key", false},
		"one file is":     {"history.db", true},
	} {
		t.Run(what, func(t *testing.T) {
			base, spec := home(t)
			d, err := Open(base, "blue", spec)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(d.Join(c.file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			lock, err := d.Lock(t.Context(), Holder{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			stays, err := d.Remove(history)
			if err != nil || stays != c.stays || d.Exists() != c.stays {
				t.Fatalf("got stays %t, there %t, %v; want %t", stays, d.Exists(), err, c.stays)
			}
			if err := lock.Unlock(); err != nil {
				t.Errorf("unlock: %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(base, "*"))
			hidden, _ := filepath.Glob(filepath.Join(base, ".*"))
			if c.stays {
				left, _ = filepath.Glob(d.Join("*"))
			}
			if want := map[bool]int{true: 1}[c.stays]; len(left) != want || len(hidden) != 0 {
				t.Errorf("got %q and %q left, want %d", left, hidden, want)
			}
			if stays, err := d.Remove(history); err != nil || stays != c.stays {
				t.Errorf("once more: got %t, %v; want %t and no error", stays, err, c.stays)
			}
		})
	}
}
