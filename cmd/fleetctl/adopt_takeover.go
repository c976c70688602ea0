package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// takeOver lets later commands change adopted relays, after it has shown what the next
// up will do to them. It changes nothing but the mark.
func (a *app) takeOver(ctx context.Context, f adoptFlags, nodes, command []string) (err error) {
	if len(nodes) == 0 {
		return fleet.WithHint(errors.New("adopt --take-over: NODE is missing"), "name the nodes: fleetctl adopt --take-over NODE...")
	}
	s, err := a.openFor(ctx, mutation{command: command, flags: mutationFlags{dryRun: f.dryRun, lockWait: f.lockWait}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	machines, err := s.machines(ctx)
	if err != nil {
		return err
	}
	chosen, err := adoptedOn(machines, nodes)
	if err != nil {
		return err
	}
	view, err := s.afterTakeOver(ctx, chosen)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.showPlan(view, nil, false)
	}
	a.say("taken over, these relays are changed by the next 'fleetctl up', which plans from here:")
	if err := a.tell(view); err != nil {
		return err
	}
	if err := a.confirm(ctx, "Take over "+strings.Join(nodesOf(chosen), ", ")+"?"); err != nil {
		return err
	}
	s.digest.Store(view.Plan.Digest())
	s.audit("begun", nil)
	v, problem := s.unmarkAdopted(ctx, chosen)
	s.audit(map[bool]string{true: "done", false: "partial"}[problem == nil], problem)
	return errors.Join(a.show(v), problem)
}

// adoptedOn finds the adopted machines of some nodes. One that is not adopted any more is
// taken over already and left out, unless that leaves none.
func adoptedOn(machines []fleet.Machine, nodes []string) ([]fleet.Machine, error) {
	found, err := onNodes(machines, nodes)
	if err != nil {
		return nil, err
	}
	var out []fleet.Machine
	for _, m := range found {
		if m.Problem != "" {
			return nil, withCode(exitRefused, ofNode(m.Node, fmt.Errorf("%s: %s", m.Node, m.Problem)))
		}
		if m.Adopted {
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		err := fmt.Errorf("adopt --take-over: no relay of %s is adopted", strings.Join(nodes, ", "))
		return nil, fleet.WithHint(err, "they are the fleet's own already, or were never adopted: see 'fleetctl status'")
	}
	return out, nil
}

func nodesOf(machines []fleet.Machine) []string {
	out := make([]string, len(machines))
	for i, m := range machines {
		out[i] = m.Node
	}
	return out
}

// takingOver is a provider that shows some machines as they are after a take-over.
type takingOver struct {
	fleet.Provider
	ids []string
}

func (t *takingOver) Machines(ctx context.Context) ([]fleet.Machine, error) {
	machines, err := t.Provider.Machines(ctx)
	for i, m := range machines {
		machines[i].Adopted = m.Adopted && !slices.Contains(t.ids, m.ID)
	}
	return machines, err
}

// afterTakeOver is the plan of the up that comes next.
func (s *session) afterTakeOver(ctx context.Context, chosen []fleet.Machine) (render.PlanView, error) {
	ids := make([]string, len(chosen))
	for i, m := range chosen {
		ids[i] = m.ID
	}
	release, err := s.release()
	if err != nil {
		return render.PlanView{}, err
	}
	b := s.b
	b.Provider = &takingOver{Provider: b.Provider, ids: ids}
	s.app.say("reading fleet %s …", s.spec.Name)
	st, err := fleet.Observe(ctx, b, s.spec)
	if err != nil {
		return render.PlanView{}, err
	}
	plan := fleet.Diff(s.spec, st, fleet.Intent{Release: release})
	return render.PlanView{Plan: plan, Effect: s.effect(st, plan)}, nil
}

// takeOverRow is one machine that was taken over.
type takeOverRow struct {
	Node    string `json:"node"`
	Machine string `json:"machine"`
	Result  string `json:"result"` // "taken over" or "failed"
	Error   string `json:"error"`
}

// takeOverView is what `fleetctl adopt --take-over` did, sorted by machine.
type takeOverView []takeOverRow

func (s *session) unmarkAdopted(ctx context.Context, chosen []fleet.Machine) (takeOverView, error) {
	v := make(takeOverView, len(chosen))
	var errs []error
	for i, m := range chosen {
		v[i] = takeOverRow{Node: m.Node, Machine: m.ID, Result: "taken over"}
		if err := s.b.Provider.Mark(ctx, m.ID, nil, []string{fleet.MarkAdopted}); err != nil {
			v[i].Result, v[i].Error = "failed", err.Error()
			errs = append(errs, withCode(exitPartial, ofNode(m.Node, fmt.Errorf("%s: %w", m.Node, err))))
		}
	}
	return v, errors.Join(errs...)
}

func (v takeOverView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "node"}, {Name: "machine"}, {Name: "result"}, {Name: "error", Show: render.CSVOnly}}}
	for _, r := range v {
		t.Rows = append(t.Rows, []any{r.Node, r.Machine, r.Result, r.Error})
	}
	return t
}
