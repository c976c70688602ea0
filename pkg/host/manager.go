package host

import (
	"context"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// manager is what runs the relay on a box and starts it again, in commands. Verbs are
// "enable", "disable", "start", "stop" and "restart"; one for which there is nothing to
// say on this manager is no command.
type manager interface {
	control(verb string) []sshx.Command
	// reload makes the manager read its own files again.
	reload() []sshx.Command
	show() sshx.Command
	parse(answer string) (unit, error)
	journal(lines int, follow bool) sshx.Command
	// rename replaces one path by another in one step, a symbolic link included.
	rename(from, to string) sshx.Command
}

// managerOf is what runs the relay of m.
func managerOf(m fleet.Machine) manager {
	return systemd{}
}

// systemd is the manager of a box without another word.
type systemd struct{}

func (systemd) control(verb string) []sshx.Command { return []sshx.Command{control(verb)} }
func (systemd) reload() []sshx.Command             { return []sshx.Command{daemonReload()} }
func (systemd) show() sshx.Command                 { return showUnit() }
func (systemd) parse(answer string) (unit, error)  { return parseUnit(answer) }
func (systemd) journal(lines int, follow bool) sshx.Command {
	return journal(lines, follow)
}

func (systemd) rename(from, to string) sshx.Command { return rename(from, to) }

// control says a verb to the box's manager.
func (b box) control(ctx context.Context, verb string) error {
	return b.all(ctx, managerOf(b.m).control(verb)...)
}
