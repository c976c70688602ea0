package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// Settle puts right what of the box's system can be put right while its relay serves.
// One part that cannot be does not keep the others from it.
func (h *Hosts) Settle(ctx context.Context, m fleet.Machine) error {
	b, err := h.ours(m)
	if err != nil {
		return err
	}
	if h.cfg.System == nil {
		return ctx.Err()
	}
	r, err := b.readSystem(ctx)
	if err != nil {
		return err
	}
	drift := r.inPlace(h.cfg.System, m)
	mark, err := b.text(ctx, b.own(DrainMark), smallLimit)
	if err != nil {
		return err
	}
	if b.leftDraining(mark.there) {
		drift = append(drift, driftDrain)
	}
	if len(drift) == 0 {
		return nil
	}
	err = b.settle(ctx, r, drift)
	b.audit(ctx, "settle: "+strings.Join(drift, ", "), err)
	return err
}

// inPlace names what differs and can be put right in place.
func (r systemReadings) inPlace(s *System, m fleet.Machine) []string {
	var names []string
	drift, _ := s.judge(m, r)
	for _, d := range drift {
		if d.Fix == fleet.FixInPlace {
			names = append(names, d.Name)
		}
	}
	return names
}

// settle puts the named parts right.
func (b box) settle(ctx context.Context, r systemReadings, names []string) error {
	var failed []error
	for _, p := range b.cfg.System.Parts(b.m) {
		if slices.Contains(names, p.Name) {
			failed = append(failed, b.put(ctx, p, r))
		}
	}
	for _, fix := range []struct {
		name string
		do   func() error
	}{
		{driftKeys, func() error { return b.letIn(ctx, r) }},
		{driftTime, func() error { return b.all(ctx, keepTime()) }},
		{driftSwap, func() error { return b.stopSwap(ctx) }},
		{driftDrain, func() error { return b.undrain(ctx) }},
	} {
		if slices.Contains(names, fix.name) {
			if err := fix.do(); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", fix.name, err))
			}
		}
	}
	return errors.Join(failed...)
}

// put writes the files of a part and puts them into effect. That they are is noted last,
// and an older note goes first, so that a run that is cut off in between leaves a part
// that shows it. What the box refuses is taken back.
func (b box) put(ctx context.Context, p Part, r systemReadings) error {
	if r.settled[p.Name] == p.digest() {
		delete(r.settled, p.Name)
		if err := b.noteSettled(ctx, r.settled); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	for _, f := range p.Files {
		if has := r.files[f.Path]; has.there && has.body == f.Text && has.warning == "" {
			continue
		}
		if err := b.writeMode(ctx, f.Path, []byte(f.Text), f.Mode); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	if len(p.Apply) == 0 {
		return nil
	}
	if err := b.all(ctx, p.Apply...); err != nil {
		if refused(err) {
			err = errors.Join(err, b.putBack(ctx, p, r))
		}
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	r.settled[p.Name] = p.digest()
	if err := b.noteSettled(ctx, r.settled); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}

// noteSettled notes which parts are in effect.
func (b box) noteSettled(ctx context.Context, settled map[string]string) error {
	data, err := json.Marshal(settled) // sorted by name
	if err != nil {
		return err
	}
	return b.writeFile(ctx, Settled, append(data, '\n'))
}

// putBack restores the files of a part as they were, so that a reboot does not find what
// the box has refused.
func (b box) putBack(ctx context.Context, p Part, r systemReadings) error {
	var failed []error
	for _, f := range p.Files {
		switch has := r.files[f.Path]; {
		case has.warning != "":
		case has.there:
			failed = append(failed, b.writeMode(ctx, f.Path, []byte(has.body), f.Mode))
		default:
			failed = append(failed, b.run.Remove(ctx, b.at, f.Path))
		}
	}
	return errors.Join(failed...)
}

// stopSwap takes swap out of fstab first: what is cut off then is off after a reboot.
func (b box) stopSwap(ctx context.Context) error {
	fstab, err := b.text(ctx, fstabFile, partLimit)
	if err != nil {
		return err
	}
	if without, changed := withoutSwap(fstab.body); changed {
		if err := b.writeFile(ctx, fstabFile, []byte(without)); err != nil {
			return err
		}
	}
	return b.all(ctx, swapOff())
}

// install gets the packages that parts need and that are missing. What cannot be had is
// logged, and a warning of Inspect: a box without a mirror still runs a relay.
func (b box) install(ctx context.Context, r *systemReadings) error {
	if r.packages == nil {
		return nil
	}
	wanted := make(map[string]bool)
	for _, p := range b.cfg.System.Parts(b.m) {
		if r.lacks(p) {
			wanted[p.Needs] = true
		}
	}
	if clockOf(r.clock) == clockAlone && !slices.ContainsFunc(r.packages, func(p string) bool { return p == "chrony" || p == "ntpsec" }) {
		wanted["systemd-timesyncd"] = true
	}
	names := slices.Sorted(maps.Keys(wanted))
	if len(names) == 0 {
		return nil
	}
	err := b.all(ctx, refreshPackages())
	if err == nil || refused(err) {
		err = b.all(ctx, installPackages(names))
	}
	if ctx.Err() != nil {
		return err
	}
	b.audit(ctx, "install packages: "+strings.Join(names, ", "), err)
	if r.packages, err = b.packages(ctx); err != nil {
		return err
	}
	r.clock, err = b.optional(ctx, readClock())
	return err
}
