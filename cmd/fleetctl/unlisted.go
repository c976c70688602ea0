package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// unlistedTimeout bounds the look at one address.
const unlistedTimeout = 10 * time.Second

// unlisted is an error if the provider lists no machine at all, although one that this
// computer has pinned still shows its host key: the token of another account looks like
// this. Guard sees it by the records; here it is seen when those are gone already, or not
// there yet, and a down would end the rest of what is known of machines that live.
func (s *session) unlisted(ctx context.Context, st fleet.State) error {
	if s.spec.Provider != fleet.ProviderDigitalOcean || !st.Machines.OK() || len(st.Machines.Value) > 0 || !s.dir.Exists() {
		return nil
	}
	pins, err := sshx.OpenPins(s.dir.KnownHosts())
	if err != nil {
		return err
	}
	addrs, err := pins.Addrs()
	if err != nil {
		return err
	}
	alive, err := s.stillShown(ctx, pins, addrs)
	if err != nil || len(alive) == 0 {
		return err
	}
	err = fmt.Errorf("the provider lists no machine, and %s still shows the host key of one of this fleet: a wrong token or account looks like this", strings.Join(alive, ", "))
	return withCode(exitRefused, fleet.WithHint(err,
		"check whose token this is; if what answers there is the fleet's no longer, take its lines out of "+s.dir.KnownHosts()))
}

// forgetGone takes the pins of machines that somebody else deleted out of the file: their
// addresses come back with another machine behind them. Where the provider lists no machine
// at all the token may be another account's, and every pin stays; so does one whose key is
// still shown, whatever the list says, and one that no mark could bring back.
func (s *session) forgetGone(ctx context.Context, st fleet.State) error {
	if s.spec.Provider != fleet.ProviderDigitalOcean || !st.Machines.OK() || len(st.Machines.Value) == 0 {
		return nil
	}
	var listed []netip.Addr
	for _, m := range st.Machines.Value {
		if len(m.Addrs) == 0 {
			return nil // any of these addresses may become its
		}
		listed = append(listed, m.Addrs...)
	}
	pins, err := sshx.OpenPins(s.dir.KnownHosts())
	if err != nil {
		return err
	}
	pinned, err := pins.Addrs()
	if err != nil {
		return err
	}
	var gone []string
	for _, addr := range pinned {
		at, err := netip.ParseAddrPort(addr)
		if err != nil || hasAddr(listed, at.Addr()) {
			continue // a name, which the list could not show, or a machine's, at whatever port
		}
		keys, err := pins.LookupAll(addr)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(keys, unmarkable) {
			gone = append(gone, addr)
		}
	}
	alive, err := s.stillShown(ctx, pins, gone)
	if err != nil {
		return err
	}
	for _, addr := range gone {
		if slices.Contains(alive, addr) {
			continue
		}
		if err := pins.Remove(addr); err != nil {
			return err
		}
		s.app.say("forgot the host key of %s: the provider lists no machine of this fleet there, and nobody shows it", addr)
	}
	return nil
}

// hasAddr compares addresses, whichever way an IPv4 one is written.
func hasAddr(all []netip.Addr, addr netip.Addr) bool {
	return slices.ContainsFunc(all, func(a netip.Addr) bool { return a.Unmap() == addr.Unmap() })
}

// unmarkable reports whether a host key fits into no mark: a machine that is listed again is
// pinned again by its mark, and of such a key there is the pin alone.
func unmarkable(key string) bool {
	_, err := sshx.EncodeHostKeyMark(key)
	return err != nil
}

// stillShown lists the pinned addresses, of these, whose server shows the pinned key.
// Silence is no sign of life: an address may have been given back.
func (s *session) stillShown(ctx context.Context, pins *sshx.Pins, addrs []string) ([]string, error) {
	alive := make([]bool, len(addrs))
	var group errgroup.Group
	group.SetLimit(statsParallel)
	for i, addr := range addrs {
		group.Go(func() error {
			alive[i] = s.shows(ctx, pins, addr)
			return nil
		})
	}
	_ = group.Wait()
	var out []string
	for i, addr := range addrs {
		if alive[i] {
			out = append(out, addr)
		}
	}
	return out, ctx.Err()
}

// shows reports whether the server at an address shows a key that is pinned for it.
func (s *session) shows(ctx context.Context, pins *sshx.Pins, addr string) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, unlistedTimeout, errors.New("no host key in time"))
	defer cancel()
	pinned, err := pins.LookupAll(addr)
	if err != nil {
		return false
	}
	shown, _ := s.ssh.Scan(ctx, sshx.Target{Name: addr, Addr: addr})
	return slices.ContainsFunc(shown, func(key string) bool { return slices.Contains(pinned, key) })
}
