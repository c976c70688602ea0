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
