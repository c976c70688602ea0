package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// marksDeadline is how long a machine may lack its marks after it was made: the provider
// sets them after the machine.
const marksDeadline = 2 * time.Minute

// driftFields are the differences with one kind of fix, as a change shows them.
func driftFields(all []Drift, fix Fix) []Field {
	var out []Field
	for _, d := range all {
		if d.Fix == fix {
			out = append(out, Field{Name: d.Name, From: d.From, To: d.To})
		}
	}
	return out
}

// fieldNames lists what changes, for a reason.
func fieldNames(fields []Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// adjust puts right what the provider keeps, for all machines and for each, before
// anything is bought, and says what only another machine would put right. A fleet that
// has no machine and gets none needs no firewall: the account may be somebody else's.
// Nor do machines that must not be touched, none of which is put behind it.
func (p *planner) adjust() {
	var changes []Change
	switch shared := p.state.Shared; {
	case len(p.ordered) == 0 && !slices.ContainsFunc(p.state.Machines.Value, func(m Machine) bool { return !m.untouchable() }):
	case !shared.OK():
		p.keep(Ref{Kind: KindFleet}, fmt.Sprintf("the firewall is left as it is: %v", shared.Err), true)
	case len(shared.Value) > 0:
		fields := driftFields(shared.Value, FixInPlace)
		changes = append(changes, Change{Action: ActionAdjust, Ref: Ref{Kind: KindFleet}, Fields: fields, Reason: "changed: " + fieldNames(fields)})
	}
	for _, s := range p.slots {
		m, ok := p.held(s.Node)
		if !ok || m.untouchable() {
			continue
		}
		if fields := driftFields(m.Drift, FixInPlace); len(fields) > 0 {
			changes = append(changes, Change{Action: ActionAdjust, Ref: machineRef(m), Fields: fields, Reason: "changed: " + fieldNames(fields)})
		}
		for _, d := range m.Drift {
			if d.Fix == FixReplace {
				p.keep(machineRef(m), fmt.Sprintf("%s is %s, the spec says %s; `fleetctl replace-region %s` changes it", d.Name, d.From, d.To, m.Region), false)
			}
		}
	}
	if len(changes) > 0 {
		p.plan.Stages = slices.Insert(p.plan.Stages, 0, Stage{Name: StageProvision, Parallel: stageParallel, Changes: changes})
	}
}

// settle plans what of a box can be put right while its relay serves.
func (p *planner) settle(m Machine, rel Relay) {
	if rel.Bootstrap {
		p.settling = append(p.settling, Change{
			Action: ActionRekey, Ref: machineRef(m),
			Reason: "its host key came with its order; one made on the box replaces it",
		})
	}
	if fields := driftFields(rel.Drift, FixInPlace); len(fields) > 0 {
		p.settling = append(p.settling, Change{Action: ActionSettle, Ref: machineRef(m), Fields: fields, Reason: "changed: " + fieldNames(fields)})
	}
}

// unmarked waits for the marks of a machine that only its name says is ours. It is
// never bought around.
func (p *planner) unmarked(m Machine) {
	if p.state.At.Sub(m.Created) < marksDeadline {
		p.postpone(ActionConfigure, machineRef(m), "the marks of machine "+m.ID+", which has the name of one of ours", true)
		return
	}
	p.keep(machineRef(m), "machine "+m.ID+" ("+m.Name+") has the name of one of ours and no marks: it fills the slot until somebody "+
		"deletes it at the provider, or adopts it with `fleetctl adopt`", true)
	p.postpone(ActionConfigure, machineRef(m), "machine "+m.ID+" to be adopted or deleted", false)
}

// keepIdle names the machines without a slot that must not be sent away.
func (p *planner) keepIdle() {
	for _, m := range p.idle {
		why := "it holds no slot, and nothing is done to it: " + m.whyUntouchable()
		switch {
		case m.Problem != "":
		case m.Unmarked:
			why += "; delete it at the provider, or adopt it with `fleetctl adopt`"
		default:
			why += "; give its node a slot in the spec, or give it back with `fleetctl release " + m.Node + "`"
		}
		p.keep(machineRef(m), why, true)
	}
}
