package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Bounds of a scan.
const (
	scanParallel = 30
	scanTimeout  = 45 * time.Second // of one machine: it may show three keys
)

// each asks several machines at once, each under its own deadline. One that has an error
// already is left out.
func eachAdoptee(ctx context.Context, timeout time.Duration, found []*adoptee, ask func(context.Context, *adoptee) error) {
	var group errgroup.Group
	group.SetLimit(scanParallel)
	for _, f := range found {
		if f.err != nil {
			continue
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			f.err = ask(ctx, f)
			return nil
		})
	}
	_ = group.Wait()
}

// scan finds the host key of every machine: the pinned one, else the first that it shows.
func (s *session) scan(ctx context.Context, found []*adoptee) {
	done := s.app.busy("reading host keys")
	defer done()
	eachAdoptee(ctx, scanTimeout, found, func(ctx context.Context, f *adoptee) error {
		at, err := host.Target(f.m)
		if err != nil {
			return err
		}
		f.key, f.pinned, err = s.hostKey(ctx, at)
		return err
	})
}

// hostKey is the pinned key of an address, else the one that its server shows.
func (s *session) hostKey(ctx context.Context, at sshx.Target) (key string, pinned bool, err error) {
	pins, err := sshx.OpenPins(s.dir.KnownHosts())
	if err != nil {
		return "", false, err
	}
	key, err = pins.Lookup(at.Addr)
	if err == nil || !errors.Is(err, sshx.ErrNoPin) {
		return key, err == nil, err
	}
	shown, err := s.ssh.Scan(ctx, at)
	if err != nil {
		return "", false, err
	}
	return shown[0], false, nil
}

// vouch compares the keys with those that --host-key names, and notes who needs no other
// confirmation. Any difference ends the command: nothing was done yet.
func vouch(found []*adoptee, want map[string]string) error {
	var errs []error
	left := sortedKeys(want)
	for _, f := range found {
		fingerprint, named := want[f.m.Node]
		left = slices.DeleteFunc(left, func(n string) bool { return n == f.m.Node || n == f.m.Jump })
		if !named || f.err != nil {
			continue
		}
		if err := matches(f.key, fingerprint); err != nil {
			errs = append(errs, ofNode(f.m.Node, fmt.Errorf("%s: %w", f.m.Node, err)))
			continue
		}
		f.vouched = true
	}
	for _, n := range left {
		errs = append(errs, fmt.Errorf("--host-key: no machine of node %q is adopted", n))
	}
	return withCode(exitRefused, errors.Join(errs...))
}

// matches is an error unless key has this fingerprint.
func matches(key, want string) error {
	got, err := sshx.Fingerprint(key)
	if err != nil {
		return err
	}
	if !sshx.LooksLikeFingerprint(want) || !strings.HasPrefix(want, "SHA256:") {
		return fmt.Errorf("--host-key: %.80q is no fingerprint: want SHA256: and 43 characters, as ssh-keygen -l prints it", want)
	}
	if got != want {
		err := fmt.Errorf("its host key is %s, and not %s", got, want)
		return fleet.WithHint(err, "find out who answers there before you go on")
	}
	return nil
}

// confirmAdoption shows who is adopted and with which host key, and asks once. Keys that
// nobody vouches for are never taken on --yes.
func (s *session) confirmAdoption(ctx context.Context, found []*adoptee) error {
	if err := s.app.tellAdoption(s, found); err != nil {
		return err
	}
	if s.spec.Provider == fleet.ProviderDigitalOcean {
		s.app.say("\nthe fleet's firewall comes before an adopted droplet when it has been taken over: it lets in %s",
			openingsText(fleet.Openings(s.spec, s.spec.Ocean.SSHPort)))
	}
	var unknown []string
	all := 0
	for _, f := range found {
		if f.err != nil {
			continue
		}
		all++
		if !f.vouched && !f.pinned {
			unknown = append(unknown, f.m.Node)
		}
	}
	switch {
	case all == 0:
		return withCode(exitPartial, errors.Join(errors.New("adopt: no machine can be adopted"), adoptErrors(found)))
	case len(unknown) > 0:
		return s.app.confirmKeys(ctx, unknown)
	case !slices.ContainsFunc(found, func(f *adoptee) bool { return f.err == nil && !f.vouched }):
		return nil // --host-key named every one of them
	}
	return s.app.confirm(ctx, "Adopt these machines?")
}

// confirmKeys asks whether the host keys that were shown are right. Only somebody on a
// terminal can say so.
func (a *app) confirmKeys(ctx context.Context, nodes []string) error {
	if a.globals.yes || a.globals.noInput || !a.in.terminal || !a.err.terminal {
		err := fmt.Errorf("nobody vouches for the host keys of %s, and --yes does not", strings.Join(nodes, ", "))
		return withCode(exitRefused, fleet.WithHint(err,
			"compare each fingerprint with the one on the machine's console, then name it: --host-key "+nodes[0]+"=SHA256:..."))
	}
	return a.confirm(ctx, "Are these the host keys of your machines? Adopt them?")
}

// trustJumps pins the jump hosts through which machines are reached, each confirmed like
// a machine's own: nothing behind them can be scanned before.
func (s *session) trustJumps(ctx context.Context, f adoptFlags, found []*adoptee) error {
	var jumps []*adoptee
	var at []sshx.Target
	for _, c := range found {
		target, err := host.Target(c.m)
		if err != nil || target.Jump == nil || slices.ContainsFunc(at, func(t sshx.Target) bool { return t.Addr == target.Jump.Addr }) {
			continue
		}
		key, pinned, err := s.hostKey(ctx, *target.Jump)
		if err != nil {
			c.err = fmt.Errorf("jump host %s: %w", c.m.Jump, err)
			continue
		}
		if !pinned {
			jumps = append(jumps, &adoptee{m: fleet.Machine{Node: c.m.Jump, ID: target.Jump.Addr, Name: "jump host"}, key: key})
			at = append(at, *target.Jump)
		}
	}
	if len(jumps) == 0 {
		return nil
	}
	vouched := make(map[string]string)
	for _, j := range jumps {
		if text, ok := f.hostKeys[j.m.Node]; ok {
			vouched[j.m.Node] = text
		}
	}
	if err := vouch(jumps, vouched); err != nil {
		return errors.Join(s.app.tellAdoption(s, jumps), err)
	}
	if f.dryRun {
		return errors.Join(s.app.tellAdoption(s, jumps), withCode(exitRefused, fleet.WithHint(
			errors.New("adopt: the host keys of the jump hosts are not pinned, so what is behind them cannot be shown"), "run it without --dry-run: the jump hosts are asked for first")))
	}
	if err := s.confirmAdoption(ctx, jumps); err != nil {
		return err
	}
	pins, err := sshx.OpenPins(s.dir.KnownHosts())
	if err != nil {
		return err
	}
	for i, j := range jumps {
		if err := pins.Set(at[i].Addr, j.key); err != nil {
			return err
		}
	}
	return nil
}

// openingsText is a list of openings for people.
func openingsText(all []fleet.Opening) string {
	words := make([]string, len(all))
	for i, o := range all {
		words[i] = o.String()
	}
	return strings.Join(words, ", ")
}
