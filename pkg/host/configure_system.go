package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// decideSystem adds to the work what the system of the box asks for.
func (b box) decideSystem(was readings, w work) work {
	if b.cfg.System == nil {
		return w
	}
	w.Settle = was.system.inPlace(b.cfg.System, b.m)
	for _, p := range b.cfg.System.service(b.m) {
		w.Unit = was.system.state(p) != ""
	}
	if !w.Start && (w.Unit || was.mark.oldUnit(was.unit, was.unitText)) {
		w.Restart = true
	}
	return w
}

// ErrOthersService means that a machine of somebody else's has a service of its own by
// the name of ours.
var ErrOthersService = errors.New("a service of this name is there, and fleetctl did not write it")

// othersService is an error where installing the relay would overwrite, or stop, a service
// of the machine's owner. One whose relay is taken over is meant to go.
func (b box) othersService(was readings) error {
	if b.cfg.System == nil || !b.m.Given || b.m.State != "" || was.current != "" {
		return nil
	}
	if was.hasUnit && strings.Contains(was.unitText, writtenBy) || !was.hasUnit && !was.unit.runs() {
		return nil
	}
	return fleet.WithHint(fmt.Errorf("install the relay on %s: %s: %w", b.m.Node, Unit, ErrOthersService),
		"Give that service another name, or remove it, and run the same command again.")
}

// makeReady does to the system what must be before a relay starts: a machine without its
// fence serves nobody.
func (b box) makeReady(ctx context.Context, was readings) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	r := was.system
	if err := b.install(ctx, &r); err != nil {
		return err
	}
	names := r.inPlace(b.cfg.System, b.m) // some may need what was installed just now
	if len(names) == 0 {
		return nil
	}
	return b.settle(ctx, r, names)
}

// configMode lets the relay's group read the configuration where it has a user of its
// own, and nobody else.
func (b box) configMode() fs.FileMode {
	if b.cfg.System != nil {
		return 0o640
	}
	return 0o644
}

// judgeSystem adds to a reading what is known of the box's system.
func (b box) judgeSystem(r readings, out *fleet.Relay) {
	out.Drift = []fleet.Drift{}
	if b.cfg.System == nil {
		return
	}
	drift, warnings := b.cfg.System.judge(b.m, r.system)
	out.Drift = append(out.Drift, drift...)
	if b.leftDraining(r.draining) {
		out.Drift = append(out.Drift, fleet.Drift{Name: driftDrain, From: "there", To: "gone", Fix: fleet.FixInPlace})
	}
	isUnit := func(d fleet.Drift) bool { return d.Name == PartUnit }
	if r.mark.oldUnit(r.unit, r.unitText) && !slices.ContainsFunc(drift, isUnit) {
		for _, p := range b.cfg.System.service(b.m) {
			out.Drift = append(out.Drift, fleet.Drift{Name: p.Name, From: "written, not in effect", To: p.Says, Fix: p.Fix})
		}
	}
	out.Warnings = append(out.Warnings, warnings...)
	out.Bootstrap = b.bootstrap(r.system.hostKey)
}
