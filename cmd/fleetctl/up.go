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
		if o, ok := rec.Owner(); ok && o.Fleet == s.Name {
			known = append(known, o.Relay)
		}
	}
	for _, node := range slices.Concat(in.MachineGone, in.Abandon) {
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

func newDown(a *app) *cobra.Command {
	in := fleet.Intent{Down: true}
	var flags mutationFlags
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove the fleet: records, machines, and what was kept for them",
		Long: `Remove the fleet: its records first, then, when no resolver keeps them any more and
reservations have had time to move, its machines. Records of others stay.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			there, err := a.hasState()
			if err != nil {
				return err
			}
			if !there {
				a.say("nothing of this fleet is here")
				return nil
			}
			return a.mutate(cmd.Context(), mutation{
				command: commandLine(cmd, nil), question: "Remove the whole fleet, its peer IDs and its census?", flags: flags,
				intent: func(s *session, st fleet.State) (fleet.Intent, error) { return in, knownNodes(s.spec, st, in) },
				finish: finishDown,
			})
		},
	}
	flags.register(cmd)
	a.machineGoneFlag(cmd, &in.MachineGone)
	return cmd
}

// hasState reports whether this computer keeps anything of the fleet.
func (a *app) hasState() (bool, error) {
	spec, err := a.loadSpec()
	if err != nil {
		return false, err
	}
	dir, err := a.readState(spec)
	if err != nil {
		return false, err
	}
	return dir.Exists(), nil
}

// finishDown says that the fleet is gone, or what is left of it or not known.
func finishDown(_ context.Context, s *session, o fleet.Outcome) error {
	st := o.State
	var left []string
	for what, err := range map[string]error{"its machines": st.Machines.Err, "its records": st.Records.Err, "what the provider keeps": st.Leftovers.Err} {
		if err != nil {
			left = append(left, what+" could not be read")
		}
	}
	if n := len(st.Machines.Value); n > 0 {
		left = append(left, fmt.Sprintf("%d machines are left", n))
	}
	left = append(left, st.Leftovers.Value...)
	if len(left) == 0 && o.Settled() {
		s.app.say("fleet %s is gone: no machine, no record of ours", s.spec.Name)
		return nil
	}
	slices.Sort(left)
	return fmt.Errorf("fleet %s is not gone: %s", s.spec.Name, strings.Join(left, ", "))
}
