package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
)

func newReplaceRegion(a *app) *cobra.Command {
	var flags mutationFlags
	var abandon []string
	cmd := &cobra.Command{
		Use:   "replace-region REGION",
		Short: "Replace the machines of a region without a gap",
		Long: `Replace the machines of a region: the new relay is up, published and serving before
the old one's record goes; then the old one drains, hands its census on and is deleted.
If it is interrupted, 'fleetctl up' finishes it.`,
		Args:              exactArgs("REGION"),
		ValidArgsFunction: a.completeRegions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.mutate(cmd.Context(), mutation{
				command: []string{"replace-region", args[0]}, question: "Replace region " + args[0] + "?", flags: flags, install: true,
				intent: func(s *session, st fleet.State) (fleet.Intent, error) {
					return replaceIntent(s.spec, st, args[0], abandon)
				},
				finish: finishUp,
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().StringSliceVar(&abandon, "abandon", nil, "give up the census and the peer ID of this `node`'s dead box")
	_ = cmd.RegisterFlagCompletionFunc("abandon", a.completeNodes)
	return cmd
}

// replaceIntent names the machines of a region that hold a slot.
func replaceIntent(s fleet.Spec, st fleet.State, region string, abandon []string) (fleet.Intent, error) {
	var known []string
	for _, slot := range s.Slots() {
		known = append(known, slot.Region)
	}
	if !slices.Contains(known, region) {
		err := fmt.Errorf("replace-region: the spec has no region %q", region)
		return fleet.Intent{}, fleet.WithHint(err, didYouMean(region, known, "its regions are in fleet.yaml, under nodes"))
	}
	if !st.Machines.OK() {
		return fleet.Intent{}, fmt.Errorf("replace-region: %w", st.Machines.Err)
	}
	in := fleet.Intent{Abandon: abandon}
	for _, m := range st.Machines.Value {
		if m.Region == region && m.Phase == fleet.PhaseActive {
			in.Replace = append(in.Replace, m.ID)
		}
	}
	if len(in.Replace) == 0 {
		err := fmt.Errorf("replace-region: region %s has no machine to replace", region)
		return in, fleet.WithHint(err, "run 'fleetctl up' to create it, or to finish a replacement that was interrupted")
	}
	return in, nil
}
