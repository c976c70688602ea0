//go:build unix

package local

import (
	"io/fs"
	"os"
	"syscall"
)

// supported reports why this system cannot run a supervisor, nil if it can.
func supported() error { return nil }

// ours reports whether a file belongs to the user who runs this program.
func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
