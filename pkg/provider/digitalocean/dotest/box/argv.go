package box

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// done is a command that has nothing to do here.
func done(context.Context, boxsim.Call) int { return 0 }

// table is all that a machine answers.
func (d *droplet) table() boxsim.Table {
	return boxsim.Table{Box: "simulated droplet", Commands: slices.Concat(
		boxsim.Files(), boxsim.Service(), boxsim.Relay(), d.systemd(), d.system(), d.ssh(),
	)}
}

// systemd are the commands that change services.
func (d *droplet) systemd() []boxsim.Command {
	return []boxsim.Command{
		{Argv: "systemctl daemon-reload", Run: func(context.Context, boxsim.Call) int {
			d.units.reload(d.jail, d.unit, d.restart)
			return 0
		}},
		{Argv: "systemctl enable UNIT", Run: d.verb("enable", func(name string, _ service) error { return d.enable(name, true) })},
		{Argv: "systemctl disable UNIT", Run: d.verb("disable", func(name string, _ service) error { return d.enable(name, false) })},
		{Argv: "systemctl start UNIT", Run: d.verb("start", d.running((*boxsim.Unit).Start))},
		{Argv: "systemctl stop UNIT", Run: d.verb("stop", d.running((*boxsim.Unit).Stop))},
		{Argv: "systemctl restart UNIT", Run: d.verb("restart", d.running((*boxsim.Unit).Restart))},
		{Argv: "systemctl reload UNIT", Run: d.verb("reload", d.reload)},
		{Argv: "systemctl reload-or-restart UNIT", Run: d.verb("reload", d.reload)},
		{Argv: "systemctl show -p MainPID --value UNIT", Run: says("0\n")}, // no service of others runs here
		{Argv: "ss -H -l -t -n -p FILTER", Run: d.listeners},
	}
}

// debianUnits are the services of Debian that are spoken to.
func debianUnits() []string {
	return []string{"ssh.service", "ssh", "systemd-journald.service", "systemd-timesyncd.service"}
}

// verb makes a command of what systemctl does with one unit.
func (d *droplet) verb(verb string, do func(name string, u service) error) func(context.Context, boxsim.Call) int {
	return func(_ context.Context, c boxsim.Call) int {
		name := c.Args["UNIT"]
		s, known := d.units.get(name)
		if verb == "enable" || verb == "disable" { // these look at the files of now
			_, err := d.jail.Stat(unitDir + "/" + boxsim.Name(name))
			known = err == nil
		}
		if !known && !slices.Contains(debianUnits(), name) {
			_, _ = fmt.Fprintf(c.Stderr, "Failed to %s %s: Unit %s not found.\n", verb, boxsim.Printable(name), boxsim.Printable(name))
			return map[bool]int{true: 1, false: 5}[verb == "enable" || verb == "disable"]
		}
		if err := do(name, s); err != nil {
			_, _ = fmt.Fprintf(c.Stderr, "Job for %s failed: %v\n", boxsim.Printable(name), boxsim.Cause(err))
			return 1
		}
		return 0
	}
}

// enable sets whether a unit starts with the machine. Only the relay has something to start.
func (d *droplet) enable(name string, on bool) error {
	if name == relayUnit {
		d.unit.Enable(on)
	}
	return nil
}

// running applies a verb to the relay. Other services are always running.
func (d *droplet) running(verb func(*boxsim.Unit) error) func(string, service) error {
	return func(name string, u service) error {
		switch {
		case name == relayUnit:
			return verb(d.unit)
		case u.exec != "":
			return d.rules(u.exec)
		}
		return nil
	}
}

// errNoReload is systemd's answer where a unit has no ExecReload.
var errNoReload = errors.New("job type reload is not applicable")

// reload makes a service read its files again.
func (d *droplet) reload(name string, u service) error {
	switch {
	case name == "ssh.service" || name == "ssh":
		return d.reloadSSHD()
	case u.reload != "":
		return d.rules(u.reload)
	case slices.Contains(debianUnits(), name):
		return nil
	}
	return errNoReload
}

// listeners says who listens on the port of the API: the relay, if it runs.
func (d *droplet) listeners(_ context.Context, c boxsim.Call) int {
	pid := d.unit.Poll().Proc.PID
	if c.Args["FILTER"] != fmt.Sprintf("sport = :%d", apiPort) || pid == 0 {
		return 0
	}
	if err := d.disk().write(fmt.Sprintf("proc/%d/cgroup", pid), "0::/system.slice/"+relayUnit+"\n", 0o444); err != nil {
		return c.Said("ss", "", err)
	}
	_, _ = fmt.Fprintf(c.Stdout, "LISTEN 0 4096 127.0.0.1:%d 0.0.0.0:* users:((\"relay\",pid=%d,fd=3))\n", apiPort, pid)
	return 0
}
