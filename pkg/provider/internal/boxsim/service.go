package boxsim

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Service are the commands that look at the service and change nothing.
func Service() []Command {
	return []Command{
		{"systemctl is-active relay.service", isActive},
		{"systemctl show -p ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus relay.service", show},
		{"journalctl -u relay.service -n N --no-pager -o short-iso", journalctl(false)},
		{"journalctl -u relay.service -n N --no-pager -o short-iso -f", journalctl(true)},
	}
}

// Relay are the commands of the relay's own that every box answers.
func Relay() []Command {
	return []Command{
		{"/opt/relay/current/relay ping MULTIADDR -o json", relayCommand("ping", "MULTIADDR", "-o", "json")},
		{"/opt/relay/current/relay version -o json", relayCommand("version", "-o", "json")},
		{"/opt/relay/current/relay id --state /var/lib/relay", relayCommand("id", "--state", "STATE")},
	}
}

// Control makes a command of a verb of systemctl.
func Control(verb func(*Unit) error) func(context.Context, Call) int {
	return func(_ context.Context, c Call) int {
		if err := verb(c.Unit); err != nil {
			_, _ = fmt.Fprintf(c.Stderr, "relay.service: %v\n", err)
			return 1
		}
		return 0
	}
}

func isActive(_ context.Context, c Call) int {
	st := c.Unit.Poll()
	_, _ = fmt.Fprintln(c.Stdout, st.Active)
	if st.Active == Active {
		return 0
	}
	return 3
}

func show(_ context.Context, c Call) int {
	_, _ = fmt.Fprint(c.Stdout, c.Unit.Show())
	return 0
}

func journalctl(follow bool) func(context.Context, Call) int {
	return func(ctx context.Context, c Call) int {
		n, err := strconv.Atoi(c.Args["N"])
		if err == nil && follow {
			err = c.Unit.Journal.Follow(ctx, n, c.Stdout)
		} else if err == nil {
			_, err = c.Unit.Journal.Tail(n, c.Stdout)
		}
		if err != nil {
			return c.Said("journalctl", "relay.service", err)
		}
		return 0
	}
}

// relayTime bounds a run of the relay's own commands.
const relayTime = 45 * time.Second

// relayCommand runs the box's relay with these words; those that stand for something
// are replaced.
func relayCommand(words ...string) func(context.Context, Call) int {
	return func(ctx context.Context, c Call) int {
		ctx, cancel := context.WithTimeout(ctx, relayTime)
		defer cancel()
		info, err := c.Jail.Stat(RelayPath)
		if err != nil || !info.Mode().IsRegular() {
			_, _ = fmt.Fprintf(c.Stderr, "/%s: not found\n", RelayPath)
			return 127
		}
		root := Root(c.Dir)
		args := make([]string, len(words))
		for i, w := range words {
			switch w {
			case "STATE":
				args[i] = filepath.Join(root, StatePath)
			case "MULTIADDR":
				args[i] = c.Args[w]
			default:
				args[i] = w
			}
		}
		cmd := exec.CommandContext(ctx, filepath.Join(root, RelayPath), args...) // #nosec G204 -- the box's own release
		cmd.Dir, cmd.Env = root, Environment(c.Dir)
		cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
		cmd.WaitDelay = time.Second
		err = cmd.Run()
		switch {
		case cmd.ProcessState != nil && cmd.ProcessState.Exited():
			return cmd.ProcessState.ExitCode()
		case ctx.Err() != nil:
			return 124 // as timeout(1)
		case err != nil:
			return c.Said("relay", args[0], err)
		}
		return 0
	}
}
