package local

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// SetPatience shortens how long Apply waits for the server.
func SetPatience(z *Zone, d time.Duration) { z.patience = d }

// HoldLock takes the lock of a zone's directory until the returned release.
func HoldLock(t *testing.T, dir string) (release func()) {
	t.Helper()
	l := flock.New(filepath.Join(dir, lockFile))
	if err := l.Lock(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// DecodeTwice checks that what decode accepts is written and read as the same zone.
func DecodeTwice(text []byte) error {
	f, err := decode(text)
	if err != nil {
		return nil //nolint:nilerr // refused is a good answer
	}
	first, err := f.encode()
	if err != nil {
		return err
	}
	g, err := decode(first)
	if err != nil {
		return fmt.Errorf("refused what was written: %w", err)
	}
	second, err := g.encode()
	if err != nil {
		return err
	}
	if !bytes.Equal(first, second) {
		return fmt.Errorf("got %s, want %s", second, first)
	}
	return nil
}
