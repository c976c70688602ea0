package sshx

import (
	"context"
	"fmt"
)

// sudo is what goes before the argv of a command that runs as root: no question is ever asked.
func sudo() []string { return []string{"sudo", "-n", "--"} }

// SudoProbe is the command that shows whether sudo works. It is asked where a command through sudo failed and
// sudo is not known to work, because sudo's own exit codes and words are those of any program.
func SudoProbe() []string { return append(sudo(), "true") }

// SudoSFTP is the command that serves SFTP as root, wherever the system keeps its program; a server can
// recognise it by its argv. It ends with 127 where there is none.
func SudoSFTP() []string {
	return append(sudo(), "sh", "-c", "for p in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server"+
		" /usr/lib/ssh/sftp-server /usr/libexec/sftp-server; do [ -x $p ] && exec $p; done; exit 127")
}

// mayBeSudo says whether an exit code may be sudo's own, or the shell's that did not find it.
func mayBeSudo(exitCode int) bool {
	return exitCode == 1 || exitCode == 126 || exitCode == 127
}

// checkSudo returns a SudoError where sudo does not work on the box, and nil where it does.
func (c *Client) checkSudo(ctx context.Context, at Target, k *conn) error {
	if k.sudoWorks.Load() {
		return nil
	}
	plain := at
	plain.Sudo = false
	r, err := c.Run(ctx, plain, Command{Argv: SudoProbe(), ReadOnly: true, MaxOutput: 4096})
	if err != nil {
		return err
	}
	if r.ExitCode == 0 {
		k.sudoWorks.Store(true)
		return nil
	}
	return &SudoError{Node: at.Name, Addr: at.Addr, User: at.User, ExitCode: r.ExitCode, Said: clean(string(r.Stderr))}
}

// SudoError says that a box does not let the user work as root without a password. The command that was
// asked for did not run, unless sudo allows it, and not SudoProbe, by name.
type SudoError struct {
	Node, Addr, User string
	ExitCode         int    // of sudo, or 127 of the shell that did not find it
	Said             string // what sudo said, one line
}

// Error names the box, the user and what sudo said.
func (e *SudoError) Error() string {
	text := fmt.Sprintf("%s: sudo as %s: exit code %d", subject(e.Node, e.Addr), e.User, e.ExitCode)
	if e.Said != "" {
		text += ": " + e.Said
	}
	return text
}

// Is makes it an ErrSudo.
func (e *SudoError) Is(target error) bool { return target == ErrSudo }

// Hint says what to do about it.
func (e *SudoError) Hint() string {
	if e.ExitCode == 127 {
		return fmt.Sprintf("install sudo on %s, or log in as root", subject(e.Node, e.Addr))
	}
	return fmt.Sprintf("let %s use sudo without a password: run 'visudo -f /etc/sudoers.d/%s' on %s and add '%s ALL=(ALL) NOPASSWD: ALL'",
		e.User, e.User, subject(e.Node, e.Addr), e.User)
}
