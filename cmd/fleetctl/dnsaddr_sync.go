package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
)

func newDNSAddrSync(a *app) *cobra.Command {
	in := fleet.Intent{RecordsOnly: true}
	var flags mutationFlags
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Make the records what the fleet is; touch nothing else",
		Long: `Make the records what the fleet is; touch nothing else. A relay that does not answer
keeps its record, and is named. A record of somebody else is never touched; one of a relay
of this fleet that carries no comment becomes the fleet's.

--dry-run prints the plan and its hash. With --plan-hash, sync does what has that hash and
nothing else, and refuses when the fleet, the zone, or what fleet.yaml says of them changed
meanwhile.`,
		Example: `  fleetctl dnsaddr sync --dry-run
  fleetctl dnsaddr sync --yes --plan-hash HASH
  fleetctl dnsaddr sync --dry-run --detailed-exitcode`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.mutate(cmd.Context(), mutation{
				command: commandLine(cmd, nil), question: "Write these records?", flags: flags,
				intent: func(s *session, st fleet.State) (fleet.Intent, error) { return in, knownNodes(s.spec, st, in) },
				shown:  inSync,
				finish: finishSync,
			})
		},
	}
	flags.register(cmd)
	alsoFrom(cmd, "dry-run", "DRY_RUN")
	a.machineGoneFlag(cmd, &in.MachineGone)
	a.recordFlags(cmd, &in)
	f := cmd.Flags()
	f.StringVar(&flags.planFile, "plan", "", "do only what this `file` of --out shows")
	f.StringVar(&flags.planHash, "plan-hash", "", "do only the plan with this `hash`, as --dry-run printed it")
	f.StringVar(&flags.out, "out", "", "write the plan to this `file`")
	f.BoolVar(&in.Adopt, "adopt", false, "take over records of this fleet's relays that carry somebody else's comment")
	f.BoolVar(&in.Unverified, "unverified", false, "publish addresses that no probe found serving, too")
	return cmd
}

// recordFlags adds the flags that lift what Guard refuses to do to records.
func (a *app) recordFlags(cmd *cobra.Command, in *fleet.Intent) {
	f := cmd.Flags()
	f.StringSliceVar(&in.NewPeerID, "accept-new-peer-id", nil, "this `node`'s relay has another peer ID than it was published with")
	_ = cmd.RegisterFlagCompletionFunc("accept-new-peer-id", a.completeNodes)
	f.Var((*amount)(&in.MaxDeletes), "max-deletes", "let this `number` of nodes leave DNS at once with nothing in their place")
}

// inSync ends a dry run that found nothing to write, and nothing that it does not know.
func inSync(s *session, p fleet.Plan) {
	if !p.Empty() || len(p.Problems()) > 0 || len(p.Deferred) > 0 {
		return
	}
	calls := ""
	if z, counts := s.zone.(interface{ Calls() int }); counts {
		calls = fmt.Sprintf(", %d calls of its API", z.Calls())
		if z.Calls() == 1 {
			calls = ", 1 call of its API"
		}
	}
	s.app.say("in sync: 0 writes%s", calls)
}

func finishSync(_ context.Context, s *session, o fleet.Outcome) error {
	return s.app.show(s.records(o.State.Records.Value))
}
