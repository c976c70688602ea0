package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func newRelease(a *app) *cobra.Command {
	var dryRun bool
	var lockWait time.Duration
	cmd := &cobra.Command{
		Use:   "release NODE...",
		Short: "Give machines back: marks and pins go, machine, relay and record stay",
		Long: `Give machines back, the inverse of 'fleetctl adopt': the fleet's marks go from the
machine, and its pinned host key from this computer. The machine stays, with its relay,
and so does the relay's record, which is named: the fleet goes on owning it.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fleet.WithHint(errors.New("release: NODE is missing"), "run '"+cmd.UseLine()+"'")
			}
			return nil
		},
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.release(cmd.Context(), args, mutation{command: commandLine(cmd, args), flags: mutationFlags{dryRun: dryRun, lockWait: lockWait}})
		},
	}
	dryRunFlag(cmd, &dryRun)
	cmd.Flags().DurationVar(&lockWait, "lock-wait", 0, "wait this `long` for another command on this fleet to end")
	return cmd
}

// releaseRow is one machine that is given back.
type releaseRow struct {
	Node    string   `json:"node"`
	Machine string   `json:"machine"`
	Records []string `json:"records"` // that stay
	Result  string   `json:"result"`  // "released", "would be released" or "failed"
	Error   string   `json:"error"`
}

// releaseView is what `fleetctl release` did, sorted by machine.
type releaseView struct {
	Fleet    string       `json:"fleet"`
	DryRun   bool         `json:"dry_run"`
	Machines []releaseRow `json:"machines"`
	Next     []string     `json:"next"` // what is left for the operator to do
}

// release gives machines back.
func (a *app) release(ctx context.Context, nodes []string, m mutation) (err error) {
	s, err := a.openFor(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	adopter, err := s.adopter("release")
	if err != nil {
		return err
	}
	v, machines, err := s.toRelease(ctx, nodes)
	if err != nil {
		return err
	}
	if m.flags.dryRun {
		v.DryRun = true
		return a.show(v)
	}
	if err := render.Write(a.stderr, v, render.Options{Width: a.columns(a.err)}); err != nil {
		return err
	}
	if err := a.confirm(ctx, "Give "+strings.Join(nodes, ", ")+" back?"); err != nil {
		return err
	}
	s.audit("begun", nil)
	problem := s.giveBack(ctx, adopter, machines, v)
	s.audit(map[bool]string{true: "done", false: "partial"}[problem == nil], problem)
	return errors.Join(a.show(v), problem)
}

// toRelease finds the machines, and the records that stay behind: one row for each.
func (s *session) toRelease(ctx context.Context, nodes []string) (releaseView, []fleet.Machine, error) {
	v := releaseView{Fleet: s.spec.Name, Machines: []releaseRow{}, Next: []string{}}
	machines, err := s.machines(ctx)
	if err != nil {
		return v, nil, err
	}
	records, err := s.zone.Records(ctx, s.spec.DNS.RecordName())
	if err != nil {
		return v, nil, fmt.Errorf("release: which records stay: %w", err)
	}
	found, err := onNodes(machines, nodes)
	if err != nil {
		return v, nil, err
	}
	if err := releasable(found); err != nil {
		return v, nil, err
	}
	for _, m := range found {
		row := releaseRow{Node: m.Node, Machine: m.ID, Records: []string{}, Result: "would be released"}
		for _, rec := range records {
			if node, ok := rec.OwnedBy(s.spec.Name); ok && node == m.Node {
				row.Records = append(row.Records, rec.Value)
			}
		}
		slices.Sort(row.Records)
		v.Machines = append(v.Machines, row)
		v.Next = append(v.Next, nextAfterRelease(m, row.Records)...)
	}
	return v, found, nil
}

// releasable is an error for a machine without marks: there is nothing to take off it, and it
// is listed afterwards as before.
func releasable(machines []fleet.Machine) error {
	var errs []error
	for _, m := range machines {
		if m.Unmarked {
			err := fleet.WithHint(fmt.Errorf("release: machine %s (%s) has no marks of a node to take off", m.ID, m.Node),
				"look at it with 'fleetctl adopt --id "+m.ID+" --dry-run'; rename or delete it at the provider if it is not this fleet's")
			errs = append(errs, withCode(exitRefused, ofNode(m.Node, err)))
		}
	}
	return errors.Join(errs...)
}

// nextAfterRelease says what the fleet makes of a machine that was given back, and who
// decides about its record.
func nextAfterRelease(m fleet.Machine, records []string) []string {
	out := []string{m.Node + ": take its node out of fleet.yaml, or 'fleetctl up' fills the slot again"}
	if m.Given {
		out[0] = m.Node + ": take its entry out of hosts in fleet.yaml, or 'fleetctl up' makes it the fleet's again"
	}
	if len(records) > 0 {
		out = append(out, m.Node+": its record stays as long as its relay answers; 'fleetctl up --machine-gone "+m.Node+"' withdraws it")
	}
	return out
}

// giveBack takes keys, marks and pins off. A pin goes only after the marks.
func (s *session) giveBack(ctx context.Context, adopter fleet.Adopter, machines []fleet.Machine, v releaseView) error {
	pins, err := sshx.OpenPins(s.dir.KnownHosts())
	if err != nil {
		return err
	}
	var errs []error
	for i := range v.Machines {
		r := &v.Machines[i]
		addr := sshAddr(machines[i])
		err := s.hosts.TakeKeysBack(ctx, machines[i]) // without its mark the machine is not found again
		if err == nil {
			err = adopter.Release(ctx, r.Machine)
		}
		if err == nil && addr != "" {
			err = pins.Remove(addr)
		}
		r.Result = "released"
		if err != nil {
			r.Result, r.Error = "failed", err.Error()
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, fmt.Errorf("%s: %w", r.Node, err))))
		}
	}
	return errors.Join(errs...)
}

func (v releaseView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{{Name: "node"}, {Name: "machine"}, {Name: "result"}, {Name: "records that stay"}, {Name: "error", Show: render.CSVOnly}},
		Empty:   "no machines",
		Notes:   v.Next,
	}
	for _, r := range v.Machines {
		t.Rows = append(t.Rows, []any{r.Node, r.Machine, r.Result, r.Records, r.Error})
		if r.Error != "" {
			t.Notes = append(t.Notes, r.Node+": "+r.Error)
		}
	}
	return t
}
