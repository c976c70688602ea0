package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// wait lets a time pass that the plan names.
func (r *run) wait(ctx context.Context, stage string, c Change, d string) error {
	span, err := time.ParseDuration(d)
	if err != nil {
		return fmt.Errorf("the plan's waiting time: %w", err)
	}
	r.reporter.waiting(stage, c, fmt.Sprintf("%s to pass (%s)", span, c.Reason))
	return pause(ctx, span)
}

// drain asks a relay to take no reservations and waits until the ones that it has are
// gone, at most drain_timeout: what stays longer is dropped with the machine.
func (r *run) drain(ctx context.Context, stage string, c Change, m Machine) error {
	if err := r.b.Provider.Mark(ctx, m.ID, map[string]string{MarkPhase: string(PhaseDraining)}, nil); err != nil {
		return err
	}
	if err := r.b.Hosts.Drain(ctx, m); err != nil {
		return err
	}
	deadline := time.Now().Add(r.spec.Rollout.DrainTimeout)
	for {
		rel := read(ctx, func(ctx context.Context) (Relay, error) { return r.b.Hosts.Inspect(ctx, m) })
		if rel.OK() && (rel.Value.Reservations == 0 || !rel.Value.Active) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !time.Now().Before(deadline) {
			r.reporter.note(stage, c, "drain_timeout is over; dropped with the machine: "+held(rel))
			return nil
		}
		r.reporter.waiting(stage, c, fmt.Sprintf("%s to move, at most %s", held(rel), r.spec.Rollout.DrainTimeout))
		if err := pause(ctx, min(drainPoll, max(time.Until(deadline), time.Millisecond))); err != nil {
			return err
		}
	}
}

// held says how many reservations a relay still holds.
func held(rel Observed[Relay]) string {
	if !rel.OK() || rel.Value.Reservations < 0 {
		return "an unknown number of reservations"
	}
	return fmt.Sprintf("%d reservations", rel.Value.Reservations)
}

// remove deletes a machine whose record is gone. From the mark on, any run knows that
// only the delete is left. The service is stopped first, so that a machine whose delete
// is slow cannot come back as a relay; a box that does not answer cannot be stopped, which is
// said.
func (r *run) remove(ctx context.Context, stage string, c Change, m Machine) error {
	err := r.b.Provider.Mark(ctx, m.ID, map[string]string{MarkPhase: string(PhaseDoomed)}, nil)
	if errors.Is(err, ErrNoMachine) {
		return r.untilUnlisted(ctx, m) // the list was behind
	}
	if err != nil {
		return err
	}
	if m.Status == StatusRunning {
		if _, err := within(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, r.b.Hosts.Stop(ctx, m) }); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.reporter.note(stage, c, fmt.Sprintf("its relay could not be stopped first, so it serves until the machine is gone: %v", err))
		}
	}
	if err := r.b.Provider.Delete(ctx, m.ID); err != nil {
		return err
	}
	return r.untilUnlisted(ctx, m)
}

// untilUnlisted waits until the provider's list knows that a machine is gone.
func (r *run) untilUnlisted(ctx context.Context, m Machine) error {
	ctx, cancel := context.WithTimeout(ctx, r.spec.Rollout.HealthyDeadline)
	defer cancel()
	for {
		machines, err := r.machines(ctx)
		if err != nil {
			return err
		}
		if _, listed := find(machines, Ref{ID: m.ID}); !listed {
			return nil
		}
		if err := pause(ctx, lookAgain); err != nil {
			return fmt.Errorf("machine %s was deleted and is still listed: %w", m.ID, err)
		}
	}
}
