package local

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

var errUnsupported = errors.New("provider local does not run on Windows")

func supported() error { return errUnsupported }

func isReadOnly(error) bool { return false }

// ERROR_DISK_FULL and WSAEADDRINUSE.
const (
	diskFull  = syscall.Errno(112)
	addrInUse = syscall.Errno(10048)
)

func isFull(err error) bool { return errors.Is(err, diskFull) }

func isInUse(err error) bool { return errors.Is(err, addrInUse) }

func ours(fs.FileInfo) bool { return true }

func syncDir(string) error { return nil }

func detach(*exec.Cmd) (int, error) { return 0, errUnsupported }

func reap(int) (end exit, done, child bool) { return exit{}, false, false }

func terminate(int) error { return errUnsupported }

func kill(int) error { return errUnsupported }

func lockHeld(*os.File) (bool, error) { return false, errUnsupported }

func isTerm(int) bool { return false }
