package local

import (
	"context"
	"io"
	"slices"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// commands is all that a local box answers. Nothing here runs a program of this
// computer's; the box's own relay is the only one that is started.
func commands() boxsim.Table {
	return boxsim.Table{Box: "local box", Commands: slices.Concat(boxsim.Files(), []boxsim.Command{
		{Argv: "systemctl daemon-reload", Run: func(context.Context, boxsim.Call) int { return 0 }},
		{Argv: "systemctl enable relay.service", Run: boxsim.Control(enable(true))},
		{Argv: "systemctl disable relay.service", Run: boxsim.Control(enable(false))},
		{Argv: "systemctl start relay.service", Run: boxsim.Control((*boxsim.Unit).Start)},
		{Argv: "systemctl stop relay.service", Run: boxsim.Control((*boxsim.Unit).Stop)},
		{Argv: "systemctl restart relay.service", Run: boxsim.Control((*boxsim.Unit).Restart)},
	}, boxsim.Service(), boxsim.Relay())}
}

func enable(on bool) func(*boxsim.Unit) error {
	return func(u *boxsim.Unit) error {
		u.Enable(on)
		return nil
	}
}

// exec runs what the table has for argv, and nothing else.
func (b *box) exec(ctx context.Context, argv []string, _ io.Reader, stdout, stderr io.Writer) int {
	return commands().Run(ctx, argv, boxsim.Call{Dir: b.dir, Jail: b.jail, Unit: b.unit, Stdout: stdout, Stderr: stderr})
}
