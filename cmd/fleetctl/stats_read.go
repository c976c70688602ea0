package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

// statsParallel is how many boxes are asked at once.
const statsParallel = 100

// patience is how long relays may take to answer. A box that hangs costs no more than
// its own share, beside all the others.
type patience struct {
	box   time.Duration
	total time.Duration
}

func (p *patience) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.DurationVar(&p.box, "box-timeout", time.Minute, "how long one box is waited for")
	f.DurationVar(&p.total, "timeout", 5*time.Minute, "how long all of them are waited for")
}

// check refuses deadlines that nothing can meet.
func (p *patience) check(cmd *cobra.Command) error {
	for name, d := range map[string]time.Duration{"box-timeout": p.box, "timeout": p.total} {
		if d < 100*time.Millisecond {
			return fmt.Errorf("%s: --%s %s: at least 100ms are accepted", path(cmd), name, d)
		}
	}
	return nil
}

// readings asks every relay of the fleet at once. There is a reading for each, also for
// one without a machine; the error is that of a provider that did not list them, or of
// ctx.
func (s *session) readings(ctx context.Context, p patience, read func(context.Context, fleet.Machine) stats.Reading) ([]stats.Reading, error) {
	limit, cancel := context.WithTimeout(ctx, p.total)
	defer cancel()
	machines, err := s.b.Provider.Machines(limit)
	if err != nil {
		return nil, err
	}
	return s.ask(limit, p, machines, read), ctx.Err()
}

// ask is readings of these machines, until ctx ends, which is when the time for all of them is over.
func (s *session) ask(ctx context.Context, p patience, machines []fleet.Machine, read func(context.Context, fleet.Machine) stats.Reading) []stats.Reading {
	held := make(map[string]bool)
	readings := make([]stats.Reading, len(machines))
	var group errgroup.Group
	group.SetLimit(statsParallel)
	for i, m := range machines {
		held[m.Node] = true
		group.Go(func() error {
			readings[i] = p.one(ctx, m, read)
			return nil
		})
	}
	_ = group.Wait()
	for _, slot := range s.spec.Slots() {
		if !held[slot.Node] {
			readings = append(readings, stats.Reading{Node: slot.Node, Region: slot.Region, Err: errors.New("it has no machine")})
		}
	}
	return readings
}

// after reads a box from where the history of its node ends.
func (s *session) after(cursors map[string]string) func(context.Context, fleet.Machine) stats.Reading {
	return func(ctx context.Context, m fleet.Machine) stats.Reading {
		return s.hosts.Collect(ctx, m, cursors[m.Node])
	}
}

// one asks one box and says which deadline it missed.
func (p patience) one(ctx context.Context, m fleet.Machine, read func(context.Context, fleet.Machine) stats.Reading) stats.Reading {
	nothing := func(err error) stats.Reading {
		return stats.Reading{Node: m.Node, Region: m.Region, Machine: m.ID, Err: err}
	}
	switch {
	case m.Status != fleet.StatusRunning:
		return nothing(fmt.Errorf("the machine is %s", m.Status))
	case ctx.Err() != nil:
		return nothing(fmt.Errorf("it was not asked: the others took %s", p.total))
	}
	limit, cancel := context.WithTimeout(ctx, p.box)
	defer cancel()
	r := read(limit, m)
	r.Machine = m.ID
	if r.Err != nil && errors.Is(limit.Err(), context.DeadlineExceeded) {
		r.Err = fmt.Errorf("no answer within %s: %w", min(p.box, p.total), r.Err)
	}
	return r
}
