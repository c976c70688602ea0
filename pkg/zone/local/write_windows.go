package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeFile replaces a file by one that was synced, or leaves the old one.
func writeFile(path string, text []byte) error {
	t, err := os.CreateTemp(filepath.Dir(path), ".zone-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = t.Write(text)
	err = errors.Join(err, t.Sync(), t.Close())
	if err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(t.Name())))
	}
	return nil
}
