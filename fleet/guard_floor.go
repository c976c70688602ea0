package fleet

import (
	"fmt"
	"maps"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// checkFloor follows the record set through the plan, in order, and refuses each step
// that leaves fewer verified relays than the floor, or no record at all.
func (g *guard) checkFloor(p Plan) {
	set := g.ownedValues()
	had := len(set)
	for _, c := range p.Changes() {
		switch c.Action {
		case ActionPublish:
			set[c.Ref.ID] = true
		case ActionWithdraw:
			if left, below := g.belowFloor(set, c.Ref.ID); below {
				g.object(c.Ref, fmt.Sprintf("withdrawing it leaves %d verified relays published, the floor is %d", left, g.spec.DNS.MinRelays),
					"bring another relay up first, or lower dns.min_relays")
			}
			delete(set, c.Ref.ID)
		}
	}
	if had > 0 && len(set) == 0 {
		g.object(Ref{Kind: KindFleet}, "no record would be left at the name", "use `fleetctl down` to remove the fleet")
	}
}

// belowFloor reports whether taking a value out of a record set leaves fewer verified
// relays than the floor, and takes away one that serves, or that could not be probed:
// unknown is not absent. A relay that is known not to serve can go at any number.
func (r *roles) belowFloor(set map[string]bool, value string) (left int, below bool) {
	if !set[value] {
		return 0, false
	}
	rest := maps.Clone(set)
	delete(rest, value)
	left = r.countVerified(rest)
	a := r.parsed[value]
	_, known := r.answers(dnsaddr.Record{Value: value})
	takes := left < r.countVerified(set) || !a.IsZero() && !known
	return left, takes && left < r.spec.DNS.MinRelays
}

// checkRestarts refuses to restart so many verified relays at once that fewer than the
// floor go on serving.
func (g *guard) checkRestarts(stage Stage) {
	before := g.countVerified(g.ownedValues())
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
	if down := min(serving, stage.Parallel); down > 0 && before-down < g.spec.DNS.MinRelays {
		g.object(last, fmt.Sprintf("restarting it leaves %d verified relays serving, the floor is %d", before-down, g.spec.DNS.MinRelays),
			"add a node, replace the region with `fleetctl replace-region`, or lower dns.min_relays")
	}
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
func (r *roles) countVerified(set map[string]bool) int {
	relays := make(map[string]bool)
	for value := range set {
		a, known := r.parsed[value]
		if !known { // one that is yet to be published
			a, _ = dnsaddr.ParseValue(value)
		}
		if !a.IsZero() && r.verified(a) {
			relays[a.PeerID()] = true
		}
	}
	return len(relays)
}

// VerifiedPublished counts the relays of ours that are published and were probed as
// serving, recently enough: what the floor dns.min_relays is compared with.
func VerifiedPublished(s Spec, st State) int {
	r := assign(s, st, Intent{})
	return r.countVerified(r.ownedValues())
}

// ownedValues is the set of values of our records.
func (r *roles) ownedValues() map[string]bool {
	set := make(map[string]bool, len(r.owned))
	for _, rec := range r.owned {
		set[rec.Value] = true
	}
	return set
}
