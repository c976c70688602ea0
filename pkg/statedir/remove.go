package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Remove takes the directory away, but for the files that keep names: as long as there is
// one the directory stays, and stays is true. Without a directory there is nothing to do.
// The caller holds the lock; a command that waits for it begins a new directory.
func (d *Dir) Remove(keep func(name string) bool) (stays bool, err error) {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, d.hint(fmt.Errorf("remove state directory: %w", err))
	}
	var errs []error
	for _, e := range entries {
		if keep(e.Name()) {
			stays = true
		}
	}
	if !stays {
		return false, d.removeWhole()
	}
	for _, e := range entries {
		if !keep(e.Name()) {
			errs = append(errs, os.RemoveAll(filepath.Join(d.path, e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return true, d.hint(fmt.Errorf("remove state directory: %w", err))
	}
	return true, nil
}

// removeWhole takes the directory away under another name first: a command that waits for
// its lock may be writing into it.
func (d *Dir) removeWhole() error {
	gone, err := os.MkdirTemp(filepath.Dir(d.path), ".gone-")
	if err != nil {
		return d.hint(fmt.Errorf("remove state directory: %w", err))
	}
	err = os.Rename(d.path, filepath.Join(gone, filepath.Base(d.path)))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err := errors.Join(err, os.RemoveAll(gone)); err != nil {
		return d.hint(fmt.Errorf("remove state directory: %w", err))
	}
	return nil
}
