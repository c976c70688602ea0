package boxsim

import (
	"os/exec"
	"syscall"
)

// bind lets a command end with this process.
func bind(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
