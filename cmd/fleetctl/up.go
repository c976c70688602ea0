package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
)

func newUp(a *app) *cobra.Command {
	var in fleet.Intent
	var flags mutationFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make the fleet what fleet.yaml says",
		Long: `Make the fleet what fleet.yaml says: create what is missing, start what is stopped,
publish what serves. The plan is shown first. A box that does not answer is left
alone, and so is its record. Run it again after anything: it goes on from what is there.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.mutate(cmd.Context(), mutation{
				command: commandLine(cmd, nil), question: "Do this?", flags: flags, install: true,
				intent: func(s *session, st fleet.State) (fleet.Intent, error) { return in, knownNodes(s.spec, st, in) },
				finish: finishUp,
			})
		},
	}
	flags.register(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.planFile, "plan", "", "do only what this `file` of 'fleetctl plan --out' shows")
	f.BoolVar(&flags.partial, "partial", false, "buy what the account has room for, if that is not all")
	f.BoolVar(&in.Upgrade, "upgrade", false, "change the relay binary of serving relays, too, one at a time")
	f.BoolVar(&in.Force, "force", false, "restart a relay that was restarted less than an hour ago")
	a.machineGoneFlag(cmd, &in.MachineGone)
	a.abandonFlag(cmd, &in.Abandon)
	a.recordFlags(cmd, &in)
	return cmd
}

// machineGoneFlag adds --machine-gone, and abandonFlag --abandon, with the spec's nodes as completions.
func (a *app) machineGoneFlag(cmd *cobra.Command, nodes *[]string) {
	cmd.Flags().StringSliceVar(nodes, "machine-gone", nil, "this `node`'s machine is gone, although its relay answers")
	_ = cmd.RegisterFlagCompletionFunc("machine-gone", a.completeNodes)
}

func (a *app) abandonFlag(cmd *cobra.Command, nodes *[]string) {
	cmd.Flags().StringSliceVar(nodes, "abandon", nil, "give up the census and the peer ID of this `node`'s dead box")
	_ = cmd.RegisterFlagCompletionFunc("abandon", a.completeNodes)
}

// knownNodes is an error if the intent names a node that neither the spec, nor a
// machine, nor a record has.
func knownNodes(s fleet.Spec, st fleet.State, in fleet.Intent) error {
	var known []string
	for _, slot := range s.Slots() {
		known = append(known, slot.Node)
	}
	for _, m := range st.Machines.Value {
		known = append(known, m.Node)
	}
	for _, rec := range st.Records.Value {
		if node, ok := rec.OwnedBy(s.Name); ok {
			known = append(known, node)
		}
	}
	for _, node := range slices.Concat(in.MachineGone, in.Abandon, in.NewPeerID) {
		if !slices.Contains(known, node) {
			err := fmt.Errorf("the fleet has no node %q", node)
			return fleet.WithHint(err, didYouMean(node, known, "'fleetctl status' lists the nodes"))
		}
	}
	return nil
}

// finishUp shows the fleet and what clients and curious people do with its name.
func finishUp(ctx context.Context, s *session, o fleet.Outcome) error {
	v := s.status(ctx, o.State)
	if err := s.app.show(v); err != nil {
		return err
	}
	s.app.say("\nclients: /dnsaddr/%s", s.spec.DNS.Domain)
	s.app.say("records: %s", digLine(v.Zone.Server, s.spec.DNS.RecordName()))
	return nil
}

// digLine shows the records with dig, from the zone's own server where it is known.
func digLine(server, name string) string {
	words := []string{"dig", "+short", "TXT", name}
	if host, port, err := net.SplitHostPort(server); err == nil {
		words = []string{"dig", "@" + host, "-p", port, "+short", "TXT", name}
	}
	return strings.Join(words, " ")
}
