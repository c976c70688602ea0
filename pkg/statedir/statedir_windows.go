package statedir

import (
	"errors"
	"io/fs"
	"syscall"
)

// ours is always true: the profile directory of a user is closed to others.
func ours(fs.FileInfo) bool { return true }

func isReadOnly(error) bool { return false }

// diskFull is ERROR_DISK_FULL.
const diskFull = syscall.Errno(112)

func isFull(err error) bool { return errors.Is(err, diskFull) }
