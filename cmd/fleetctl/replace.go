package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
)

func newReplaceRegion(a *app) *cobra.Command {
	var in fleet.Intent
	var flags mutationFlags
	cmd := &cobra.Command{
		Use:   "replace-region REGION",
		Short: "Replace the machines of a region without a gap",
		Long: `Replace the machines of a region: the new relay is up, published and serving before
the old one's record goes; then the old one drains, hands its census on and is deleted.
If it is interrupted, the same command finishes it, and so does 'fleetctl up'.`,
		Args:              exactArgs("REGION"),
		ValidArgsFunction: a.completeRegions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.mutate(cmd.Context(), mutation{
				command: commandLine(cmd, args), question: "Replace region " + args[0] + "?", flags: flags, install: true,
				intent: func(s *session, st fleet.State) (fleet.Intent, error) {
					replace, err := toReplace(s.spec, st, args[0])
					in.Replace = replace
					return in, errors.Join(err, knownNodes(s.spec, st, in))
				},
				finish: finishUp,
			})
		},
	}
	flags.register(cmd)
	a.machineGoneFlag(cmd, &in.MachineGone)
	a.abandonFlag(cmd, &in.Abandon)
	return cmd
}

// toReplace lists the IDs of a region's machines that hold a slot. A node of which a
// machine is on its way out already is being replaced by a run that was interrupted:
// that is finished, and the successor stays.
func toReplace(s fleet.Spec, st fleet.State, region string) ([]string, error) {
	if s.Provider == fleet.ProviderHosts {
		err := errors.New("replace-region: hosts of a list are never made or deleted, so none can take the place of another")
		return nil, withCode(exitRefused, fleet.WithHint(err, "change the entry in fleet.yaml to another machine, and run 'fleetctl up'"))
	}
	var known []string
	for _, slot := range s.Slots() {
		known = append(known, slot.Region)
	}
	if !slices.Contains(known, region) {
		err := fmt.Errorf("replace-region: the spec has no region %q", region)
		return nil, fleet.WithHint(err, didYouMean(region, known, "its regions are in fleet.yaml, under nodes"))
	}
	if !st.Machines.OK() {
		return nil, fmt.Errorf("replace-region: %w", st.Machines.Err)
	}
	ids, underWay := st.ToReplace(region)
	if len(ids)+underWay == 0 {
		err := fmt.Errorf("replace-region: region %s has no machine to replace", region)
		return nil, fleet.WithHint(err, "run 'fleetctl up' to create it")
	}
	return ids, nil
}
