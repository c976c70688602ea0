package main

import (
	"context"
	"fmt"

	"path/filepath"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
)

// match finds the machines of one part of a selector. Selecting none is an error.
func match(machines []fleet.Machine, part string) ([]fleet.Machine, error) {
	var out []fleet.Machine
	var known []string
	for _, m := range machines {
		known = append(known, m.Node, m.Region)
		glob, err := filepath.Match(part, m.Node)
		if err != nil {
			return nil, fmt.Errorf("selector %q: %w", part, err)
		}
		if m.Phase == fleet.PhaseActive && (m.Node == part || m.Region == part || glob) {
			out = append(out, m)
		}
	}
	if part == "" || len(out) == 0 {
		slices.Sort(known)
		err := fmt.Errorf("selector %q: no machine of the fleet is meant", part)
		return nil, fleet.WithHint(err, didYouMean(part, slices.Compact(known), "name a node (nyc1-1), a region (nyc1), or a glob ('nyc*')"))
	}
	return out, nil
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

// machine finds the one machine of a node.
func (s *session) machine(ctx context.Context, node string) (fleet.Machine, error) {
	machines, err := s.machines(ctx)
	if err != nil {
		return fleet.Machine{}, err
	}
	found, err := match(machines, node)
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

// pick selects machines by a selector: a node, a region (all its nodes), a glob, or
// several of these with commas. Machines on their way out are left out.
func pick(machines []fleet.Machine, selector string) ([]fleet.Machine, error) {
	var out []fleet.Machine
	for _, part := range strings.Split(selector, ",") {
		found, err := match(machines, strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if !slices.ContainsFunc(out, func(o fleet.Machine) bool { return o.ID == m.ID }) {
				out = append(out, m)
			}
		}
	}
	return out, nil
}
