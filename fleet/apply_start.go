package fleet

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// bootDeadline is how long a machine may take from its order, or from being switched on,
// until it takes commands.
const bootDeadline = 10 * time.Minute

// start switches a machine on and waits until its box takes commands: one that cannot be
// read yet would be taken for one that cannot be read.
func (r *run) start(ctx context.Context, stage string, c Change) error {
	if err := r.b.Provider.Start(ctx, c.Ref.ID); err != nil {
		return err
	}
	machines, err := r.machines(ctx)
	if err != nil {
		return err
	}
	m, listed := find(machines, c.Ref)
	if !listed {
		return fmt.Errorf("%s: %w", cmp.Or(c.Ref.ID, c.Ref.Node), ErrNoMachine)
	}
	return r.await(ctx, stage, c, m)
}

// await returns when a box that boots takes commands.
func (r *run) await(ctx context.Context, stage string, c Change, m Machine) error {
	ctx, cancel := context.WithTimeout(ctx, bootDeadline)
	defer cancel()
	return r.b.Hosts.Await(ctx, m, func(what string) { r.reporter.waiting(stage, c, what) })
}
