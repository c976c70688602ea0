package local

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// control runs a verb of systemctl.
func control(verb func(*unit) error) func(context.Context, call) int {
	return func(_ context.Context, c call) int {
		if err := verb(c.box.unit); err != nil {
			_, _ = fmt.Fprintf(c.stderr, "relay.service: %v\n", err)
			return 1
		}
		return 0
	}
}

func (u *unit) enableNow() error {
	u.enable(true)
	return nil
}

func (u *unit) disableNow() error {
	u.enable(false)
	return nil
}

func isActive(_ context.Context, c call) int {
	st := c.box.unit.poll()
	_, _ = fmt.Fprintln(c.stdout, st.Active)
	if st.Active == active {
		return 0
	}
	return 3
}

func show(_ context.Context, c call) int {
	_, _ = fmt.Fprint(c.stdout, c.box.unit.show())
	return 0
}

func journalctl(follow bool) func(context.Context, call) int {
	return func(ctx context.Context, c call) int {
		n, err := strconv.Atoi(c.args["N"])
		if err == nil && follow {
			err = c.box.unit.journal.follow(ctx, n, c.stdout)
		} else if err == nil {
			_, err = c.box.unit.journal.tail(n, c.stdout)
		}
		if err != nil {
			return c.said("journalctl", "relay.service", err)
		}
		return 0
	}
}

// relayTime bounds a run of the relay's own commands.
const relayTime = 45 * time.Second

// relayCommand runs the box's relay with these words; those that stand for something
// are replaced.
func relayCommand(words ...string) func(context.Context, call) int {
	return func(ctx context.Context, c call) int {
		ctx, cancel := context.WithTimeout(ctx, relayTime)
		defer cancel()
		info, err := c.box.jail.Stat(relayPath)
		if err != nil || !info.Mode().IsRegular() {
			_, _ = fmt.Fprintf(c.stderr, "/%s: not found\n", relayPath)
			return 127
		}
		root := filepath.Join(c.box.dir, rootDir)
		args := make([]string, len(words))
		for i, w := range words {
			switch w {
			case "STATE":
				args[i] = filepath.Join(root, statePath)
			case "MULTIADDR":
				args[i] = c.args[w]
			default:
				args[i] = w
			}
		}
		cmd := exec.CommandContext(ctx, filepath.Join(root, relayPath), args...) // #nosec G204 -- the box's own release
		cmd.Dir, cmd.Env = root, environment(root)
		cmd.Stdout, cmd.Stderr = c.stdout, c.stderr
		cmd.WaitDelay = time.Second
		err = cmd.Run()
		switch {
		case cmd.ProcessState != nil && cmd.ProcessState.Exited():
			return cmd.ProcessState.ExitCode()
		case ctx.Err() != nil:
			return 124 // as timeout(1)
		case err != nil:
			return c.said("relay", args[0], err)
		}
		return 0
	}
}
