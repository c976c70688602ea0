package host

import (
	"encoding/json"
	"fmt"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// keeper is the relay's own supervisor, for boxes without a service manager, containers
// mostly: "relay keep" starts the relay again with a growing pause. It does not outlive a
// reboot. Its pid file and the relay's log stand in dir.
type keeper struct {
	linux
	dir string
}

func (k keeper) control(verb string) []sshx.Command {
	stop := k.say("stop", "--dir", k.dir)
	start := k.say("start", "--config", ConfigFile, "--dir", k.dir)
	switch verb {
	case "start":
		return []sshx.Command{start}
	case "stop":
		return []sshx.Command{stop}
	case "restart":
		return []sshx.Command{stop, start}
	}
	return nil
}

func (keeper) say(words ...string) sshx.Command {
	c := write(append([]string{Binary, "keep"}, words...)...)
	c.Timeout = service
	return c
}

func (keeper) forgives(sshx.Command) bool { return false }
func (keeper) reload() []sshx.Command     { return nil }
func (k keeper) show() sshx.Command {
	return read(Binary, "keep", "status", "--dir", k.dir, "-o", "json")
}

// parse reads the keeper's own words; they are those of systemd.
func (keeper) parse(answer string) (unit, error) {
	var said struct {
		Active   string `json:"active"`
		PID      int    `json:"pid"`
		Restarts int    `json:"restarts"`
		Result   string `json:"result"`
		Status   int    `json:"status"`
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil || said.Active == "" {
		return unit{}, fmt.Errorf("relay keep: the box does not say its state: %q", clean(answer, 200))
	}
	return unit{
		Name: "the relay", By: "its keeper", Active: clean(said.Active, 40), Result: clean(said.Result, 40),
		PID: max(said.PID, 0), Restarts: max(said.Restarts, 0), Status: said.Status,
	}, nil
}

// none: without a release there is no keeper to ask.
func (keeper) none(e *exitError) bool { return e.absent }

func (k keeper) journal(lines int, follow bool) sshx.Command {
	return logTail(k.dir+"/relay.log", lines, follow)
}
