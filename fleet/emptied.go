package fleet

import (
	"maps"
	"slices"
)

// Emptied lists the names beside the entry name at which relays of the fleet stand now and
// none when the plan is done, sorted: clients that were given such a name find nobody. It
// is empty where the fleet goes as a whole.
func Emptied(s Spec, st State, p Plan) []string {
	r := assign(s, st, Intent{})
	left := make(map[string]map[spot]bool) // by name
	for _, rec := range r.owned {
		at := r.spot(rec)
		if left[at.name] == nil {
			left[at.name] = make(map[spot]bool)
		}
		left[at.name][at] = true
	}
	follow := func(a Action, ref Ref) {
		at := r.spotOf(ref)
		switch there := left[at.name]; {
		case ref.Kind != KindRecord || there == nil:
		case a == ActionPublish:
			there[at] = true
		case a == ActionWithdraw:
			delete(there, at)
		}
	}
	for _, c := range p.Changes() {
		follow(c.Action, c.Ref)
	}
	for _, d := range p.Deferred {
		if d.Soon { // what waits for something else does not come of this run
			follow(d.Action, d.Ref)
		}
	}
	if at, had := left[r.entry()]; had && len(at) == 0 {
		return nil
	}
	maps.DeleteFunc(left, func(_ string, at map[spot]bool) bool { return len(at) > 0 })
	return slices.Sorted(maps.Keys(left))
}

// explainEmptied says in the reasons of what leaves DNS which names it leaves empty.
func (p *planner) explainEmptied(changes []Change) {
	left := make(map[string]int)
	for _, rec := range p.owned {
		if at := p.spot(rec); !p.withdrawing[at] {
			left[at.name]++
		}
	}
	for i, c := range changes {
		name := p.spotOf(c.Ref).name
		if c.Action == ActionWithdraw && left[name] == 0 && name != p.entry() && p.pub.layout.Relays(name) == 0 {
			changes[i].Reason += "; nobody is left at " + name
		}
	}
}
