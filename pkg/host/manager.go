package host

import (
	"context"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// manager is what runs the relay on a box and starts it again, in commands. Verbs are
// "enable", "disable", "start", "stop" and "restart"; one that means nothing to a
// manager is no command.
type manager interface {
	control(verb string) []sshx.Command
	// forgives reports whether a command of control's may fail: what it takes away is gone.
	forgives(c sshx.Command) bool
	// reload makes the manager read its own files again.
	reload() []sshx.Command
	show() sshx.Command
	// parse reads the answer to show.
	parse(answer string) (unit, error)
	// none reports whether a failure of show means that there is no such service.
	none(e *exitError) bool
	journal(lines int, follow bool) sshx.Command
	// rename replaces one path by another in one step, a symbolic link included.
	rename(from, to string) sshx.Command
	// account asks who a user is, and parseAccount reads the answer.
	account(user string) sshx.Command
	parseAccount(user, answer string) (account, error)
}

var (
	_ manager = systemd{}
	_ manager = launchd{}
	_ manager = keeper{}
)

// managerOf is what runs the relay of m.
func managerOf(m fleet.Machine) manager {
	switch serviceOf(m) {
	case fleet.ServiceLaunchd:
		return launchd{}
	case fleet.ServiceProcess:
		return keeper{dir: stateOf(m) + "/keeper"}
	}
	return systemd{}
}

// systemd is the manager of a box without another word.
type systemd struct{ linux }

func (systemd) control(verb string) []sshx.Command { return []sshx.Command{control(verb)} }
func (systemd) forgives(sshx.Command) bool         { return false }
func (systemd) reload() []sshx.Command             { return []sshx.Command{daemonReload()} }
func (systemd) show() sshx.Command                 { return showUnit() }
func (systemd) parse(answer string) (unit, error)  { return parseUnit(answer) }
func (systemd) none(*exitError) bool               { return false }
func (systemd) journal(lines int, follow bool) sshx.Command {
	return journal(lines, follow)
}

// linux is what the managers of Linux boxes share.
type linux struct{}

func (linux) rename(from, to string) sshx.Command { return rename(from, to) }
func (linux) account(user string) sshx.Command    { return readAccount(user) }
func (linux) parseAccount(_, answer string) (account, error) {
	return parseAccount(answer)
}

// control says a verb to the box's manager.
func (b box) control(ctx context.Context, verb string) error {
	man := managerOf(b.m)
	for _, c := range man.control(verb) {
		if _, err := b.exec(ctx, c); err != nil && (!refused(err) || !man.forgives(c)) {
			return err
		}
	}
	return nil
}

// logTail is a log file read as a journal is.
func logTail(file string, lines int, follow bool) sshx.Command {
	c := tailOf(file, lines)
	if follow {
		c.Argv = append(c.Argv[:len(c.Argv)-1:len(c.Argv)-1], "-F", file)
	}
	return c
}

// values reads lines of "key SEPARATOR value"; the first of a key counts.
func values(answer, separator string) map[string]string {
	out := make(map[string]string)
	for line := range strings.Lines(answer) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), separator)
		if _, twice := out[key]; ok && !twice {
			out[key] = strings.TrimSpace(value)
		}
	}
	return out
}
