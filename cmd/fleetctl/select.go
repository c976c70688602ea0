package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// selection says which boxes a command is about, as flags tell it. Within one flag any
// of its parts may match; a box must match every flag that is given, and not be excluded.
type selection struct {
	on, region, tag, exclude []string
	all                      bool
}

// register adds the flags to a command. --all is there where no flag does not mean all.
func (sel *selection) register(a *app, cmd *cobra.Command, needed bool) {
	f := cmd.Flags()
	f.StringSliceVar(&sel.on, "on", nil, "boxes by `selector`: a node, a region or a glob, several with commas")
	f.StringSliceVar(&sel.region, "region", nil, "boxes in this `region` or glob")
	f.StringSliceVar(&sel.tag, "tag", nil, "boxes with this `tag` or label, or a glob")
	f.StringSliceVar(&sel.exclude, "exclude", nil, "but not the boxes of this `selector`")
	if needed {
		f.BoolVar(&sel.all, "all", false, "every box of the fleet")
	}
	for flag, complete := range map[string]func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective){
		"on": a.completeNodes, "exclude": a.completeNodes, "region": a.completeRegions, "tag": a.completeTags,
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return complete(cmd, nil, word) // whatever the arguments are
		})
	}
}

// given reports whether any flag chooses boxes.
func (sel *selection) given() bool {
	return len(sel.on)+len(sel.region)+len(sel.tag) > 0 || sel.all
}

// require is an error unless boxes were chosen, or --all was given and nothing else.
func (sel *selection) require(command string) error {
	chosen := len(sel.on)+len(sel.region)+len(sel.tag) > 0
	switch {
	case sel.all && chosen:
		return fmt.Errorf("%s: --all and a selection were given", command)
	case !sel.given():
		return fleet.WithHint(errors.New(command+": --on is missing"), "name the boxes: --on nyc1-1, --region nyc1, --tag TAG, or --all")
	}
	return nil
}

// pick selects machines. Without a flag it selects all. Machines on their way out, and
// such as are not shown to be ours, are never selected: they are left out. A part of a flag
// that matches nothing is an error, and so is an empty selection.
func (sel *selection) pick(machines []fleet.Machine) (usable, leftOut []fleet.Machine, err error) {
	chosen := slices.Clone(machines)
	for _, c := range []criterion{
		{"", sel.on, names, "name a node (nyc1-1), a region (nyc1), or a glob ('nyc*')"},
		{"--region: ", sel.region, func(m fleet.Machine) []string { return []string{m.Region} }, "run 'fleetctl hosts' for the regions"},
		{"--tag: ", sel.tag, func(m fleet.Machine) []string { return m.Labels }, "run 'fleetctl hosts -o wide' for the labels"},
	} {
		found, err := c.matches(machines)
		if err != nil {
			return nil, nil, err
		}
		if len(c.parts) > 0 {
			chosen = slices.DeleteFunc(chosen, func(m fleet.Machine) bool { return !found[m.ID] })
		}
	}
	left, err := criterion{"--exclude: ", sel.exclude, names, "name a node, a region, or a glob of those that are there"}.matches(machines)
	if err != nil {
		return nil, nil, err
	}
	chosen = slices.DeleteFunc(chosen, func(m fleet.Machine) bool { return left[m.ID] })
	if len(chosen) == 0 {
		return nil, nil, fleet.WithHint(errors.New("selection: no machine of the fleet is meant by all of the flags"), "run 'fleetctl hosts -o wide' for the machines and their labels")
	}
	for _, m := range chosen {
		if m.Phase != fleet.PhaseActive || m.Unmarked {
			leftOut = append(leftOut, m)
		} else {
			usable = append(usable, m)
		}
	}
	if len(usable) == 0 {
		err := fmt.Errorf("selection: %s is on its way out, or not shown to be ours: it is never selected", chosen[0].ID)
		return nil, nil, fleet.WithHint(err, "run 'fleetctl status' to see what resolves it")
	}
	return usable, leftOut, nil
}

// names are what --on compares with.
func names(m fleet.Machine) []string { return []string{m.Node, m.Region} }

// criterion is one flag of a selection.
type criterion struct {
	flag  string // as errors begin; "" for --on, which words without a flag are, too
	parts []string
	of    func(fleet.Machine) []string // what the parts are compared with
	hint  string
}

// matches finds the IDs of the machines that any part means. A part that means none is
// an error: it is misspelt.
func (c criterion) matches(machines []fleet.Machine) (map[string]bool, error) {
	found := make(map[string]bool)
	for _, part := range c.parts {
		part = strings.TrimSpace(part)
		hit := false
		var known []string
		for _, m := range machines {
			for _, name := range c.of(m) {
				known = append(known, name)
				glob, err := filepath.Match(part, name)
				if err != nil {
					return nil, fmt.Errorf("%sselector %q: %w", c.flag, part, err)
				}
				if name == part || glob {
					hit, found[m.ID] = true, true
				}
			}
		}
		if part == "" || !hit {
			slices.Sort(known)
			err := fmt.Errorf("%sselector %q: no machine of the fleet is meant", c.flag, part)
			return nil, fleet.WithHint(err, didYouMean(part, slices.Compact(known), c.hint))
		}
	}
	return found, nil
}

// selected lists the machines that a selection means.
func (s *session) selected(ctx context.Context, sel selection) ([]fleet.Machine, error) {
	machines, err := s.machines(ctx)
	if err != nil {
		return nil, err
	}
	return s.pick(sel, machines)
}

// pick picks, and says what a selection means and leaves out.
func (s *session) pick(sel selection, machines []fleet.Machine) ([]fleet.Machine, error) {
	usable, leftOut, err := sel.pick(machines)
	for _, m := range leftOut {
		if m.Unmarked {
			s.app.say("fleetctl: warning: %s (%s) is left out: it is not shown to be ours; 'fleetctl status' says what resolves it", render.Safe(m.Node), m.ID)
		} else {
			s.app.say("%s (%s) is left out: it is on its way out", render.Safe(m.Node), m.ID)
		}
	}
	return usable, err
}

// withheld is why nothing is run on a machine or written to it, nil if it is shown to be
// ours.
func withheld(m fleet.Machine) error {
	if m.Problem == "" {
		return nil
	}
	return errors.New(m.Problem)
}

// machines lists the fleet's machines, for commands about some of them.
func (s *session) machines(ctx context.Context) ([]fleet.Machine, error) {
	machines, err := s.b.Provider.Machines(ctx)
	if err != nil {
		return nil, err
	}
	if len(machines) == 0 {
		return nil, fleet.WithHint(fmt.Errorf("fleet %s has no machines", s.spec.Name), "run 'fleetctl up' to create them")
	}
	return machines, nil
}

// machine finds the one machine that a word means: a node, or a region or glob of one.
func (s *session) machine(ctx context.Context, node string) (fleet.Machine, error) {
	found, err := s.selected(ctx, selection{on: []string{node}})
	if err != nil {
		return fleet.Machine{}, err
	}
	if len(found) > 1 {
		return fleet.Machine{}, fmt.Errorf("%q means %d machines: name one node", node, len(found))
	}
	return found[0], nil
}

// lookAt adds to an error about a node's relay how to see why, and what puts most right.
func lookAt(node string, err error) error {
	return fleet.WithHint(err, "run 'fleetctl up' to start what stopped, and 'fleetctl logs "+node+"' to see why")
}

// sshAddr is host:port of a machine's SSH, "" if it has none.
func sshAddr(m fleet.Machine) string {
	at, err := host.Target(m)
	if err != nil {
		return ""
	}
	return at.Addr
}
