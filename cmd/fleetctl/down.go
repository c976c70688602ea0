package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
)

func newDown(a *app) *cobra.Command {
	in := fleet.Intent{Down: true}
	var flags mutationFlags
	var consent downConsent
	var keep keepsake
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove the fleet: records, machines, and what was kept for them",
		Long: `Remove the fleet: its records first, then, when no resolver keeps them any more and
reservations have had time to move, its machines. Records of others stay, and so do
machines that you entered: the relay is taken off them.

On a terminal it asks for the fleet's name. Elsewhere it needs --yes, and where machines
cost money --expect-count too: how many machines the plan deletes.

A peer ID is gone for good with its machine. --keep-identities saves the relays' keys,
encrypted with age, before anything is changed: for --recipient, or with a passphrase that
is asked for.`,
		Example: `  fleetctl down --dry-run
  fleetctl down --keep-identities ./keys --recipient ~/.ssh/id_ed25519.pub
  fleetctl down --yes --expect-count 3`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			consent.counted = cmd.Flags().Changed("expect-count")
			if err := keep.check(a, flags.dryRun); err != nil {
				return err
			}
			there, err := a.mayBeThere()
			if err != nil {
				return err
			}
			if !there {
				a.say("nothing of this fleet is here")
				return nil
			}
			return a.mutate(cmd.Context(), mutation{
				command: commandLine(cmd, nil), flags: flags,
				intent: func(s *session, st fleet.State) (fleet.Intent, error) { return in, knownNodes(s.spec, st, in) },
				approve: func(ctx context.Context, s *session, st fleet.State, p fleet.Plan) error {
					if err := a.consentToDown(ctx, consent, s.spec, p); err != nil {
						return err
					}
					return keep.save(ctx, s, st, p)
				},
				finish: finishDown,
			})
		},
	}
	flags.register(cmd)
	a.machineGoneFlag(cmd, &in.MachineGone)
	cmd.Flags().IntVar(&consent.expect, "expect-count", 0, "go on only if the plan deletes this `number` of machines")
	keep.register(cmd)
	return cmd
}

// downConsent is what the command line says of the end of a fleet.
type downConsent struct {
	counted bool // --expect-count was given
	expect  int
}

// consentToDown returns nil if the operator wants the fleet gone. A count that is wrong
// refuses; --yes alone is enough where machines cost nothing; on a terminal the fleet's
// name has to be typed.
func (a *app) consentToDown(ctx context.Context, c downConsent, s fleet.Spec, p fleet.Plan) error {
	n := len(deletions(p))
	costs := n > 0 && s.Provider == fleet.ProviderDigitalOcean
	if c.counted && c.expect != n {
		err := fmt.Errorf("down: the plan deletes %s, --expect-count says %d", machinesCount(n), c.expect)
		return withCode(exitRefused, fleet.WithHint(err, "look at the plan again with 'fleetctl down --dry-run'"))
	}
	if a.globals.yes && (c.counted || !costs) {
		return nil
	}
	if a.globals.noInput || !a.in.terminal || !a.err.terminal {
		if !costs {
			return a.confirm(ctx, "") // which says how to go on
		}
		err := fmt.Errorf("down: not confirmed: the plan deletes %s that cost money, and there is no terminal to ask on", machinesCount(n))
		return withCode(exitRefused, fleet.WithHint(err, fmt.Sprintf("look at the plan; if these are the %d, run 'fleetctl down --yes --expect-count %d'", n, n)))
	}
	answer, err := a.ask(ctx, fmt.Sprintf("\nThis removes %s, the peer IDs and the census. Type the fleet's name to go on: ", machinesCount(n)))
	if err != nil {
		return err
	}
	if answer != s.Name {
		return withCode(exitRefused, errors.New("not confirmed: nothing was changed"))
	}
	return nil
}

// deletions are the IDs of the machines that a plan deletes, now or later, sorted.
func deletions(p fleet.Plan) []string {
	var ids []string
	for _, c := range p.Changes() {
		if c.Action == fleet.ActionDelete {
			ids = append(ids, c.Ref.ID)
		}
	}
	for _, d := range p.Deferred {
		if d.Action == fleet.ActionDelete {
			ids = append(ids, d.Ref.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// machinesCount is "1 machine" or "3 machines".
func machinesCount(n int) string {
	if n == 1 {
		return "1 machine"
	}
	return fmt.Sprintf("%d machines", n)
}

// mayBeThere reports whether there can be anything of the fleet: a local fleet is nowhere
// but in this computer's state directory, any other has to be looked for.
func (a *app) mayBeThere() (bool, error) {
	spec, err := a.loadSpec()
	if err != nil {
		return false, err
	}
	if spec.Provider != fleet.ProviderLocal || spec.DNS.Zone != fleet.ZoneLocal {
		return true, nil
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
	given := 0
	for _, m := range st.Machines.Value {
		if m.Given {
			given++
		}
	}
	if n := len(st.Machines.Value) - given; n > 0 {
		left = append(left, machinesCount(n)+" left")
	}
	left = append(left, st.Leftovers.Value...)
	if len(left) == 0 && o.Settled() {
		if err := s.forget(); err != nil {
			return err
		}
		if given > 0 {
			s.app.say("fleet %s is gone: no relay, no record of ours; %s of yours stay", s.spec.Name, machinesCount(given))
			return nil
		}
		s.app.say("fleet %s is gone: no machine, no record of ours", s.spec.Name)
		return nil
	}
	slices.Sort(left)
	return fmt.Errorf("fleet %s is not gone: %s", s.spec.Name, strings.Join(left, ", "))
}
