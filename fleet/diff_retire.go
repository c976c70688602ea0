package fleet

import "slices"

// retire removes machines that hold no slot, once nobody is sent to them any more.
func (p *planner) retire() {
	if !p.state.Records.OK() {
		return
	}
	var r retirement
	for _, m := range p.leaving {
		if !p.blocked(m) {
			r.add(p, m, p.heir(m))
		}
	}
	r.stages(p)
}

// retireAll removes every machine, and then what the provider keeps beside them. A given one
// that is not shown to be ours stays as it is; one that was made would stay and cost, so it
// is left to the guard, which refuses the whole before the first record goes.
func (p *planner) retireAll() {
	if !p.state.Records.OK() {
		return
	}
	var r retirement
	for _, m := range p.leaving {
		if m.Problem != "" && m.Given {
			p.keep(machineRef(m), "nothing is done to its box, which may run a relay of the fleet: "+m.Problem, true)
			continue
		}
		r.add(p, m, Machine{})
	}
	r.stages(p)
	made := slices.DeleteFunc(slices.Clone(p.state.Machines.Value), func(m Machine) bool { return m.Given })
	if len(made)+len(p.owned)+len(p.state.Leftovers.Value) > 0 {
		p.stage(StageRetire, 1, []Change{{Action: ActionCleanup, Ref: Ref{Kind: KindFleet}, Reason: "nothing of the fleet is left to need it"}})
	}
}

// blocked defers the end of a machine that must not go yet, and says what it waits for.
func (p *planner) blocked(m Machine) bool {
	_, ok := p.reading(m)
	later := func(waiting string, soon bool) bool {
		if m.Phase != PhaseDoomed {
			if m.Phase != PhaseDraining {
				p.postpone(ActionWait, machineRef(m), waiting, soon)
			}
			p.postpone(ActionDrain, machineRef(m), waiting, soon)
			p.postpone(ActionCensus, machineRef(m), waiting, soon)
		}
		p.postpone(ActionDelete, machineRef(m), waiting, soon)
		return true
	}
	switch {
	case m.Status == StatusStopped && !p.abandoned(m) && m.Phase != PhaseDoomed:
		return later("the machine to run: its census has to be saved", true)
	case !ok && !p.abandoned(m) && m.Phase != PhaseDoomed:
		return later("its box to answer; --abandon "+m.Node+" gives up its census and its peer ID for good", false)
	case p.stillPublished(m):
		return later("its record to be withdrawn", p.shutOut(m.Node) == "")
	case p.newborn(m):
		return false
	}
	if successor, held := p.held(m.Node); p.slotWanted(m.Node) && (!held || !p.serves(successor)) {
		return later("its successor to be published and to serve", p.shutOut(m.Node) == "")
	}
	if ok && m.Phase != PhaseDoomed && p.heir(m).ID == "" && !p.abandoned(m) {
		return later("another relay that can take its census; --abandon "+m.Node+" gives that up for good", false)
	}
	return false
}

// stillPublished reports whether a record stays that is, or may be, of m.
func (p *planner) stillPublished(m Machine) bool {
	return p.mayBePublished(m, p.withdrawing)
}

// heir is the machine that takes over the census of m: the new holder of its slot, else
// the first relay of the fleet that can be read. Nothing is written on a machine that
// must not be touched.
func (p *planner) heir(m Machine) Machine {
	for _, s := range append([]Slot{{Node: m.Node}}, p.slots...) {
		if h, ok := p.held(s.Node); ok && !h.untouchable() && p.readable(h) && p.peer(h) != "" {
			return h
		}
	}
	return Machine{}
}

// retirement collects the steps of all machines that go, each kind a stage of its own:
// the waits run side by side, and nothing is deleted before every census is safe.
type retirement struct{ waits, drains, census, deletes []Change }

// add plans the end of one machine. A phase that it has reached is not gone through again;
// how long ago its record went is not known, so the wait is always a whole TTL.
func (r *retirement) add(p *planner, m Machine, heir Machine) {
	rel, readable := p.reading(m)
	ref := machineRef(m)
	relay := readable && !p.newborn(m)
	if m.Given && readable && !rel.Installed && !rel.Traces {
		return // the box is as it was given
	}
	why := "its end was begun before, and only the delete is left"
	if m.Phase == PhaseActive || m.Phase == PhaseOutgoing {
		if relay || !readable {
			d, reason := p.cached()
			r.waits = append(r.waits, Change{Action: ActionWait, Ref: ref, Fields: []Field{{Name: "for", To: d.String()}}, Reason: reason})
		}
	}
	if m.Phase != PhaseDoomed {
		if relay && rel.Active {
			r.drains = append(r.drains, Change{Action: ActionDrain, Ref: ref, Fields: []Field{{Name: "at most", To: p.spec.Rollout.DrainTimeout.String()}}, Reason: "clients with a reservation get time to move"})
		}
		if relay && heir.ID != "" {
			r.census = append(r.census, Change{Action: ActionCensus, Ref: ref, Fields: []Field{{Name: "to", To: heir.ID}}, Reason: "what it counted is kept by " + heir.Node})
		}
		why = "drained, and its census is saved"
		switch {
		case p.want.Down:
			why = "the fleet goes"
		case !readable || relay && heir.ID == "":
			why = "abandoned: its census and its peer ID are lost"
		case !relay:
			why = "it never became a relay"
		}
	}
	switch {
	case !m.Given:
		r.deletes = append(r.deletes, Change{Action: ActionDelete, Ref: ref, Reason: why})
	case !readable || rel.Installed || rel.Traces:
		r.deletes = append(r.deletes, Change{Action: ActionUninstall, Ref: ref, Reason: why + "; the machine itself stays"})
	}
}

func (r *retirement) stages(p *planner) {
	p.stage(StageRetire, len(r.waits), r.waits)
	p.stage(StageRetire, stageParallel, r.drains)
	p.stage(StageRetire, stageParallel, r.census)
	p.stage(StageRetire, stageParallel, r.deletes)
}
