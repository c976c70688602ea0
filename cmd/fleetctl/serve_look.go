package main

import (
	"context"
	"slices"
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
		Name: v.spec.Name, LookedAt: v.look.ended, LookTook: v.look.ended.Sub(v.look.begun), At: v.look.ended, Wanted: len(v.spec.Slots()), Floor: v.spec.DNS.MinRelays,
		Version: thisVersion().Version, Cost: v.cost, Plan: v.look.plan, Errors: v.look.status.Errors,
		Zone:   web.Zone{Name: v.spec.DNS.RecordName(), Servers: v.servers, Differences: v.look.differences},
		Events: merged(v.events, v.look.commands, v.telemetry.events),
	}
	fresh := fresh(now, f.every)
	v.telemetry.board(&out, fresh)
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
	if !v.look.state.Machines.OK() && !v.roster.at.IsZero() {
		out.Errors = slices.Concat(out.Errors, []string{"the machines, which are asked as they were listed at " + v.roster.at.UTC().Format("2006-01-02 15:04:05") + " UTC"})
	}
	from := vantageOf(v.look.state)
	var gone []string // peer IDs of relays that are down since
	for _, r := range v.look.status.Relays {
		relay, machine := relayOf(r, v.look.state, from), r.Machine
		if machine == "" && !v.look.state.Machines.OK() {
			machine = v.roster.of(r.Node)
		}
		if s, ok := v.signs[machine]; ok && s.at.After(v.look.begun) {
			if relay = overlay(relay, s); s.life == lifeDown {
				gone = append(gone, r.PeerID)
			}
			out.At = later(out.At, s.at)
		}
		out.Relays = append(out.Relays, v.telemetry.of(relay, v.spec, fresh))
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
func totals(out *web.Fleet, v seen, gone []string) {
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
		verified, unsure := fleet.PublishedServing(v.spec, st)
		out.Verified = decided(left(verified, gone), left(unsure, gone), v.spec.DNS.MinRelays)
	}
}

// left is how many of some relays are not gone.
func left(peers, gone []string) int {
	n := 0
	for _, p := range peers {
		if !slices.Contains(gone, p) {
			n++
		}
	}
	return n
}

// decided is the number of verified relays, or nil if it depends on those of which nobody
// knows whether the floor is kept: a number below it would be an alarm.
func decided(verified, unsure, floor int) *int {
	if verified < floor && verified+unsure >= floor {
		return nil
	}
	return &verified
}

// relayOf is a row of `fleetctl status` for a page. What status calls no because it could
// not be read is unknown here.
func relayOf(r relayStatus, st fleet.State, from vantage) web.Relay {
	out := web.Relay{
		Node: r.Node, Region: r.Region, State: r.State, Reason: r.Reason, PeerID: r.PeerID, Addresses: r.Addresses, Version: r.Version,
		Reservations: r.Reservations, Warnings: r.Warnings,
	}
	if st.Records.OK() && (r.PeerID != "" || r.State == "missing" || r.State == "new") {
		out.Published = &r.Published
	}
	out.Verified, out.ProbedAt = from.probed(r.PeerID)
	if out.Verified == nil && r.State == string(fleet.Unreachable) {
		out.State, out.Reason = "unknown", "nothing answers from here and no other box was asked: it may be the network here"
	}
	return out
}

// vantage is what was found from here: the probes of each relay, by peer ID.
type vantage struct {
	probes map[string][]fleet.Observed[fleet.Probe]
	sees   bool // something was found serving
}

func vantageOf(st fleet.State) vantage {
	v := vantage{make(map[string][]fleet.Observed[fleet.Probe]), st.Sees()}
	for addr, p := range st.Probes {
		v.probes[addr.PeerID()] = append(v.probes[addr.PeerID()], p)
	}
	return v
}

// probed is what the probes of a relay's addresses found: yes if one verified it, no if
// each of them could tell, else unknown.
func (v vantage) probed(peer string) (verified *bool, at time.Time) {
	found, known, yes := false, true, false
	for _, p := range v.probes[peer] {
		if !p.OK() || p.Value.Verdict == "" || p.Value.Verdict == fleet.Elsewhere || p.Value.Blind(v.sees) {
			known = false
			continue
		}
		found, yes, at = true, yes || p.Value.Verdict.Verified(), later(at, p.Value.At.UTC())
	}
	if !found || !yes && !known {
		return nil, time.Time{}
	}
	return &yes, at
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
