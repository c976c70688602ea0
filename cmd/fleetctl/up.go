package main

import (
	"context"
	"fmt"
	"net"
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
				command: []string{"up"}, question: "Do this?", flags: flags, install: true,
				intent: func(*session, fleet.State) (fleet.Intent, error) { return in, nil },
				finish: finishUp,
			})
		},
	}
	flags.register(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.planFile, "plan", "", "do only what this `file` of 'fleetctl plan --out' shows")
	f.BoolVar(&in.Upgrade, "upgrade", false, "change the relay binary of serving relays, too, one at a time")
	f.BoolVar(&in.Force, "force", false, "restart a relay that was restarted less than an hour ago")
	f.StringSliceVar(&in.MachineGone, "machine-gone", nil, "this `node`'s machine is gone, although its relay answers")
	f.StringSliceVar(&in.Abandon, "abandon", nil, "give up the census and the peer ID of this `node`'s dead box")
	for _, name := range []string{"machine-gone", "abandon"} {
		_ = cmd.RegisterFlagCompletionFunc(name, a.completeNodes)
	}
	return cmd
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
				command: []string{"down"}, question: "Remove the whole fleet, its peer IDs and its census?", flags: flags,
				intent: func(*session, fleet.State) (fleet.Intent, error) { return fleet.Intent{Down: true}, nil },
				finish: finishDown,
			})
		},
	}
	flags.register(cmd)
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

// finishDown looks once more and says what is left, if anything is.
func finishDown(_ context.Context, s *session, o fleet.Outcome) error {
	st := o.State
	if st.Machines.OK() && st.Records.OK() && len(st.Machines.Value) == 0 && o.Settled() {
		s.app.say("fleet %s is gone: no machine, no record of ours", s.spec.Name)
		return nil
	}
	return fmt.Errorf("fleet %s: %d machines are left", s.spec.Name, len(st.Machines.Value))
}
