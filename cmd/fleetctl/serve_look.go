package main

import (
	"context"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/web"
)

// look is everything that one look at the whole fleet found.
type look struct {
	begun, ended time.Time // zero: there was none yet
	state        fleet.State
	status       statusView
	plan         web.Plan
	differences  *int // records that sync would change; nil is unknown
	commands     []web.Event
}

// look observes the fleet and decides what `fleetctl up` would do. What could not be read
// is in it.
func (s *session) look(ctx context.Context) look {
	l := look{begun: s.app.now().UTC()}
	st, err := fleet.Observe(ctx, s.b, s.spec)
	if err != nil {
		return l // ctx ended
	}
	l.state, l.status = st, s.status(ctx, st)
	if st.Machines.OK() && st.Records.OK() {
		l.plan = s.planned(ctx, st)
		changes := len(fleet.Diff(s.spec, st, fleet.Intent{RecordsOnly: true}).Changes())
		l.differences = &changes
	}
	l.commands = s.commands()
	l.ended = s.app.now().UTC()
	return l
}

// planned is what `fleetctl up` would do, and whether it would be refused.
func (s *session) planned(ctx context.Context, st fleet.State) web.Plan {
	var in fleet.Intent
	release, err := s.release()
	if err == nil {
		in.Release = release
	}
	st, in, plan, short := s.priced(ctx, st, in, false)
	if short == nil {
		short = fleet.Guard(s.spec, st, in, plan)
	}
	out := web.Plan{At: st.At.UTC()}
	if short != nil {
		out.Refused = short.Error()
	}
	for _, stage := range plan.Stages {
		for _, c := range stage.Changes {
			out.Steps = append(out.Steps, web.Step{Stage: stage.Name, Action: string(c.Action), Node: c.Ref.Node, Subject: c.Ref.ID, Reason: c.Reason})
		}
	}
	for _, d := range plan.Deferred {
		out.Waiting = append(out.Waiting, web.Step{Action: string(d.Action), Node: d.Ref.Node, Subject: d.Ref.ID, Reason: d.Waiting})
	}
	for _, k := range plan.Problems() {
		out.Kept = append(out.Kept, web.Step{Node: k.Ref.Node, Subject: k.Ref.ID, Reason: k.Reason})
	}
	return out
}

// compose makes the board of what was seen.
func compose(v seen, now time.Time, f serveFlags) web.Fleet {
	out := web.Fleet{
		Name: v.spec.Name, LookedAt: v.look.ended, At: v.look.ended, Wanted: len(v.spec.Slots()), Floor: v.spec.DNS.MinRelays,
		Version: thisVersion().Version, Cost: v.cost, Plan: v.look.plan, Errors: v.look.status.Errors,
		Zone:      web.Zone{Name: v.spec.DNS.RecordName(), Servers: v.servers, Differences: v.look.differences},
		Collected: v.telemetry.collected, Figures: v.telemetry.figures, Charts: v.telemetry.charts,
		Events: merged(v.events, v.look.commands, v.telemetry.events),
	}
	if !f.noCollect {
		out.Collected.Every = f.every
	}
	if v.specError != nil {
		out.At = now
		out.Errors = append([]string{"the spec, which is shown as it was before: " + v.specError.Error()}, out.Errors...)
	}
	if v.look.ended.IsZero() {
		for _, slot := range v.spec.Slots() {
			out.Relays = append(out.Relays, web.Relay{Node: slot.Node, Region: slot.Region, State: "unknown"})
		}
		return out
	}
	composeZone(&out, v.look)
	gone := make(map[string]bool) // nodes that the look verified and that are down since
	for _, r := range v.look.status.Relays {
		relay := relayOf(r, v.look.state)
		if s, ok := v.signs[r.Machine]; ok && s.at.After(v.look.begun) {
			verified := relay.Verified != nil && *relay.Verified && r.Published
			relay = overlay(relay, s)
			gone[r.Node] = gone[r.Node] || verified && relay.Verified == nil
			out.At = later(out.At, s.at)
		}
		out.Relays = append(out.Relays, v.telemetry.of(relay, v.spec))
	}
	totals(&out, v, gone)
	return out
}

func composeZone(out *web.Fleet, l look) {
	if err := l.state.Records.Err; err != nil {
		out.Zone.Error = err.Error()
		return
	}
	foreign := len(l.status.Zone.Foreign)
	out.Zone.ReadAt, out.Zone.Records, out.Zone.Foreign = l.ended, &l.status.Zone.Records, &foreign
}

// totals are of the whole fleet; nothing is counted of what was not read.
func totals(out *web.Fleet, v seen, gone map[string]bool) {
	st := v.look.state
	if !st.Records.OK() {
		return
	}
	published := make(map[string]bool)
	for _, r := range out.Relays {
		if r.Published != nil && *r.Published {
			published[r.Node] = true
		}
	}
	n := len(published)
	out.Published = &n
	if st.Machines.OK() {
		verified := fleet.VerifiedPublished(v.spec, st)
		for _, down := range gone {
			if down {
				verified = max(0, verified-1)
			}
		}
		out.Verified = &verified
	}
}

// relayOf is a row of `fleetctl status` for a page. What status calls no because it could
// not be read is unknown here.
func relayOf(r relayStatus, st fleet.State) web.Relay {
	out := web.Relay{
		Node: r.Node, Region: r.Region, State: r.State, Reason: r.Reason, PeerID: r.PeerID, Addresses: r.Addresses, Version: r.Version,
		Reservations: r.Reservations, Warnings: r.Warnings,
	}
	if st.Records.OK() && (r.PeerID != "" || r.State == "missing" || r.State == "new") {
		out.Published = &r.Published
	}
	out.Verified, out.ProbedAt = probed(r.PeerID, st)
	return out
}

// probed is what the probes of a relay's addresses found: yes if one verified it, no if
// one could tell, else unknown.
func probed(peer string, st fleet.State) (verified *bool, at time.Time) {
	if peer == "" {
		return nil, time.Time{}
	}
	for addr, p := range st.Probes {
		if addr.PeerID() != peer || !p.OK() || p.Value.Verdict == "" || p.Value.Verdict == fleet.Elsewhere {
			continue
		}
		yes := p.Value.Verdict.Verified()
		if verified == nil || yes {
			verified = &yes
		}
		at = later(at, p.Value.At.UTC())
	}
	return verified, at
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
