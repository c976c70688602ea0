//go:build !windows

package local

import (
	"fmt"

	"github.com/google/renameio/v2"
)

// writeFile replaces a file by one that was synced, or leaves the old one.
func writeFile(path string, text []byte) error {
	if err := renameio.WriteFile(path, text, 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
