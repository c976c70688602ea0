package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// errLocked means that somebody else held a lock all the time.
var errLocked = errors.New("locked by another process")

// lockPath takes the lock of a file, making it if there is none, and waits until ctx
// ends. A lock of a file that was removed in the meantime is not taken for one.
func lockPath(ctx context.Context, path string) (*flock.Flock, error) {
	for {
		l, err := tryLock(path)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", path, errLocked)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tryLock returns nil without an error if somebody else holds the lock.
func tryLock(path string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil { //nolint:gosec // below the fleet's directory
		return nil, boxsim.Explain(err)
	}
	l := flock.New(path, flock.SetPermissions(0o600))
	got, err := l.TryLock()
	if err != nil || !got {
		return nil, boxsim.Explain(errors.Join(err, l.Close()))
	}
	held, err := l.Stat()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	named, err := os.Stat(path) //nolint:gosec // below the fleet's directory
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, l.Close())
	}
	if err != nil || !os.SameFile(held, named) {
		return nil, l.Close()
	}
	return l, nil
}
