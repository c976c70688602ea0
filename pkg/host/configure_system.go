package host

import (
	"context"
	"io/fs"
	"slices"

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
	isUnit := func(d fleet.Drift) bool { return d.Name == PartUnit }
	if r.mark.oldUnit(r.unit, r.unitText) && !slices.ContainsFunc(drift, isUnit) {
		for _, p := range b.cfg.System.service(b.m) {
			out.Drift = append(out.Drift, fleet.Drift{Name: p.Name, From: "written, not in effect", To: p.Says, Fix: p.Fix})
		}
	}
	out.Warnings = append(out.Warnings, warnings...)
	out.Bootstrap = b.bootstrap(r.system.hostKey)
}
