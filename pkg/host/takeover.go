package host

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// takeOver ends the relay of others on a box whose state directory was theirs, and gives
// that directory to the relay's user: the key keeps its bytes and loses its readers. It
// comes just before ours starts. Without another state directory there is nobody to take
// over from.
func (b box) takeOver(ctx context.Context, w work) error {
	if b.m.State == "" || !w.Start && !w.Unit {
		return nil
	}
	if err := b.endOthers(ctx); err != nil {
		return err
	}
	if w.Restart { // ours runs already, under another unit: what it writes at its end is given, too
		if err := b.control(ctx, "stop"); err != nil {
			return err
		}
	}
	return b.ownState(ctx)
}

// endOthers stops and disables the service that owns the API's port, if it is not ours.
func (b box) endOthers(ctx context.Context) error {
	pid, name, err := b.listener(ctx)
	switch {
	case err != nil:
		return err
	case pid == "", name == Unit:
		return nil
	case name == "":
		return fleet.WithHint(fmt.Errorf("take over %s: process %s answers at %s and belongs to no service of systemd's", b.m.Node, pid, API),
			"Stop it on the box, see that nothing starts it again, and run the same command again.")
	}
	main, err := b.exec(ctx, mainProcess(name))
	if err != nil {
		return err
	}
	if strings.TrimSpace(main) != pid { // docker.service answers for every container
		return fleet.WithHint(fmt.Errorf("take over %s: process %s answers at %s and is not the main process of %s, which may run more than a relay", b.m.Node, pid, API, name),
			"Stop the old relay on the box, see that nothing starts it again, and run the same command again.")
	}
	err = b.all(ctx, controlOther("disable", name), controlOther("stop", name))
	b.audit(ctx, "take over: stop and disable "+name, err)
	return err
}

// ownState gives the state directory to the relay's user. The key's mode is set by that
// user: whatever the directory holds, root follows no link in it.
func (b box) ownState(ctx context.Context) error {
	if serviceOf(b.m) != fleet.ServiceSystemd {
		return nil
	}
	dir := stateOf(b.m)
	names, _, err := b.othersState(ctx)
	if err != nil {
		return err
	}
	give := []sshx.Command{giveTree(dir), chmod("0700", dir)}
	if slices.Contains(names, keyFile) {
		give = append(give, asRelay(chmod("0600", path.Join(dir, keyFile))))
	}
	return b.all(ctx, give...)
}

// keyFile is the relay's identity in its state directory.
const keyFile = "node.key"

// othersState lists what others have in a state directory; false: there is none. One that
// does not look like a relay's is an error.
func (b box) othersState(ctx context.Context) (names []string, there bool, err error) {
	if b.m.State == "" {
		return nil, false, nil
	}
	out, err := b.exec(ctx, listState(b.m.State))
	if refused(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	names = slices.DeleteFunc(strings.Fields(out), func(name string) bool { return name == MarksName })
	if len(names) > 0 && !slices.Contains(names, keyFile) {
		return nil, true, fmt.Errorf("take over %s: %s holds files and no %s: it is no relay's state directory", b.m.Node, b.m.State, keyFile)
	}
	return names, true, nil
}

func listeners() sshx.Command { return read("ss", "-H", "-l", "-t", "-n", "-p", "sport = :9847") }

func controlOther(verb, name string) sshx.Command {
	c := write("systemctl", verb, name)
	c.Timeout = service
	return c
}

func mainProcess(name string) sshx.Command {
	return read("systemctl", "show", "-p", "MainPID", "--value", name)
}

// giveTree follows no link: what one in the directory points to stays whose it is.
func giveTree(dir string) sshx.Command { return write("chown", "-R", "-h", User+":"+User, dir) }

func chmod(mode, file string) sshx.Command { return write("chmod", mode, file) }

// asRelay runs a command as the relay's user.
func asRelay(c sshx.Command) sshx.Command {
	c.Argv = slices.Concat([]string{"/usr/sbin/runuser", "-u", User, "--"}, c.Argv)
	return c
}

var ssProcess = regexp.MustCompile(`[(,]pid=([0-9]{1,10}),`)

// listenerPID finds the process in the answer of ss, "" if there is none.
func listenerPID(answer string) string {
	m := ssProcess.FindStringSubmatch(strings.ReplaceAll(answer, "((", "("))
	if m == nil {
		return ""
	}
	return m[1]
}

var serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:_.@\\-]*\.service$`)

// serviceInCgroup finds the system's service that a process belongs to, "" if there is none.
func serviceInCgroup(text string) string {
	for line := range strings.Lines(text) {
		_, path, ok := strings.Cut(strings.TrimSpace(line), "::")
		if !ok {
			continue
		}
		rest, ok := strings.CutPrefix(path, "/system.slice/")
		if !ok {
			continue
		}
		// A template's instances stand in a slice of their own.
		parts := strings.Split(rest, "/")
		for _, p := range parts {
			if len(p) <= 210 && serviceName.MatchString(p) {
				return p
			}
		}
	}
	return ""
}
