package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
)

// create orders a machine and then looks whether somebody else did so, too: the lowest
// operation keeps the slot, and the loser deletes its own, never yet published.
func (r *run) create(ctx context.Context, c Change) error {
	i := slices.IndexFunc(r.spec.Slots(), func(s Slot) bool { return s.Node == c.Ref.Node })
	if i < 0 {
		return fmt.Errorf("the spec has no node %q", c.Ref.Node)
	}
	slot := r.spec.Slots()[i]
	own, err := r.b.Provider.Create(ctx, NewMachine{Node: slot.Node, Region: slot.Region, Delay: slot.Delay, Op: ulid.Make().String(),
		Waiting: func(what string) { r.reporter.waiting(StageProvision, c, what) }})
	if err != nil {
		return err
	}
	machines, err := r.untilListed(ctx, c, own)
	if err != nil {
		return err
	}
	for _, m := range machines {
		if m.Node == own.Node && m.Phase == PhaseActive && !m.Unmarked && m.Problem == "" && m.Op < own.Op && !slices.Contains(r.intent.Replace, m.ID) {
			r.reporter.note(StageProvision, c, "machine "+m.ID+" was ordered first and keeps the slot; deleting "+own.ID)
			return r.b.Provider.Delete(ctx, own.ID)
		}
	}
	return nil
}

// lookForMarks is how often a machine without marks is looked at.
const lookForMarks = 5 * time.Second

// untilListed waits until the provider lists the machine that it made: what is not
// listed yet would be ordered once more by the next run. Marks of a rival for the slot,
// which say who was first, are waited for as long.
func (r *run) untilListed(ctx context.Context, c Change, own Machine) ([]Machine, error) {
	waiting, cancel := context.WithTimeout(ctx, r.spec.Rollout.HealthyDeadline)
	defer cancel()
	var last []Machine // in which own is listed
	for look := lookAgain; ; {
		machines, err := r.machines(waiting)
		if err != nil && last != nil && waiting.Err() != nil && ctx.Err() == nil {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		_, listed := find(machines, Ref{ID: own.ID})
		rival := slices.IndexFunc(machines, func(m Machine) bool { return m.Unmarked && m.Node == own.Node && m.ID != own.ID })
		switch {
		case !listed:
			r.reporter.waiting(StageProvision, c, "the provider to list machine "+own.ID)
		case rival < 0:
			return machines, nil
		default:
			look, last = lookForMarks, machines
			r.reporter.waiting(StageProvision, c, "the marks of machine "+machines[rival].ID+", which has the name of one of ours")
		}
		if err := pause(waiting, look); err != nil {
			if last != nil && ctx.Err() == nil {
				return last, nil
			}
			return nil, fmt.Errorf("machine %s was made and is not listed: %w", own.ID, err)
		}
	}
}
