package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// mapSlots gives every machine a slot of the spec: the one that forced names, the one
// that it has already, or the only free one of its region if it is the region's only
// machine. Everything else is for the operator to say: an error for each region.
func mapSlots(s fleet.Spec, ours, machines []fleet.Machine, forced map[string]string) ([]fleet.Machine, error) {
	free := make(map[string]string) // region by node
	var nodes []string
	for _, slot := range s.Slots() {
		free[slot.Node] = slot.Region
		nodes = append(nodes, slot.Node)
	}
	for _, m := range ours {
		if m.Phase == fleet.PhaseActive {
			delete(free, m.Node)
		}
	}
	out := make([]fleet.Machine, 0, len(machines))
	var errs []error
	settled := make(map[string]bool) // by machine ID
	put := func(m fleet.Machine, node string) {
		m.Node, settled[m.ID] = node, true
		delete(free, node)
		out = append(out, m)
	}
	for _, node := range sortedKeys(forced) {
		i := slices.IndexFunc(machines, func(m fleet.Machine) bool { return m.ID == forced[node] })
		had := i >= 0 && machines[i].Fleet == s.Name && machines[i].Node == node
		switch {
		case !slices.Contains(nodes, node):
			errs = append(errs, fleet.WithHint(fmt.Errorf("the spec has no node %q", node), didYouMean(node, nodes, "its nodes follow from fleet.yaml")))
		case i < 0:
			errs = append(errs, fmt.Errorf("%s: no machine %s is among those that are meant", node, forced[node]))
		case settled[forced[node]]:
			errs = append(errs, fmt.Errorf("%s: machine %s is given two slots", node, forced[node]))
		case free[node] == "" && !had:
			errs = append(errs, fmt.Errorf("%s: the slot is taken", node))
		default:
			put(machines[i], node)
		}
	}
	waiting := make(map[string][]fleet.Machine) // by region
	for _, m := range machines {
		switch {
		case settled[m.ID] || slices.ContainsFunc(sortedKeys(forced), func(n string) bool { return forced[n] == m.ID }):
		case m.Fleet == s.Name && m.Node != "" && !m.Unmarked, m.Problem != "":
			put(m, m.Node)
		default:
			waiting[m.Region] = append(waiting[m.Region], m)
		}
	}
	for _, region := range sortedKeys(waiting) {
		slots := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return free[n] != region })
		ms := waiting[region]
		if len(ms) == 1 && len(slots) == 1 {
			put(ms[0], slots[0])
			continue
		}
		errs = append(errs, noSlot(region, slots, ms))
	}
	if len(errs) > 0 {
		return nil, withCode(exitRefused, errors.Join(errs...))
	}
	slices.SortFunc(out, func(a, b fleet.Machine) int { return strings.Compare(a.Node+" "+a.ID, b.Node+" "+b.ID) })
	return out, nil
}

// noSlot says why the machines of a region have no slot, and what gives them one.
func noSlot(region string, slots []string, machines []fleet.Machine) error {
	names := make([]string, len(machines))
	for i, m := range machines {
		names[i] = m.ID + " (" + m.Name + ")"
	}
	meant := strings.Join(names, ", ")
	if len(slots) == 0 {
		return fleet.WithHint(fmt.Errorf("region %s: the spec has no free slot for %s", region, meant), "add a node of region "+region+" to fleet.yaml")
	}
	return fleet.WithHint(fmt.Errorf("region %s: which of %s is for which machine is not clear: %s", region, strings.Join(slots, ", "), meant),
		"say it with --node "+slots[0]+"="+machines[0].ID)
}
