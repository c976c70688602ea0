//go:build unix

package boxsim

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// IsInUse reports whether an address could not be had because somebody has it.
func IsInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// SyncDir makes a rename in dir last.
func SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // a directory of ours
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Detach starts a command in a session of its own and lets go of it: it outlives this
// process, and nothing but [Reap] waits for it.
func Detach(cmd *exec.Cmd) (pid int, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid
	return pid, cmd.Process.Release()
}

// Reap collects a child that ended. Child is false if pid is no child of this process.
func Reap(pid int) (end Exit, done, child bool) {
	var ws syscall.WaitStatus
	for {
		got, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return Exit{}, false, false
		case got != pid:
			return Exit{}, false, true
		case ws.Signaled():
			return Exit{Signal: int(ws.Signal())}, true, true
		default:
			return Exit{Code: ws.ExitStatus()}, true, true
		}
	}
}

// terminate asks a process to end.
func terminate(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) }

// kill ends a process and all of its session that is still in its process group.
func kill(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// lockHeld reports whether a process holds the flock(2) of an open file.
func lockHeld(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) // #nosec G115 -- a descriptor
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err // closing the file lets go
}

// isTerm reports whether a signal is the one that asks to end.
func isTerm(signal int) bool { return signal == int(syscall.SIGTERM) }
