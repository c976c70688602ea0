package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// Introduce writes the addresses of the fleet's other relays, sorted; the daemon reads
// them again by itself. It writes nothing where the box has the same ones.
func (h *Hosts) Introduce(ctx context.Context, m fleet.Machine, peers []string) error {
	b, err := h.ours(m)
	if err != nil {
		return err
	}
	for _, p := range peers {
		if p == "" || p != clean(p, 512) || strings.HasPrefix(p, "#") {
			return fmt.Errorf("introduce %q: not an address on one line", clean(p, 512))
		}
	}
	wanted := slices.Compact(slices.Sorted(slices.Values(peers)))
	has, err := b.text(ctx, b.own(PeersFile), peersLimit)
	if err != nil {
		return err
	}
	if has.warning == "" && slices.Equal(parsePeers(has.body), wanted) {
		return nil
	}
	var body strings.Builder
	for _, p := range wanted {
		body.WriteString(p + "\n")
	}
	err = b.writeFile(ctx, b.own(PeersFile), []byte(body.String()))
	b.audit(ctx, fmt.Sprintf("introduce: %d peers", len(wanted)), err)
	return err
}

// Drain sets the drain mark. A box that has it is left alone.
func (h *Hosts) Drain(ctx context.Context, m fleet.Machine) error {
	b, err := h.ours(m)
	if err != nil {
		return err
	}
	has, err := b.text(ctx, b.own(DrainMark), smallLimit)
	if err != nil || has.there {
		return err
	}
	err = b.writeFile(ctx, b.own(DrainMark), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"))
	b.audit(ctx, "drain", err)
	return err
}

// leftDraining reports whether a drain mark was left by a `down` that did not end: a given
// machine has no phase that would say so, and one that holds its slot is to serve.
func (b box) leftDraining(marked bool) bool { return b.m.Given && marked }

// undrain removes the drain mark of a given machine.
func (b box) undrain(ctx context.Context) error {
	if !b.m.Given {
		return nil
	}
	if err := b.run.Remove(ctx, b.at, b.own(DrainMark)); err != nil {
		return fmt.Errorf("remove %s: %w", b.own(DrainMark), err)
	}
	return nil
}

// Stop stops and disables the service. A box on which nothing was ever installed is
// stopped.
func (h *Hosts) Stop(ctx context.Context, m fleet.Machine) error {
	b, err := h.ours(m)
	if err != nil {
		return err
	}
	err = b.stop(ctx)
	b.audit(ctx, "stop", err)
	return err
}

func (b box) stop(ctx context.Context) error {
	// Disabled first: a machine that reboots in between must not come back serving.
	disabled := b.control(ctx, "disable")
	if err := b.control(ctx, "stop"); err != nil && !refused(err) {
		return err
	}
	u, err := b.unit(ctx)
	switch {
	case err != nil:
		return err
	case u.runs():
		return fmt.Errorf("stop the relay: %s", u)
	case disabled == nil:
		return nil
	case !refused(disabled):
		return disabled
	}
	// A unit that is not there, or has nothing to start, cannot be disabled, nor can it come back.
	current, err := b.current(ctx)
	if err != nil || current == "" {
		return err
	}
	for _, p := range b.cfg.System.service(b.m) {
		if has, err := b.text(ctx, p.Files[0].Path, partLimit); err != nil || !has.there {
			return err
		}
	}
	return disabled
}

// refused reports whether a command ran and failed.
func refused(err error) bool {
	var exit *exitError
	return errors.As(err, &exit)
}

// noAnswer is the exit status of "relay ping" where nothing answers.
const noAnswer = 4

// Ping dials an address from a box. Unless it was the relay that said that nothing answers,
// an error is a [fleet.ErrNotAsked].
func (h *Hosts) Ping(ctx context.Context, from fleet.Machine, addr dnsaddr.Addr) error {
	b, err := h.box(from)
	if err == nil {
		_, err = b.exec(ctx, ping(addr))
	}
	var exit *exitError
	if err == nil || errors.As(err, &exit) && exit.code == noAnswer {
		return err
	}
	return fmt.Errorf("%w: %w", fleet.ErrNotAsked, err)
}
