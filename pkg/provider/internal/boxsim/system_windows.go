package boxsim

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

var errUnsupported = errors.New("simulated boxes do not run on Windows")

func isReadOnly(error) bool { return false }

// ERROR_DISK_FULL and WSAEADDRINUSE.
const (
	diskFull  = syscall.Errno(112)
	addrInUse = syscall.Errno(10048)
)

func isFull(err error) bool { return errors.Is(err, diskFull) }

// IsInUse reports whether an address could not be had because somebody has it.
func IsInUse(err error) bool { return errors.Is(err, addrInUse) }

// SyncDir does nothing here.
func SyncDir(string) error { return nil }

// Detach is refused here.
func Detach(*exec.Cmd) (int, error) { return 0, errUnsupported }

// Reap knows no children here.
func Reap(int) (end Exit, done, child bool) { return Exit{}, false, false }

func terminate(int) error { return errUnsupported }

func kill(int) error { return errUnsupported }

func lockHeld(*os.File) (bool, error) { return false, errUnsupported }

func isTerm(int) bool { return false }
