package fleet

import (
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// checkRecord applies the rules that concern one record by itself.
func (g *guard) checkRecord(c Change) {
	at := g.spotOf(c.Ref)
	rec, ours := g.ours[at]
	other, foreign := g.theirs[at]
	switch {
	case !g.state.Records.OK():
		g.object(c.Ref, "the zone could not be read", "")
	case !dnsaddr.OfFleet(g.entry(), at.name):
		g.object(c.Ref, at.name+" is no name of the fleet", "")
	case c.Action == ActionUpdate && foreign && !ours && g.adopts(c, other):
	case foreign && !ours:
		g.object(c.Ref, "the record "+c.Ref.ID+" is not ours", "")
	case c.Action == ActionPublish && !ours:
		g.checkPublish(c, at)
	case c.Action == ActionWithdraw:
		if ours {
			g.checkWithdraw(c, rec)
		}
		g.withdrawn[at] = true
	case c.Action == ActionPublish, c.Action == ActionUpdate:
	default:
		g.object(c.Ref, fmt.Sprintf("%q is not done to records", c.Action), "")
	}
}

// adopts reports whether a change takes over a record that may be taken over.
func (g *guard) adopts(c Change, rec dnsaddr.Record) bool {
	m, held := g.held(c.Ref.Node)
	return held && g.adoptable(rec, m)
}

// checkPublish refuses what no client should be sent to.
func (g *guard) checkPublish(c Change, at spot) {
	a, err := dnsaddr.ParseValue(c.Ref.ID)
	switch {
	case err != nil:
		g.object(c.Ref, err.Error(), "")
		return
	case !slices.Contains(g.pub.layout.Names(), at.name):
		g.object(c.Ref, "the layout of the fleet has no name "+at.name, "")
	case g.spec.DNS.Hides(a):
		g.object(c.Ref, fmt.Sprintf("%s is private, and zone %q is public", a.Dial(), g.spec.DNS.Zone), "")
	case !g.want.Unverified && !g.verified(a):
		g.object(c.Ref, "no probe found it serving: "+describe(g.state.Probes[a]), "wait until it serves; `fleetctl dnsaddr sync --unverified` publishes it without a probe")
	}
	if m, held := g.held(c.Ref.Node); held {
		g.checkPeerID(c, m, a)
	}
}

// checkPeerID refuses a relay that is published under another peer ID at the very same
// address: a machine that was replaced has another address, and one whose key was lost,
// or exchanged by somebody, has not.
func (g *guard) checkPeerID(c Change, m Machine, a dnsaddr.Addr) {
	if slices.Contains(g.want.NewPeerID, m.Node) || g.published(m) {
		return
	}
	for _, rec := range g.byNode[m.Node] {
		old := g.addr(rec)
		_, elsewhere := g.peerNode[old.PeerID()]
		if !old.IsZero() && !elsewhere && old.PeerID() != a.PeerID() && slices.Contains(Announce(g.spec, m), old.Dial()) {
			g.object(c.Ref, fmt.Sprintf("the peer ID of its relay changed on one machine: it is published as %s, and is %s now", old.PeerID(), a.PeerID()),
				"find out why its identity changed: clients that pinned the old one lose it; if that is meant, add --accept-new-peer-id "+m.Node)
			return
		}
	}
}

// checkWithdraw refuses to take away what may still be somebody's way in.
func (g *guard) checkWithdraw(c Change, rec dnsaddr.Record) {
	node := nodeOf(rec)
	switch {
	case g.addr(rec).IsZero():
	case !g.state.Machines.OK():
		g.object(c.Ref, "the provider did not list its machines: unknown is not absent", "")
	case g.orphanAnswers(rec):
		g.objectGone(c.Ref, node)
	case !g.want.Down && g.mightBeOf(rec):
		g.object(c.Ref, "its box could not be read: unknown is not absent", "")
	}
}

// orphanAnswers reports whether the relay of a record answers, or cannot be told not to,
// although no listed machine can be its box.
func (g *guard) orphanAnswers(rec dnsaddr.Record) bool {
	node := nodeOf(rec)
	if slices.Contains(g.want.MachineGone, node) {
		return false
	}
	if _, accounted := g.peerNode[g.peerOf(rec)]; accounted {
		return false
	}
	for _, m := range g.state.Machines.Value {
		if m.Node == node && !g.readable(m) {
			return false // its own box, just now not readable
		}
	}
	lives, known := g.answers(rec)
	return lives || !known
}

func (g *guard) objectGone(ref Ref, node string) {
	ref.Node = node
	g.object(ref, "its published relay answers (or could not be probed), although the provider lists no machine for it: a wrong token or account looks like this",
		"check the provider's account; if the machine is really gone, add --machine-gone "+node)
}

// checkRemovals refuses to take many relays out of DNS at once that nobody succeeds: a
// fleet.yaml that lost its end looks like this.
func (g *guard) checkRemovals(p Plan) {
	gone := make(map[string]bool)
	var last Ref
	for _, c := range p.Changes() {
		rec, ours := g.ours[g.spotOf(c.Ref)]
		if c.Action != ActionWithdraw || c.Ref.Kind != KindRecord || !ours || !g.unsucceeded(rec) {
			continue
		}
		gone[g.home(rec)] = true
		last = c.Ref
	}
	if most, all := g.mostRemovals(); len(gone) > max(most, g.want.MaxDeletes) {
		g.object(Ref{Kind: KindRecord, Node: last.Node}, fmt.Sprintf("%d of %d nodes would leave DNS and nothing takes their place; at most %d (30 %%) go at once", len(gone), all, most),
			fmt.Sprintf("look at the nodes of fleet.yaml; if that is meant, add --max-deletes %d", len(gone)))
	}
}

// unsucceeded reports whether withdrawing a record of ours leaves its node without a
// relay that is published and verified. One without an address serves nobody.
func (r *roles) unsucceeded(rec dnsaddr.Record) bool {
	if r.addr(rec).IsZero() {
		return false
	}
	m, held := r.held(r.home(rec))
	return !held || !r.serves(m)
}

// mostRemovals is how many nodes may leave DNS at once without a successor, of all that
// are published.
func (r *roles) mostRemovals() (most, all int) {
	nodes := make(map[string]bool)
	for _, rec := range r.owned {
		if !r.addr(rec).IsZero() {
			nodes[r.home(rec)] = true
		}
	}
	return max(1, len(nodes)*3/10), len(nodes)
}
