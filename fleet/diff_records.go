package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// publish adds the records of relays that were seen to serve, and repairs TTLs and
// comments of the records that stay.
func (p *planner) publish() {
	if !p.state.Records.OK() {
		p.keep(Ref{Kind: KindFleet}, fmt.Sprintf("the zone could not be read, so no record is changed: %v", p.state.Records.Err), true)
		return
	}
	var adds, updates []Change
	for _, s := range p.slots {
		m, ok := p.holder[s.Node]
		if !ok {
			continue
		}
		if err := p.broken[m.ID]; err != nil {
			p.keep(machineRef(m), err.Error(), true)
		}
		switch {
		case m.Problem != "": // nothing of it is waited for
		case p.stranger(m):
			p.postpone(ActionPublish, Ref{Kind: KindRecord, Node: s.Node}, "its peer ID", true)
		case p.peer(m) != "" && len(m.Addrs) == 0:
			p.postpone(ActionPublish, Ref{Kind: KindRecord, Node: s.Node}, "its machine to have an address", true)
		}
		for _, a := range p.wanted[m.ID] {
			p.publishOne(s.Node, a, &adds)
		}
	}
	for _, rec := range p.owned {
		// A record that is on its way out keeps its TTL: the wait after it depends on it.
		stays := p.belongs(rec) || p.mightBeOf(rec)
		if fields := p.recordDrift(rec); len(fields) > 0 && stays {
			updates = append(updates, Change{
				Action: ActionUpdate, Ref: Ref{Kind: KindRecord, Node: p.home(rec), ID: rec.Value},
				Fields: fields, Reason: "the record differs from the spec",
			})
		}
	}
	p.stage(StagePublish, 1, append(adds, updates...))
}

// publishOne compares one address with the records that are there.
func (p *planner) publishOne(node string, a dnsaddr.Addr, adds *[]Change) {
	// A record of somebody else with our relay's address serves clients as well.
	if p.values[a.Value()] {
		return
	}
	ref := Ref{Kind: KindRecord, Node: node, ID: a.Value()}
	if !p.verified(a) {
		p.postpone(ActionPublish, ref, "a probe that finds it serving; last: "+describe(p.state.Probes[a]), true)
		return
	}
	*adds = append(*adds, Change{Action: ActionPublish, Ref: ref, Fields: []Field{ttlField("", p.spec.DNS.TTL)}, Reason: "the relay serves and is not published"})
}

// home is the node that a record of ours belongs to: that of the relay with its peer
// ID, where it is known, else the one that its comment names.
func (p *planner) home(rec dnsaddr.Record) string {
	if m, ok := p.peerNode[p.peerOf(rec)]; ok {
		return m.Node
	}
	return nodeOf(rec)
}

// recordDrift compares what stands beside a value. It needs no reading of the box.
func (p *planner) recordDrift(rec dnsaddr.Record) []Field {
	var out []Field
	if rec.TTL != p.spec.DNS.TTL {
		out = append(out, ttlField(ttlSeconds(rec.TTL), p.spec.DNS.TTL))
	}
	if want := p.owner(p.home(rec)).Comment(); rec.Comment != want {
		out = append(out, Field{Name: "comment", From: rec.Comment, To: want})
	}
	return out
}

func (p *planner) owner(node string) dnsaddr.Owner {
	return dnsaddr.Owner{Fleet: p.spec.Name, Relay: node}
}

func ttlField(from string, to time.Duration) Field {
	return Field{Name: "ttl", From: from, To: ttlSeconds(to)}
}

// ttlSeconds prints a TTL as zone files do.
func ttlSeconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// withdrawals removes records of ours that no slot wants, each only when its clients
// have somewhere to go.
func (p *planner) withdrawals() []Change {
	p.withdrawing = make(map[string]bool)
	if !p.state.Records.OK() {
		return nil
	}
	var changes []Change
	watched := make(map[string]bool)
	for _, rec := range p.owned {
		if p.belongs(rec) {
			continue
		}
		ref := Ref{Kind: KindRecord, Node: nodeOf(rec), ID: rec.Value}
		reason, waiting, soon := p.judge(rec)
		switch {
		case waiting != "":
			p.postpone(ActionWithdraw, ref, waiting, soon)
			continue
		case reason == "":
			continue
		}
		if m, ok := p.holder[ref.Node]; ok && p.spec.Rollout.MinHealthyTime > 0 && !watched[m.ID] {
			watched[m.ID] = true
			changes = append(changes, Change{
				Action: ActionWatch, Ref: machineRef(m),
				Fields: []Field{{Name: "for", To: p.spec.Rollout.MinHealthyTime.String()}},
				Reason: "it has to serve for a while before its predecessor goes",
			})
		}
		p.withdrawing[rec.Value] = true
		changes = append(changes, Change{Action: ActionWithdraw, Ref: ref, Fields: []Field{{Name: "ttl", From: ttlSeconds(rec.TTL)}}, Reason: reason})
	}
	return changes
}

// belongs reports whether a record is one that a slot ought to have. The comment may
// name an old node: then the peer ID decides.
func (p *planner) belongs(rec dnsaddr.Record) bool {
	m, ok := p.holder[p.home(rec)]
	return ok && slices.Contains(p.wanted[m.ID], p.addr(rec))
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
	successor, slot := p.holder[node]
	switch {
	case !slot && p.slotWanted(node):
		return "", "a successor in the slot", true
	case slot && !p.serves(successor):
		return "", "its successor to be published and to serve", true
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

// breaksFloor reports whether withdrawing a record, beside those that this plan
// withdraws already, takes a verified relay away that the floor needs.
func (p *planner) breaksFloor(rec dnsaddr.Record) bool {
	left := p.ownedValues()
	for value := range p.withdrawing {
		delete(left, value)
	}
	_, below := p.belowFloor(left, rec.Value)
	return below
}

// allServe reports whether every slot's relay is published and serves: waiting longer
// brings no more of them.
func (p *planner) allServe() bool {
	return !slices.ContainsFunc(p.slots, func(s Slot) bool {
		m, held := p.holder[s.Node]
		return !held || !p.serves(m)
	})
}

// slotWanted reports whether the spec asks for the node.
func (p *planner) slotWanted(node string) bool {
	return slices.ContainsFunc(p.slots, func(s Slot) bool { return s.Node == node })
}

// withdrawAll removes every record of ours.
func (p *planner) withdrawAll() {
	p.withdrawing = make(map[string]bool)
	if !p.state.Records.OK() {
		p.keep(Ref{Kind: KindFleet}, fmt.Sprintf("the zone could not be read, so nothing is removed: %v", p.state.Records.Err), true)
		return
	}
	var changes []Change
	for _, rec := range p.owned {
		p.withdrawing[rec.Value] = true
		changes = append(changes, Change{
			Action: ActionWithdraw, Ref: Ref{Kind: KindRecord, Node: nodeOf(rec), ID: rec.Value},
			Fields: []Field{{Name: "ttl", From: ttlSeconds(rec.TTL)}}, Reason: "the fleet goes",
		})
	}
	p.stage(StageWithdraw, 1, changes)
}
