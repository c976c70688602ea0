package main

import (
	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// effect reckons what a plan means for clients: relays before and after, and the peer
// IDs that they will see anew or no more.
func (s *session) effect(st fleet.State, p fleet.Plan) render.Effect {
	e := render.Effect{
		Before: fleet.VerifiedPublished(s.spec, st),
		Known:  st.Records.OK() && st.Machines.OK(),
	}
	e.After = e.Before
	if q := st.Quote.Value; q.Currency != "" {
		e.Bill = fleet.BillOf(q, p)
	}
	healed := make(map[string]bool)
	add := func(a fleet.Action, ref fleet.Ref) {
		addr, err := dnsaddr.ParseValue(ref.ID)
		id := render.Identity{Node: ref.Node}
		if err == nil {
			id.PeerID = addr.PeerID()
		}
		switch a {
		case fleet.ActionPublish:
			e.Appear = append(e.Appear, id)
			e.After++
		case fleet.ActionWithdraw:
			e.Vanish = append(e.Vanish, id)
			if pr := st.Probes[addr]; pr.OK() && pr.Value.Verdict.Verified() {
				e.After--
			}
		case fleet.ActionStart, fleet.ActionConfigure:
			if !healed[ref.Node] && s.publishedInVain(st, ref.Node) {
				healed[ref.Node] = true
				e.After++
			}
		}
	}
	for _, c := range p.Changes() {
		add(c.Action, c.Ref)
	}
	for _, d := range p.Deferred {
		add(d.Action, d.Ref)
	}
	return e
}

// publishedInVain reports whether a node has records, and no probe verified any of them.
func (s *session) publishedInVain(st fleet.State, node string) bool {
	published := false
	for _, rec := range st.Records.Value {
		o, ours := rec.Owner()
		addr, err := rec.Addr()
		if !ours || err != nil || o.Fleet != s.spec.Name || o.Relay != node {
			continue
		}
		if pr := st.Probes[addr]; pr.OK() && pr.Value.Verdict.Verified() {
			return false
		}
		published = true
	}
	return published
}
