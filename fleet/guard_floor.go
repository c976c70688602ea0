package fleet

import (
	"fmt"
	"maps"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// checkFloor follows the record set through the plan, in order, and refuses each step
// that leaves fewer verified relays than the floor, or no record at the entry name.
func (g *guard) checkFloor(p Plan) {
	set := g.ownedSpots()
	had := countAt(set, g.entry())
	for _, c := range p.Changes() {
		if c.Ref.Kind != KindRecord {
			continue
		}
		at := g.spotOf(c.Ref)
		switch c.Action {
		case ActionPublish:
			set[at] = true
		case ActionWithdraw:
			if why := g.belowFloor(set, at); why != "" {
				g.object(c.Ref, why, "bring another relay up first, or lower dns.min_relays")
			}
			delete(set, at)
		}
	}
	if had > 0 && countAt(set, g.entry()) == 0 {
		g.object(Ref{Kind: KindFleet}, "no record would be left at the name", "use `fleetctl down` to remove the fleet")
	}
}

// countAt counts the records of a set at a name.
func countAt(set map[spot]bool, name string) int {
	n := 0
	for at := range set {
		if at.name == name {
			n++
		}
	}
	return n
}

// belowFloor says why a record must stay in a set of records: without it fewer relays than
// the floor are verified, in all or at the entry name, and it is one that serves, or that
// could not be probed: unknown is not absent. A relay that is known not to serve can go
// at any number. It is "" for a record that may go.
func (r *roles) belowFloor(set map[spot]bool, at spot) string {
	if !set[at] {
		return ""
	}
	rest := maps.Clone(set)
	delete(rest, at)
	a := r.parsed[at.value]
	_, known := r.answers(dnsaddr.Record{Value: at.value})
	unknown := !a.IsZero() && !known
	left := r.countVerified(rest)
	if (left < r.countVerified(set) || unknown) && left < r.spec.DNS.MinRelays {
		return fmt.Sprintf("withdrawing it leaves %d verified relays published, the floor is %d", left, r.spec.DNS.MinRelays)
	}
	if at.name != r.entry() {
		return ""
	}
	left = r.countVerifiedAt(rest, at.name)
	if floor := r.entryFloor(); (left < r.countVerifiedAt(set, at.name) || unknown) && left < floor {
		return fmt.Sprintf("withdrawing it leaves %d verified relays at %s, the floor is %d", left, at.name, floor)
	}
	return ""
}

// entryFloor is how many verified relays the entry name keeps: as many as the floor says,
// or all that the layout has there.
func (r *roles) entryFloor() int {
	return min(r.spec.DNS.MinRelays, max(1, r.pub.layout.Relays(r.entry())))
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
		left := g.countVerified(g.ownedSpots()) - down
		g.object(last, fmt.Sprintf("restarting it leaves %d verified relays serving, the floor is %d", left, g.spec.DNS.MinRelays),
			"add a node, replace the region with `fleetctl replace-region`, or lower dns.min_relays")
	}
}

// roomToRestart is how many relays may be down at once, negative below the floor. Of a
// large fleet the entry name keeps its share, but for one relay if the layout has no
// more there than the floor.
func (r *roles) roomToRestart() int {
	set := r.ownedSpots()
	room := r.countVerified(set) - r.spec.DNS.MinRelays
	if at := r.pub.layout.Relays(r.entry()); at < len(r.slots) {
		room = min(room, r.countVerifiedAt(set, r.entry())-min(r.spec.DNS.MinRelays, at-1))
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

// countVerified counts the relays, by peer ID, of which some address in set is verified.
func (r *roles) countVerified(set map[spot]bool) int { return r.countVerifiedAt(set, "") }

// countVerifiedAt counts those of one name; "" is every name.
func (r *roles) countVerifiedAt(set map[spot]bool, name string) int {
	relays := make(map[string]bool)
	for at := range set {
		if name != "" && at.name != name {
			continue
		}
		a, known := r.parsed[at.value]
		if !known { // one that is yet to be published
			a, _ = dnsaddr.ParseValue(at.value)
		}
		if !a.IsZero() && !relays[a.PeerID()] && r.verified(a) {
			relays[a.PeerID()] = true
		}
	}
	return len(relays)
}

// VerifiedPublished counts the relays of ours that are published and were probed as
// serving, recently enough: what the floor dns.min_relays is compared with.
func VerifiedPublished(s Spec, st State) int {
	r := assign(s, st, Intent{})
	return r.countVerified(r.ownedSpots())
}

// ownedSpots is the set of our records.
func (r *roles) ownedSpots() map[spot]bool {
	set := make(map[spot]bool, len(r.owned))
	for _, rec := range r.owned {
		set[r.spot(rec)] = true
	}
	return set
}
