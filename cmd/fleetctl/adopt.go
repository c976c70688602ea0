package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/provider"
)

// oldState is where the relays of older tooling keep their state.
const oldState = "/var/lib/bitterbot"

// adoptFlags are what `fleetctl adopt` is told.
type adoptFlags struct {
	want     fleet.Candidates
	nodes    map[string]string // machine ID by node
	hostKeys map[string]string // fingerprint by node or jump host
	state    string
	takeOver bool
	dryRun   bool
	lockWait time.Duration
}

func newAdopt(a *app) *cobra.Command {
	var f adoptFlags
	cmd := &cobra.Command{
		Use:   "adopt [NODE...]",
		Short: "Take relays that others made into the fleet, and restart none",
		Long: `Take relays that others made into the fleet: droplets by --tag, --name or --id, or the
hosts of fleet.yaml (NODE..., all by default). Every host key is shown once to be
confirmed and then pinned; the machine is marked, its peer ID and its census stay. An
adopted relay is probed and published, and nothing on its box is changed.

With --take-over NODE... it becomes a relay like the others: what the next 'fleetctl up'
then does to it is shown first. 'fleetctl release' gives a machine back.

Without a terminal nobody can confirm a host key: name each one, as its console or its
owner tells it, with --host-key NODE=SHA256:....`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.takeOver {
				return a.takeOver(cmd.Context(), f, args, commandLine(cmd, args))
			}
			return a.adopt(cmd.Context(), f, args, commandLine(cmd, args))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.want.Tag, "tag", "", "droplets that carry this `tag`")
	flags.StringVar(&f.want.Name, "name", "", "droplets whose name matches this `glob`")
	flags.StringSliceVar(&f.want.IDs, "id", nil, "the droplet with this `ID`")
	flags.StringToStringVar(&f.nodes, "node", nil, "give a slot to a machine: `NODE=ID`")
	flags.StringToStringVar(&f.hostKeys, "host-key", nil, "the machine of NODE has this host key: `NODE=SHA256:...`")
	flags.StringVar(&f.state, "state", oldState, "`directory` in which the old relays keep their state")
	flags.BoolVar(&f.takeOver, "take-over", false, "let 'fleetctl up' change the relays of NODE... from now on")
	flags.DurationVar(&f.lockWait, "lock-wait", 0, "wait this `long` for another command on this fleet to end")
	dryRunFlag(cmd, &f.dryRun)
	return cmd
}

// adoptee is a machine on its way into the fleet.
type adoptee struct {
	m       fleet.Machine // with its slot
	key     string        // host key, authorized_keys form
	pinned  bool          // it was pinned before
	vouched bool          // --host-key names it
	relay   fleet.Relay
	census  *int // entries, nil: not read
	result  string
	err     error
}

// adopt finds, shows, asks and marks.
func (a *app) adopt(ctx context.Context, f adoptFlags, nodes, command []string) (err error) {
	s, err := a.openFor(ctx, mutation{command: command, flags: mutationFlags{dryRun: f.dryRun, lockWait: f.lockWait}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	adopter, err := s.adopter("adopt")
	if err != nil {
		return err
	}
	found, err := s.candidates(ctx, adopter, f, nodes)
	if err != nil {
		return err
	}
	if err := s.trustJumps(ctx, f, found); err != nil {
		return err
	}
	s.scan(ctx, found)
	if err := vouch(found, f.hostKeys); err != nil {
		return errors.Join(a.tellAdoption(s, found), err)
	}
	if f.dryRun {
		s.lookAtPinned(ctx, found)
		return errors.Join(a.show(s.adoption(found, true)), adoptErrors(found))
	}
	if err := s.confirmAdoption(ctx, found); err != nil {
		return err
	}
	s.audit("begun", nil)
	s.take(ctx, adopter, f, found)
	problem := adoptErrors(found)
	s.audit(map[bool]string{true: "done", false: "partial"}[problem == nil], problem)
	return errors.Join(a.show(s.adoption(found, false)), problem)
}

// adopter is the session's provider as one that takes machines of others.
func (s *session) adopter(command string) (fleet.Adopter, error) {
	if adopter, ok := provider.As[fleet.Adopter](s.machinesOf); ok {
		return adopter, nil
	}
	err := fmt.Errorf("%s: provider %s has no machines of others", command, s.spec.Provider)
	return nil, withCode(exitRefused, fleet.WithHint(err, "only the providers digitalocean and hosts adopt and release"))
}

// candidates are the machines that the flags and arguments mean, each with its slot.
func (s *session) candidates(ctx context.Context, adopter fleet.Adopter, f adoptFlags, nodes []string) ([]*adoptee, error) {
	given := s.spec.Provider == fleet.ProviderHosts
	narrowed := f.want.Tag != "" || f.want.Name != "" || len(f.want.IDs) > 0
	switch {
	case given && (narrowed || len(f.nodes) > 0):
		return nil, fleet.WithHint(errors.New("adopt: --tag, --name, --id and --node are for droplets"), "name the nodes of the hosts: fleetctl adopt NODE...")
	case !given && len(nodes) > 0:
		return nil, fleet.WithHint(fmt.Errorf("adopt: unexpected argument %q", nodes[0]), "name droplets with --tag, --name or --id, and their slots with --node NODE=ID")
	case !given && !narrowed && len(f.nodes) == 0:
		return nil, fleet.WithHint(errors.New("adopt: which droplets is not said"), "name them with --tag, --name or --id")
	}
	for _, node := range sortedKeys(f.nodes) {
		if narrowed && f.want.Tag == "" && f.want.Name == "" || !narrowed {
			f.want.IDs = append(f.want.IDs, f.nodes[node])
		}
	}
	machines, err := adopter.Candidates(ctx, f.want)
	if err != nil {
		return nil, err
	}
	if given {
		machines, err = onNodes(machines, nodes)
	} else {
		machines, err = s.onSlots(ctx, machines, f.nodes)
	}
	if err != nil {
		return nil, err
	}
	found := make([]*adoptee, len(machines))
	for i, m := range machines {
		m.State = cmp.Or(m.State, fleet.StateDir)
		if !given && m.Fleet == "" {
			m.State = f.state
		}
		found[i] = &adoptee{m: m}
		if m.Problem != "" {
			found[i].err = errors.New(m.Problem)
		}
	}
	return found, nil
}

// onNodes picks the machines of some nodes, all if none is named.
func onNodes(machines []fleet.Machine, nodes []string) ([]fleet.Machine, error) {
	var known []string
	for _, m := range machines {
		known = append(known, m.Node)
	}
	for _, node := range nodes {
		if !slices.Contains(known, node) {
			return nil, fleet.WithHint(fmt.Errorf("the fleet has no node %q", node), didYouMean(node, known, "'fleetctl status' lists the nodes"))
		}
	}
	if len(nodes) == 0 {
		return machines, nil
	}
	return slices.DeleteFunc(machines, func(m fleet.Machine) bool { return !slices.Contains(nodes, m.Node) }), nil
}

// onSlots gives the candidates the slots that are free.
func (s *session) onSlots(ctx context.Context, machines []fleet.Machine, forced map[string]string) ([]fleet.Machine, error) {
	if len(machines) == 0 {
		return nil, fleet.WithHint(errors.New("adopt: no machine is meant"), "check the tag, the name or the ID, and whose token this is")
	}
	ours, err := s.b.Provider.Machines(ctx)
	if err != nil {
		return nil, err
	}
	return mapSlots(s.spec, ours, machines, forced)
}

// adoptErrors are those of the single machines.
func adoptErrors(found []*adoptee) error {
	var errs []error
	for _, f := range found {
		if f.err != nil {
			err := fleet.WithHint(fmt.Errorf("%s: %w", f.m.Node, f.err), fleet.Hint(f.err))
			errs = append(errs, withCode(exitPartial, ofNode(f.m.Node, err)))
		}
	}
	return errors.Join(errs...)
}

// address is where a machine's SSH answers, "" if that is not known.
func (f *adoptee) address() string {
	at, err := host.Target(f.m)
	if err != nil {
		return ""
	}
	return at.Addr
}

// sortedKeys lists the keys of a map.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, strings.Compare)
	return keys
}
