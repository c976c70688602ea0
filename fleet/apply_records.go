package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// records makes the changes of a publish or withdraw stage: what has to be watched is
// watched first, then all writes go to the zone at once.
func (r *run) records(ctx context.Context, st Stage) error {
	var writes []Change
	for _, c := range st.Changes {
		if c.Action != ActionWatch {
			writes = append(writes, c)
			continue
		}
		if err := r.watchOne(ctx, st.Name, c); err != nil {
			return err
		}
	}
	only := Stage{Name: st.Name, Parallel: st.Parallel, Changes: writes}
	seen, err := r.askNow(ctx, only)
	if err != nil {
		return err
	}
	now := read(ctx, func(ctx context.Context) ([]dnsaddr.Record, error) {
		return r.b.Zone.Records(ctx, r.spec.DNS.RecordName())
	})
	if now.Err != nil {
		return now.Err
	}
	if !seen.At.IsZero() { // the probes took a while, and another run may have written meanwhile
		seen.Records = now
		if err := r.permit(seen, only); err != nil {
			return err
		}
	}
	changes := r.zoneChanges(writes, now.Value)
	if changes.Empty() {
		return nil
	}
	finish := make([]func(error), len(writes))
	for i, c := range writes {
		finish[i] = r.reporter.begin(st.Name, c)
		r.reporter.waiting(st.Name, c, "published: the zone's name servers to answer with what was written")
	}
	err = r.write(ctx, st.Name, now.Value, changes)
	for i := range writes {
		if err != nil && i > 0 { // the error may name one record, and is of all of them
			finish[i](fmt.Errorf("it is in one write with that of %s, which failed", writes[0].Ref.Node))
			continue
		}
		finish[i](err)
	}
	if err != nil {
		return &Failure{Stage: st.Name, Change: writes[0], Err: err}
	}
	return nil
}

// zoneChanges turns record changes into writes, given what is there now. A record that
// is not ours is never part of them, whatever the plan says, but for one that is adopted
// and still carries the comment that the operator was shown.
func (r *run) zoneChanges(writes []Change, now []dnsaddr.Record) dnsaddr.Changes {
	entry := strings.ToLower(r.spec.DNS.RecordName())
	want, theirs := make(map[spot]dnsaddr.Record), make(map[spot]dnsaddr.Record)
	for _, rec := range now {
		at := spot{strings.ToLower(cmp.Or(rec.Name, entry)), rec.Value}
		if _, ours := rec.OwnedBy(r.spec.Name); ours {
			want[at] = rec
		} else {
			theirs[at] = rec
		}
	}
	var adopted []dnsaddr.Record
	for _, c := range writes {
		at := spot{strings.ToLower(cmp.Or(c.Ref.Name, entry)), c.Ref.ID}
		ours := dnsaddr.Record{
			Name: at.name, Value: at.value, TTL: r.spec.DNS.TTL,
			Comment: dnsaddr.Owner{Fleet: r.spec.Name, Relay: c.Ref.Node}.Comment(),
		}
		_, there := want[at]
		switch rec, foreign := theirs[at]; {
		case c.Action == ActionWithdraw:
			delete(want, at)
		case c.Action == ActionPublish, there:
			want[at] = ours
		case foreign && !dnsaddr.Claimed(rec.Comment) && fieldFrom(c, fieldComment) == rec.Comment:
			ours.ID = rec.ID
			adopted = append(adopted, ours)
		}
	}
	changes := dnsaddr.Diff(r.spec.Name, now, slices.Collect(maps.Values(want)))
	changes.Update = append(changes.Update, adopted...)
	return changes
}

// watchOne lets a successor serve for a while and then probes it once more.
func (r *run) watchOne(ctx context.Context, stage string, c Change) error {
	done := r.reporter.begin(stage, c)
	err := r.watch(ctx, stage, c)
	done(err)
	if err != nil {
		return &Failure{Stage: stage, Change: c, Err: err}
	}
	return nil
}

func (r *run) watch(ctx context.Context, stage string, c Change) error {
	machines, err := r.machines(ctx)
	if err != nil {
		return err
	}
	m, ok := find(machines, c.Ref)
	if !ok {
		return fmt.Errorf("%s: %w", c.Ref.ID, ErrNoMachine)
	}
	if err := r.wait(ctx, stage, c, fieldTo(c, "for")); err != nil {
		return err
	}
	addrs, err := r.addresses(ctx, m)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		p := read(ctx, func(ctx context.Context) (Probe, error) { return r.b.Prober.Probe(ctx, a) })
		if !p.OK() || !p.Value.Verdict.Verified() {
			return fmt.Errorf("it served and does not any more: %s", describe(p))
		}
	}
	return nil
}

// splitPeers undoes the joining of addresses in a plan's field.
func splitPeers(joined string) []string {
	out := strings.Fields(joined)
	if out == nil {
		return []string{}
	}
	return out
}
