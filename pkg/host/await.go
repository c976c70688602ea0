package host

import (
	"context"

	"github.com/relayfleet/fleetctl/fleet"
)

// Await returns when the box answers a command.
func (h *Hosts) Await(ctx context.Context, m fleet.Machine, waiting func(what string)) error {
	b, err := h.box(m)
	if err != nil {
		return err
	}
	if waiting != nil {
		waiting("SSH")
	}
	_, err = b.exec(ctx, uname())
	return err
}

// Settle does nothing: a local box has no system of its own.
func (h *Hosts) Settle(ctx context.Context, _ fleet.Machine) error { return ctx.Err() }

// Rekey does nothing: a local box has made its own host key.
func (h *Hosts) Rekey(ctx context.Context, _ fleet.Machine, _ func(context.Context, string) error) error {
	return ctx.Err()
}

// Uninstall stops the relay.
func (h *Hosts) Uninstall(ctx context.Context, m fleet.Machine) error { return h.Stop(ctx, m) }
