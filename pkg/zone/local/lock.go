package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockFile is held by whoever changes the zone's directory.
const lockFile = "zone.lock"

// lockEvery is how often a held lock is tried again.
const lockEvery = 5 * time.Millisecond

// locked runs do while nobody else changes the directory.
func locked(ctx context.Context, dir string, do func() error) (err error) {
	path := filepath.Join(dir, lockFile)
	for {
		l := flock.New(path, flock.SetPermissions(0o600))
		if _, err := l.TryLockContext(ctx, lockEvery); err != nil {
			return fmt.Errorf("lock zone: %w", errors.Join(err, l.Close()))
		}
		if !isCurrent(l, path) { // removed, with its zone, while we waited
			if err := l.Close(); err != nil {
				return fmt.Errorf("lock zone: %w", err)
			}
			continue
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		return do()
	}
}

// isCurrent reports whether the locked file is the one that the next one will lock.
func isCurrent(l *flock.Flock, path string) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(held, there)
}
