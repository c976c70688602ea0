package boxsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/relayfleet/fleetctl/fleet"
)

// WriteFile replaces a file as a whole: a temporary one beside it, synced and renamed.
func WriteFile(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return Explain(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // renamed, or of no use
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return Explain(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return Explain(err)
	}
	return SyncDir(filepath.Dir(path))
}

// WriteJSON replaces a file by the JSON form of v.
func WriteJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(text, '\n'), 0o600)
}

// ReadJSON decodes a file of ours. A missing one is fs.ErrNotExist.
func ReadJSON(path string, into any) error {
	text, err := os.ReadFile(path) //nolint:gosec // below a fleet's directory
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	return nil
}

// Explain adds what the operator can do about a disk that takes nothing.
func Explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), isReadOnly(err):
		return fleet.WithHint(err, "Make the state directory writable, or set XDG_STATE_HOME to another one.")
	case isFull(err):
		return fleet.WithHint(err, "Free some space, or set XDG_STATE_HOME to a directory on another disk.")
	}
	return err
}
