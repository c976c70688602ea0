//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// supported reports why this system cannot run a supervisor, nil if it can.
func supported() error { return nil }

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// ours reports whether a file belongs to the user who runs this program.
func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // a directory of ours
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// detach starts a command in a session of its own and lets go of it: it outlives this
// process, and nothing but [reap] waits for it.
func detach(cmd *exec.Cmd) (pid int, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid
	return pid, cmd.Process.Release()
}

// reap collects a child that ended. Child is false if pid is no child of this process.
func reap(pid int) (end exit, done, child bool) {
	var ws syscall.WaitStatus
	for {
		got, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return exit{}, false, false
		case got != pid:
			return exit{}, false, true
		case ws.Signaled():
			return exit{Signal: int(ws.Signal())}, true, true
		default:
			return exit{Code: ws.ExitStatus()}, true, true
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
