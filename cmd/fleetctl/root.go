package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
)

// run executes one command line and returns the exit code of the process.
func run(ctx context.Context, a *app, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	return a.exit(ctx, args, err)
}

// newRoot is the command tree: one line per command.
func newRoot(a *app) *cobra.Command {
	root := group("fleetctl", "Run a fleet of libp2p relays",
		newInit(a),
		newConfig(a),
		newPlan(a),
		newUp(a),
		newDown(a),
		newReplaceRegion(a),
		newAdopt(a),
		newRelease(a),
		newImport(a),
		newStatus(a),
		newVerify(a),
		newDNSAddr(a),
		newStats(a),
		newServe(a),
		newMonitoring(a),
		newLogs(a),
		newSSH(a),
		newExec(a),
		newHosts(a),
		newCost(a),
		newUsage(a),
		newCopy(a),
		newKeys(a),
		newDoctor(a),
		newVersion(a),
		newCompletion(a),
		newSupervise(a),
	)
	root.Long = `fleetctl runs a fleet of libp2p relays as fleet.yaml describes it: machines, relays,
and the DNS records that tell clients where they are.

A first fleet, on this machine, without any account:
  fleetctl init
  fleetctl up`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelp())
	root.SetFlagErrorFunc(flagError)
	a.globals.register(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.settle(cmd) }
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.AddCommand(commands...)
	return cmd
}

// newHelp is `fleetctl help [COMMAND]`.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(found, rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// unknownCommand names the nearest command, or all of them.
func unknownCommand(parent *cobra.Command, name string) error {
	var known []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	err := fmt.Errorf("unknown command %q", name)
	if parent.HasParent() {
		err = fmt.Errorf("%s: %w", path(parent), err)
	}
	return fleet.WithHint(err, didYouMean(name, known, "run '"+parent.CommandPath()+" --help' for the list"))
}

// exactArgs takes the arguments that it names, and no others: exactArgs("REGION") one,
// exactArgs() none.
func exactArgs(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, got []string) error {
		if len(got) < len(want) {
			err := fmt.Errorf("%s: %s is missing", path(cmd), want[len(got)])
			return fleet.WithHint(err, "run '"+cmd.UseLine()+"'")
		}
		if len(got) > len(want) {
			err := fmt.Errorf("%s: unexpected argument %q", path(cmd), got[len(want)])
			return fleet.WithHint(err, "run '"+cmd.CommandPath()+" --help' for what it takes")
		}
		return nil
	}
}

// unknownValue names what is accepted in place of an argument.
func unknownValue(cmd *cobra.Command, what, got string, accepted []string) error {
	err := fmt.Errorf("%s: unknown %s %q", path(cmd), what, got)
	return fleet.WithHint(err, didYouMean(got, accepted, "accepted are "+strings.Join(accepted, ", ")))
}

// path is a command without the program's name, which errors begin with anyway.
func path(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return cmd.Name()
	}
	_, rest, _ := strings.Cut(cmd.CommandPath(), " ")
	return rest
}

// flagError adds the nearest flag to the error of an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return fmt.Errorf("%s: %w", path(cmd), err)
	}
	name, _, _ = strings.Cut(name, "=")
	hint := didYouMean("--"+name, flagNames(cmd), "run '"+cmd.CommandPath()+" --help' for its flags")
	return fleet.WithHint(fmt.Errorf("%s: unknown flag --%s", path(cmd), name), hint)
}

// didYouMean is a hint that names the nearest of what is known, if any is near.
func didYouMean(name string, known []string, otherwise string) string {
	near := nearest(name, known)
	if near == "" {
		return otherwise
	}
	return "did you mean " + near + "?"
}

// nearest is the known word that is most like name, "" if none is.
func nearest(name string, known []string) string {
	best, distance := "", max(len(name)/3, 1)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), k); d < distance {
			best, distance = k, d
		}
	}
	return best
}
