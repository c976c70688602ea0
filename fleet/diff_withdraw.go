package fleet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// withdrawals removes records of ours that no slot wants, each only when its clients
// have somewhere to go.
func (p *planner) withdrawals() []Change {
	p.withdrawing = make(map[spot]bool)
	if !p.state.Records.OK() {
		return nil
	}
	var changes []Change
	watched := make(map[string]bool)
	for _, rec := range p.owned {
		if p.belongs(rec) {
			continue
		}
		ref := p.recordRef(nodeOf(rec), rec)
		reason, waiting, soon := p.judge(rec)
		switch {
		case waiting != "":
			p.postpone(ActionWithdraw, ref, waiting, soon)
			continue
		case reason == "":
			continue
		}
		if m, ok := p.held(ref.Node); ok && p.spec.Rollout.MinHealthyTime > 0 && !watched[m.ID] && p.peer(m) != p.peerOf(rec) {
			watched[m.ID] = true
			changes = append(changes, Change{
				Action: ActionWatch, Ref: machineRef(m),
				Fields: []Field{{Name: "for", To: p.spec.Rollout.MinHealthyTime.String()}},
				Reason: "it has to serve for a while before its predecessor goes",
			})
		}
		p.withdraw(p.spot(rec))
		changes = append(changes, Change{Action: ActionWithdraw, Ref: ref, Fields: []Field{{Name: "ttl", From: ttlSeconds(rec.TTL)}}, Reason: reason})
	}
	p.explainRemovals(changes)
	p.explainEmptied(changes)
	return changes
}

// explainRemovals says in the reasons of what leaves DNS why so much of it may.
func (p *planner) explainRemovals(changes []Change) {
	var alone []int
	gone := make(map[string]bool)
	for i, c := range changes {
		if rec, ours := p.ours[p.spotOf(c.Ref)]; ours && c.Action == ActionWithdraw && p.unsucceeded(rec) {
			alone = append(alone, i)
			gone[p.home(rec)] = true
		}
	}
	if len(alone) == 0 {
		return
	}
	if most, all := p.mostRemovals(); len(gone) > most && len(gone) <= p.want.MaxDeletes {
		for _, i := range alone {
			changes[i].Reason += fmt.Sprintf("; --max-deletes %d lets %d of %d nodes go at once", p.want.MaxDeletes, len(gone), all)
		}
	}
}

// belongs reports whether a record is one that a slot ought to have. The comment may
// name an old node: then the peer ID decides.
func (p *planner) belongs(rec dnsaddr.Record) bool {
	m, ok := p.held(p.home(rec))
	return ok && p.wants(m, rec)
}

// judge decides about a record of ours that no slot wants: a reason to withdraw it now,
// or what to wait for. Neither means that it stays, which keepSilent explains.
func (p *planner) judge(rec dnsaddr.Record) (reason, waiting string, soon bool) {
	if p.addr(rec).IsZero() {
		return "it is ours and holds no address that a client could use", "", false
	}
	if p.mightBeOf(rec) {
		return "", "", false // unknown is not absent
	}
	node := p.home(rec)
	successor, slot := p.held(node)
	switch {
	case !slot && p.slotWanted(node):
		return "", "a successor in the slot", true
	case slot && p.peer(successor) == p.peerOf(rec):
		return p.judgeMoved(rec, successor)
	case slot && !p.serves(successor) && p.shutOut(node) != "":
		return "", "its successor to be published at " + p.shutOut(node) + ", which takes no record", false
	case slot && !p.serves(successor):
		return "", "its successor to be published and to serve", p.broken[successor.ID] == nil
	case slot && p.breaksFloor(rec) && !p.allServe():
		return "", "the other relays to be published and to serve", true
	case slot:
		return "its successor serves", "", false
	}
	lives, known := p.answers(rec)
	switch {
	case !known:
		return "", "", false
	case !lives:
		return "the spec has no such node any more, and nothing answers there", "", false
	case p.breaksFloor(rec) && !p.allServe():
		return "", "the relays that stay to be published and to serve", true
	}
	return "the spec has no such node any more", "", false
}

// judgeMoved decides about a record of a relay that stays, at a name or with an address
// that the layout has for it no more. The records that the layout has instead come first,
// this relay's and those of the others at that name.
func (p *planner) judgeMoved(rec dnsaddr.Record, m Machine) (reason, waiting string, soon bool) {
	at := p.spot(rec)
	names := p.pub.layout.At(m.Node)
	switch {
	case p.broken[m.ID] != nil:
		return "", "its relay to have an address that may be published", false
	case !p.serves(m) && p.shutOut(m.Node) != "":
		return "", "its relay to be published at " + p.shutOut(m.Node) + ", which takes no record", false
	case !p.serves(m):
		return "", "its relay to be published and to serve where the layout has it", true
	case !slices.Contains(names, at.name) && !p.complete(at.name):
		return "", "the relays that the layout has at " + at.name + " to be published there and to serve", true
	case p.breaksFloor(rec) && !p.allServe():
		return "", "the other relays to be published and to serve", true
	case slices.Contains(names, at.name):
		return "its relay is published there with other addresses", "", false
	}
	return "the layout has its relay at " + strings.Join(names, " and ") + ", where it is published and serves", "", false
}

// complete reports whether every relay that the layout has at a name serves there.
func (p *planner) complete(name string) bool {
	return !slices.ContainsFunc(p.slots, func(s Slot) bool {
		if !p.pub.layout.Has(s.Node, name) {
			return false
		}
		m, held := p.held(s.Node)
		return !held || !p.servesAt(m, name) && !p.seenAt(s.Node, name)
	})
}

// seenAt reports whether a record at a name stands for a node and is verified: enough of
// a relay whose box cannot be read.
func (p *planner) seenAt(node, name string) bool {
	return slices.ContainsFunc(p.byNode[node], func(rec dnsaddr.Record) bool {
		return p.spot(rec).name == name && p.verified(p.addr(rec))
	})
}

// withdraw notes that this plan withdraws a record.
func (p *planner) withdraw(at spot) {
	p.withdrawing[at] = true
	if p.left != nil {
		p.left.remove(at)
	}
}

// breaksFloor reports whether withdrawing a record, beside those that this plan
// withdraws already, takes a verified relay away that the floor needs.
func (p *planner) breaksFloor(rec dnsaddr.Record) bool {
	if p.left == nil {
		p.left = p.ledger()
		for at := range p.withdrawing {
			p.left.remove(at)
		}
	}
	return p.left.mustStay(p.spot(rec)) != ""
}

// allServe reports whether every slot's relay is published and serves: waiting longer
// brings no more of them.
func (p *planner) allServe() bool {
	return !slices.ContainsFunc(p.slots, func(s Slot) bool {
		m, held := p.held(s.Node)
		return !held || !p.serves(m)
	})
}

// slotWanted reports whether the spec asks for the node.
func (p *planner) slotWanted(node string) bool {
	return slices.ContainsFunc(p.slots, func(s Slot) bool { return s.Node == node })
}

// withdrawAll removes every record of ours.
func (p *planner) withdrawAll() {
	p.withdrawing = make(map[spot]bool)
	if !p.state.Records.OK() {
		p.keep(Ref{Kind: KindFleet}, fmt.Sprintf("the zone could not be read, so nothing is removed: %v", p.state.Records.Err), true)
		return
	}
	var changes []Change
	for _, rec := range p.owned {
		p.withdrawing[p.spot(rec)] = true
		changes = append(changes, Change{
			Action: ActionWithdraw, Ref: p.recordRef(nodeOf(rec), rec),
			Fields: []Field{{Name: "ttl", From: ttlSeconds(rec.TTL)}}, Reason: "the fleet goes",
		})
	}
	p.stage(StageWithdraw, 1, changes)
}
