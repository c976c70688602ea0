package sshx

import (
	"errors"
	"fmt"
	"path"

	"github.com/pkg/sftp"
)

// ErrNoSpace means that a box has no room for what was to be written. See NoSpaceError.
var ErrNoSpace = errors.New("no space left")

// NoSpaceError says where on a box there is no room.
type NoSpaceError struct {
	Dir string
	Err error // what the box said
}

// Error names the directory.
func (e *NoSpaceError) Error() string { return fmt.Sprintf("no space left in %s: %v", e.Dir, e.Err) }

// Is makes it an ErrNoSpace.
func (e *NoSpaceError) Is(target error) bool { return target == ErrNoSpace }

// Unwrap gives what the box said.
func (e *NoSpaceError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *NoSpaceError) Hint() string { return "make room on the box, then run the same command again" }

const (
	statvfsName = "statvfs@openssh.com"
	leastFree   = 1 << 20 // bytes; a disk with less has no room for what was refused
)

// explained finds out whether a write failed for want of space: SFTP has one code for every
// failure. It must be called while what was written is still there.
func explained(fc *sftp.Client, name string, err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) || status.FxCode() != sftp.ErrSSHFxFailure {
		return err
	}
	if _, offered := fc.HasExtension(statvfsName); !offered {
		return err
	}
	disk, askErr := fc.StatVFS(path.Dir(name))
	if askErr != nil {
		return err // the write's own error is what counts
	}
	full := disk.Bavail <= leastFree/max(disk.Frsize, 1)
	noFiles := disk.Files > 0 && disk.Favail == 0
	if !full && !noFiles {
		return err
	}
	return &NoSpaceError{Dir: path.Dir(name), Err: err}
}
