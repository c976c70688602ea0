package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// keyFile is the relay's identity in its state directory, and maxNodeKey is far above its
// size, in bytes.
const (
	nodeKeyFile = "node.key"
	maxNodeKey  = 4096
)

// keepsake saves the identities of relays whose machines go: --keep-identities.
type keepsake struct {
	dir        string
	recipients []string
	to         []age.Recipient // of recipients, once they are checked
}

func (k *keepsake) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.dir, "keep-identities", "", "save the relays' keys in this `directory`, encrypted with age, before anything is changed")
	cmd.Flags().StringArrayVar(&k.recipients, "recipient", nil, "who can read the saved keys: an age or SSH public `key`, or a file of them; may be repeated")
}

// check reads the recipients before anything else is done.
func (k *keepsake) check(a *app, dryRun bool) (err error) {
	switch {
	case k.dir == "" && len(k.recipients) == 0:
		return nil
	case k.dir == "":
		return fleet.WithHint(errors.New("down: --recipient without --keep-identities"), "name the directory for the keys: --keep-identities DIR")
	}
	if k.to, err = a.ageRecipients(k.recipients); err != nil {
		return fmt.Errorf("down: --recipient: %w", err)
	}
	if len(k.to) == 0 && !dryRun && (a.globals.noInput || !a.in.terminal || !a.err.terminal) {
		err := errors.New("down: --keep-identities: there is no terminal to ask for a passphrase on")
		return withCode(exitRefused, fleet.WithHint(err, "name who can read the keys: --recipient age1… or --recipient ~/.ssh/id_ed25519.pub"))
	}
	return nil
}

// identity is a relay's key on its way into a file.
type identity struct {
	node, peer string
	key        []byte
	err        error
}

// save fetches the key of every relay that the plan ends, checks each against its peer ID
// and writes them all, or none and an error.
func (k *keepsake) save(ctx context.Context, s *session, st fleet.State, p fleet.Plan) error {
	if k.dir == "" {
		return nil
	}
	all := s.identities(ctx, st, ending(st, p))
	defer func() {
		for _, id := range all {
			clear(id.key)
		}
	}()
	var errs []error
	for _, id := range all {
		if id.err != nil {
			err := fleet.WithHint(aboutNode(id.node, id.err), "nothing was changed: put it right, or run down without --keep-identities and lose the peer ID")
			errs = append(errs, withCode(exitRefused, ofNode(id.node, err)))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if len(all) == 0 {
		s.app.say("no relay has an identity to be kept")
		return nil
	}
	to := k.to
	if len(to) == 0 {
		recipient, err := s.app.askPassphrase(ctx)
		if err != nil {
			return err
		}
		to = []age.Recipient{recipient}
	}
	dir := s.app.abs(k.dir)
	if err := writeIdentities(dir, all, to); err != nil {
		return withCode(exitRefused, fmt.Errorf("keep identities: nothing was changed: %w", err))
	}
	s.app.say("saved %d identities in %s; 'age --decrypt FILE' gives a relay's %s back", len(all), dir, nodeKeyFile)
	return nil
}

// ending lists the machines that a plan deletes or takes the relay off, sorted by ID.
func ending(st fleet.State, p fleet.Plan) []fleet.Machine {
	going := make(map[string]bool)
	for _, c := range p.Changes() {
		going[c.Ref.ID] = going[c.Ref.ID] || c.Action == fleet.ActionDelete || c.Action == fleet.ActionUninstall
	}
	for _, d := range p.Deferred {
		going[d.Ref.ID] = going[d.Ref.ID] || d.Action == fleet.ActionDelete || d.Action == fleet.ActionUninstall
	}
	return slices.DeleteFunc(slices.Clone(st.Machines.Value), func(m fleet.Machine) bool { return !going[m.ID] })
}

// identities fetches the keys of relays. Of a box that never had one there is none.
func (s *session) identities(ctx context.Context, st fleet.State, machines []fleet.Machine) []identity {
	machines = slices.DeleteFunc(machines, func(m fleet.Machine) bool {
		rel, read := st.Relays[m.ID]
		return read && rel.OK() && !rel.Value.Installed && rel.Value.PeerID == ""
	})
	all := make([]identity, len(machines))
	runner := s.app.wrapRunner(s.ssh)
	var group errgroup.Group
	group.SetLimit(statsParallel)
	for i, m := range machines {
		group.Go(func() error {
			all[i] = fetchIdentity(ctx, runner, m, st.Relays[m.ID])
			return nil
		})
	}
	_ = group.Wait()
	return all
}

// fetchIdentity reads one relay's key and holds it against the peer ID that the relay has.
func fetchIdentity(ctx context.Context, runner sshx.Runner, m fleet.Machine, rel fleet.Observed[fleet.Relay]) identity {
	id := identity{node: m.Node, peer: rel.Value.PeerID}
	if !rel.OK() {
		id.err = fmt.Errorf("its box cannot be read: %w", rel.Err)
		return id
	}
	at, err := host.Target(m)
	if err != nil {
		id.err = err
		return id
	}
	state := m.State
	if state == "" {
		state = fleet.StateDir
	}
	if id.key, err = runner.ReadFile(ctx, at, state+"/"+nodeKeyFile, maxNodeKey); err != nil {
		id.err = err
		return id
	}
	peer, err := peerIDOf(id.key)
	switch {
	case err != nil:
		id.err = fmt.Errorf("%s: %w", nodeKeyFile, err)
	case peer != id.peer:
		id.err = fmt.Errorf("%s is the key of %s, the relay says that it is %q", nodeKeyFile, peer, id.peer)
	}
	return id
}

// writeIdentities writes <node>.<peer ID>.age for each identity. After an error none of
// them is there.
func writeIdentities(dir string, all []identity, to []age.Recipient) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var written []string
	defer func() {
		if err != nil {
			for _, file := range written {
				err = errors.Join(err, os.Remove(file))
			}
		}
	}()
	for _, id := range all {
		text, err := encrypted(id.key, to)
		if err != nil {
			return fmt.Errorf("%s: encrypt: %w", id.node, err)
		}
		file := filepath.Join(dir, id.node+"."+id.peer+".age")
		if err := createSecret(file, text); err != nil {
			if errors.Is(err, os.ErrExist) {
				err = fleet.WithHint(fmt.Errorf("%s is there already", file), "name another directory, or move the file away")
			}
			return err
		}
		written = append(written, file)
		if err := sameOnDisk(file, text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// encrypted is text for its recipients, in age's binary form.
func encrypted(text []byte, to []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// sameOnDisk reads a file back and looks for age's header.
func sameOnDisk(file string, want []byte) error {
	got, err := os.ReadFile(file) //nolint:gosec // that we have just written
	if err != nil {
		return err
	}
	if _, err := age.ExtractHeader(bytes.NewReader(got)); err != nil || !bytes.Equal(got, want) {
		return errors.New("what was read back is not what was written")
	}
	return nil
}
