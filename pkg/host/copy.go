package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// checkRemote refuses a path that means another one than it says.
func checkRemote(remote string) error {
	if !path.IsAbs(remote) || strings.ContainsRune(remote, 0) || path.Clean(remote) != remote || remote == "/" {
		return fleet.WithHint(fmt.Errorf("path on the box %q: not an absolute, clean path to a file", clean(remote, 300)),
			"Name the file in full, for example /tmp/file.")
	}
	return nil
}

// Put copies a local file to a path on m, in one step: a reader there sees the old file
// or the whole new one. Its permissions are those of the local file.
func (h *Hosts) Put(ctx context.Context, m fleet.Machine, local, remote string) error {
	b, err := h.box(m)
	if err != nil {
		return err
	}
	if err := checkRemote(remote); err != nil {
		return err
	}
	info, err := os.Stat(local)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", m.Node, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("copy to %s: %w", m.Node, &fs.PathError{Op: "open", Path: local, Err: errors.New("not a regular file")})
	}
	sum, err := fileDigest(local)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", m.Node, err)
	}
	err = b.run.Upload(ctx, b.at, local, remote, sum, info.Mode().Perm())
	b.audit(ctx, "copy to "+clean(remote, 300), err)
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", local, remote, err)
	}
	return nil
}

// Get copies a file of m to w, as it is; one that is larger than limit bytes is
// [sshx.ErrTooLarge], and then nothing is written to w.
func (h *Hosts) Get(ctx context.Context, m fleet.Machine, remote string, w io.Writer, limit int64) error {
	b, err := h.box(m)
	if err != nil {
		return err
	}
	if err := checkRemote(remote); err != nil {
		return err
	}
	data, err := b.run.ReadFile(ctx, b.at, remote, limit)
	if errors.Is(err, sshx.ErrTooLarge) {
		return fmt.Errorf("copy %s from %s: more than %d bytes: %w", remote, m.Node, limit, sshx.ErrTooLarge)
	}
	if err != nil {
		return fmt.Errorf("copy %s from %s: %w", remote, m.Node, err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("copy %s from %s: %w", remote, m.Node, err)
	}
	return nil
}
