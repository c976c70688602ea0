package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func newKeysAdd(a *app) *cobra.Command {
	return keyChangeCommand(a, &cobra.Command{
		Use:   "add KEY",
		Short: "Let a key into every box",
		Long: `Let a key into every box that does not have it yet. KEY is a public key or a file that
holds one. Boxes that were adopted and not taken over are left alone.`,
		Example: `  fleetctl keys add ~/.ssh/id_ed25519.pub`,
	}, func(_ *session, boxes []keyBox, word string) (keyChange, error) {
		key, err := a.keyArgument(word)
		if err != nil {
			return keyChange{}, fmt.Errorf("keys add: %w", err)
		}
		return planAdd(boxes, key), nil
	})
}

func newKeysRemove(a *app) *cobra.Command {
	return keyChangeCommand(a, &cobra.Command{
		Use:   "remove KEY",
		Short: "Take a key off every box, unless you would lock yourself out",
		Long: `Take a key off every box that has it. KEY is a fingerprint, a comment, a public key or a
file that holds one. It is refused for the key that you log in with and for the last key
of a box. After each removal a new login proves that you still get in; else the key is
put back.`,
		Example: `  fleetctl keys remove SHA256:uNiVztksCsDhcc0u9e8BrJJXVYlasMScbNwiPnNhmYg
  fleetctl keys remove laptop@example.net`,
	}, func(_ *session, boxes []keyBox, word string) (keyChange, error) {
		key, err := a.findKey(boxes, word)
		if err != nil {
			return keyChange{}, fmt.Errorf("keys remove: %w", err)
		}
		return planRemove(boxes, key)
	})
}

// keyChangeCommand completes a command that changes keys: read, plan, show, ask, do.
func keyChangeCommand(a *app, cmd *cobra.Command, plan func(*session, []keyBox, string) (keyChange, error)) *cobra.Command {
	var sel selection
	var flags mutationFlags
	cmd.Args, cmd.ValidArgsFunction = exactArgs("KEY"), nil
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		s, err := a.openFor(ctx, mutation{command: commandLine(cmd, args), flags: flags})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		boxes, err := s.keyBoxes(ctx, sel)
		if err != nil {
			return err
		}
		c, err := plan(s, boxes, args[0])
		if err != nil {
			return errors.Join(err, unread(boxes))
		}
		s.warnOfSpec(c)
		if c.count() == 0 || flags.dryRun {
			return errors.Join(a.show(c.view(flags.dryRun)), unread(boxes))
		}
		c.tell(a)
		if err := a.confirm(ctx, c.question()); err != nil {
			return err
		}
		s.audit("begun", nil)
		c.carryOut(ctx, s.hosts, s.provesLogin)
		problem := c.problem()
		result := "done"
		if problem != nil {
			result = "partial"
		}
		s.audit(result, problem)
		return errors.Join(a.show(c.view(false)), problem, unread(boxes))
	}
	dryRunFlag(cmd, &flags.dryRun)
	cmd.Flags().DurationVar(&flags.lockWait, "lock-wait", 0, "wait this `long` for another command on this fleet to end")
	sel.register(a, cmd, false)
	return cmd
}

// keyArgument reads a public key: the word itself, or the file that it names. A private
// key is refused and not printed.
func (a *app) keyArgument(word string) (publicKey, error) {
	key, err := newPublicKey(word)
	if err == nil {
		return key, nil
	}
	if errors.Is(err, sshx.ErrPrivateKey) {
		return publicKey{}, fleet.WithHint(err, "name the .pub file beside it")
	}
	text, err := readKeyFile(a.expand(word))
	if err == nil {
		if key, err = newPublicKey(string(text)); err == nil {
			return key, nil
		}
	}
	return publicKey{}, fleet.WithHint(fmt.Errorf("%s: %w", render.SafeUpTo(word, 80), err), "name a public key, or a file that holds one: ~/.ssh/id_ed25519.pub")
}

// findKey finds the key of the boxes that a word means: a fingerprint, a comment, a
// public key or a file.
func (a *app) findKey(boxes []keyBox, word string) (publicKey, error) {
	found := make(map[string]publicKey)
	var known []string
	for _, b := range boxes {
		for _, k := range b.keys {
			known = append(known, k.comment)
			if k.fingerprint == word || k.comment != "" && k.comment == word {
				found[k.fingerprint] = k
			}
		}
	}
	switch len(found) {
	case 1:
		for _, k := range found {
			return k, nil
		}
	case 0:
		key, err := a.keyArgument(word)
		if err == nil || errors.Is(err, sshx.ErrPrivateKey) {
			return key, err
		}
		err = fmt.Errorf("no box that could be read has a key %q", word)
		return publicKey{}, fleet.WithHint(err, didYouMean(word, slices.DeleteFunc(known, func(c string) bool { return c == "" }), "run 'fleetctl keys list' for the fingerprints"))
	}
	return publicKey{}, fleet.WithHint(fmt.Errorf("%d keys have the comment %q: %s", len(found), word, strings.Join(sortedKeys(found), ", ")), "name the fingerprint")
}

// warnOfSpec says where the spec and a change disagree.
func (s *session) warnOfSpec(c keyChange) {
	if s.spec.Provider != fleet.ProviderDigitalOcean {
		return
	}
	lines, _, err := s.app.operatorKeys(s.spec)
	if err != nil {
		return
	}
	if warning := disagreement(s.spec.Ocean.SSHKeys, lines, c); warning != "" {
		s.app.say("fleetctl: warning: " + warning)
	}
}

// disagreement of a change with digitalocean.ssh_keys, of which lines are those entries that
// are no fingerprints: up lets all of them in.
func disagreement(entries, lines []string, c keyChange) string {
	inSpec := slices.ContainsFunc(lines, func(line string) bool {
		k, err := newPublicKey(line)
		return err == nil && k.fingerprint == c.key.fingerprint
	})
	named := slices.ContainsFunc(entries, func(entry string) bool { return sshx.IsFingerprint(c.key.line, entry) })
	switch {
	case c.remove && (inSpec || named):
		return "digitalocean.ssh_keys still has this key: the next 'fleetctl up' lets it in again"
	case !c.remove && !inSpec && !named:
		return "digitalocean.ssh_keys does not have this key: machines that are made later will not let it in"
	}
	return ""
}

// provesLogin logs into a box anew, on a connection of its own.
func (s *session) provesLogin(ctx context.Context, m fleet.Machine) error {
	pins, err := sshx.OpenPins(s.pinFile())
	if err != nil {
		return err
	}
	_, auth, err := s.keys("")
	if err != nil {
		return err
	}
	client, err := sshx.New(sshx.Config{Pins: pins, Auth: auth})
	if err != nil {
		return err
	}
	at, err := host.Target(m)
	if err == nil {
		_, err = client.HostKey(ctx, at)
	}
	return errors.Join(err, client.Close())
}

// carryOut makes the change on every box that it concerns. prove logs into a box anew.
func (c *keyChange) carryOut(ctx context.Context, hosts keyHolder, prove func(context.Context, fleet.Machine) error) {
	var group errgroup.Group
	group.SetLimit(statsParallel)
	for i := range c.boxes {
		b := &c.boxes[i]
		if b.state != keyPlanned {
			continue
		}
		group.Go(func() error {
			if c.remove {
				b.err = removeKey(ctx, hosts, prove, b, c.key)
			} else {
				b.err = hosts.AddKey(ctx, b.m, c.key.line)
			}
			b.state = keyDone
			if b.err != nil {
				b.state = keyFailed
			}
			return nil
		})
	}
	_ = group.Wait()
}

// removeKey takes a key off one box and puts it back if we do not get in without it.
func removeKey(ctx context.Context, hosts keyHolder, prove func(context.Context, fleet.Machine) error, b *keyBoxChange, key publicKey) error {
	if err := hosts.RemoveKey(ctx, b.m, key.line, b.mine); err != nil {
		return err
	}
	err := prove(ctx, b.m)
	if err == nil {
		return nil
	}
	// Also after ctx has ended: nobody may be locked out for that.
	if back := hosts.AddKey(context.WithoutCancel(ctx), b.m, key.line); back != nil {
		return fmt.Errorf("a new login fails without the key: %w; it could not be put back: %w", err, back)
	}
	return fmt.Errorf("a new login fails without the key, so it was put back: %w", err)
}
