package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/relayfleet/fleetctl/fleet"
)

// writeFile replaces a file as a whole: a temporary one beside it, synced and renamed.
func writeFile(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return explain(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // renamed, or of no use
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return explain(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return explain(err)
	}
	return syncDir(filepath.Dir(path))
}

// writeJSON replaces a file by the JSON form of v.
func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'), 0o600)
}

// readJSON decodes a file of ours. A missing one is fs.ErrNotExist.
func readJSON(path string, into any) error {
	text, err := os.ReadFile(path) //nolint:gosec // below the fleet's directory
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	return nil
}

// explain adds what the operator can do about a disk that takes nothing.
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), isReadOnly(err):
		return fleet.WithHint(err, "Make the state directory writable, or set XDG_STATE_HOME to another one.")
	case isFull(err):
		return fleet.WithHint(err, "Free some space, or set XDG_STATE_HOME to a directory on another disk.")
	}
	return err
}

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
		return nil, explain(err)
	}
	l := flock.New(path, flock.SetPermissions(0o600))
	got, err := l.TryLock()
	if err != nil || !got {
		return nil, explain(errors.Join(err, l.Close()))
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
