package fleet

import "fmt"

// checkFloor follows the record set through the plan, in order, and refuses each step
// that leaves fewer verified relays than the floor, or no record at the entry name.
func (g *guard) checkFloor(p Plan) {
	l := g.ledger()
	had := l.atEntry
	for _, c := range p.Changes() {
		if c.Ref.Kind != KindRecord {
			continue
		}
		at := g.spotOf(c.Ref)
		switch c.Action {
		case ActionPublish:
			l.add(at)
		case ActionWithdraw:
			if why := l.mustStay(at); why != "" {
				g.object(c.Ref, why, "bring another relay up first, or lower dns.min_relays")
			}
			l.remove(at)
		}
	}
	if had > 0 && l.atEntry == 0 {
		g.object(Ref{Kind: KindFleet}, "no record would be left at the name", "use `fleetctl down` to remove the fleet")
	}
}

// checkRestarts refuses to restart so many verified relays at once that fewer than the
// floor go on serving.
func (g *guard) checkRestarts(stage Stage) {
	serving := 0
	var last Ref
	for _, c := range stage.Changes {
		if c.Action != ActionRestart {
			continue
		}
		if m, ok := g.machine(c.Ref.ID); ok && g.servesClients(m) {
			serving++
			last = c.Ref
		}
	}
	if down := min(serving, stage.Parallel); down > 0 && down > g.roomToRestart() {
		left := len(g.ledger().all) - down
		g.object(last, fmt.Sprintf("restarting it leaves %d verified relays serving, the floor is %d", left, g.spec.DNS.MinRelays),
			"add a node, replace the region with `fleetctl replace-region`, or lower dns.min_relays")
	}
}

// roomToRestart is how many relays may be down at once, negative below the floor. Of a
// large fleet the entry name keeps its share, but for one relay if the layout has no
// more there than the floor.
func (r *roles) roomToRestart() int {
	l := r.ledger()
	room := len(l.all) - r.spec.DNS.MinRelays
	if at := r.pub.layout.Relays(r.entry()); at < len(r.slots) {
		room = min(room, len(l.entry)-min(r.spec.DNS.MinRelays, at-1))
	}
	return room
}

func (g *guard) machine(id string) (Machine, bool) {
	for _, m := range g.state.Machines.Value {
		if m.ID == id {
			return m, true
		}
	}
	return Machine{}, false
}

// servesClients reports whether the relay of m is published and verified.
func (r *roles) servesClients(m Machine) bool {
	for _, rec := range r.owned {
		if a := r.addr(rec); !a.IsZero() && a.PeerID() == r.peer(m) && r.verified(a) {
			return true
		}
	}
	return false
}
