package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Stages begin this many changes at once where order does not matter.
const stageParallel = 8

// Diff says what separates the fleet from its spec. It is pure: equal inputs give
// identical plans, in an order from which make-before-break follows. What a failed
// reading leaves unknown is deferred or kept, never undone.
func Diff(s Spec, st State, in Intent) Plan {
	p := &planner{roles: assign(s, st, in), limits: limitsOf(s.Relay.Limits), ordered: make(map[string]bool), told: make(map[spot]bool), shut: make(map[string]bool), plan: Plan{
		Version: PlanVersion, Fleet: s.Name, Domain: strings.ToLower(s.DNS.Domain), Zone: s.DNS.Home(),
		Stages: []Stage{}, Deferred: []Deferral{}, Kept: []Kept{},
	}}
	switch {
	case !st.Machines.OK():
		p.keep(Ref{Kind: KindFleet}, fmt.Sprintf("the provider did not list its machines, so nothing is decided: %v", st.Machines.Err), true)
		p.keepForeign()
		p.keepSilent()
	case in.Down:
		p.keepIdle()
		p.withdrawAll()
		p.retireAll()
		p.keepForeign()
	default:
		p.keepIdle()
		if in.RecordsOnly {
			p.keepUnread()
		} else {
			p.provision()
			p.adjust()
			p.configure()
			p.introduce()
		}
		leaving := p.withdrawals()
		p.publish()
		p.stage(StageWithdraw, 1, leaving)
		if !in.RecordsOnly {
			p.retire()
		}
		p.keepForeign()
		p.keepSilent()
	}
	return p.plan
}

// planner builds a plan from roles.
type planner struct {
	*roles
	plan        Plan
	told        map[spot]bool   // records of others that this plan makes ours, or says why not
	shut        map[string]bool // names at which something is wanted and that take no records
	limits      string          // that every relay's configuration ends in
	withdrawing map[spot]bool   // records that this plan withdraws
	left        *ledger         // our records without these, nil until somebody asks
	ordered     map[string]bool // nodes that get a machine
	settling    []Change        // of boxes that go on serving
}

// stage adds a stage if it has changes.
func (p *planner) stage(name string, parallel int, changes []Change) {
	if len(changes) > 0 {
		p.plan.Stages = append(p.plan.Stages, Stage{Name: name, Parallel: max(parallel, 1), Changes: changes})
	}
}

// postpone adds a deferral.
func (p *planner) postpone(a Action, ref Ref, waiting string, soon bool) {
	p.plan.Deferred = append(p.plan.Deferred, Deferral{Action: a, Ref: ref, Waiting: waiting, Soon: soon})
}

// keep notes what is left alone on purpose.
func (p *planner) keep(ref Ref, reason string, problem bool) {
	p.plan.Kept = append(p.plan.Kept, Kept{Ref: ref, Reason: reason, Problem: problem})
}

// machineRef names a machine; recordRef names a record.
func machineRef(m Machine) Ref { return Ref{Kind: KindMachine, Node: m.Node, ID: m.ID} }

// provision marks who leaves, switches on what is off, and orders what is missing.
func (p *planner) provision() {
	var marks, machines []Change
	for _, m := range p.marking {
		marks = append(marks, Change{
			Action: ActionMark, Ref: machineRef(m.machine), Reason: m.reason,
			Fields: []Field{{Name: MarkPhase, From: string(m.machine.Phase), To: string(PhaseOutgoing)}},
		})
	}
	slices.SortFunc(marks, func(a, b Change) int { return cmp.Compare(a.Ref.ID, b.Ref.ID) })
	for _, m := range p.state.Machines.Value {
		if m.Status == StatusStopped && !m.untouchable() && m.Phase != PhaseDoomed && !(p.abandoned(m) && p.isLeaving(m)) {
			machines = append(machines, Change{Action: ActionStart, Ref: machineRef(m), Reason: "the machine is switched off"})
		}
	}
	for _, s := range p.slots {
		if _, ok := p.held(s.Node); !ok {
			p.order(s, &machines)
		}
	}
	p.stage(StageProvision, 1, marks)
	p.stage(StageProvision, stageParallel, machines)
}

// order plans a machine for an empty slot, unless it cannot be told whether the slot's
// published relay still lives.
func (p *planner) order(s Slot, out *[]Change) {
	ref := Ref{Kind: KindMachine, Node: s.Node}
	for _, rec := range p.byNode[s.Node] {
		if _, known := p.answers(rec); !known && !slices.Contains(p.want.MachineGone, s.Node) {
			p.postpone(ActionCreate, ref, "word of its published relay "+rec.Value+", which may live: "+describe(p.state.Probes[p.addr(rec)])+
				"; if its machine is gone, --machine-gone "+s.Node+" says so", false)
			return
		}
	}
	if !p.state.Records.OK() {
		p.postpone(ActionCreate, ref, fmt.Sprintf("the zone to be read: a relay may be published for this slot: %v", p.state.Records.Err), false)
		return
	}
	reason := "the provider lists no machine for this node"
	if slices.ContainsFunc(p.leaving, func(m Machine) bool { return m.Node == s.Node }) {
		reason = "its machine is on the way out"
	}
	if most := p.want.Most; most != nil && len(p.state.Machines.Value)+len(p.ordered) >= *most {
		p.postpone(ActionCreate, ref, "room for one more machine at the provider", false)
		return
	}
	p.ordered[s.Node] = true
	*out = append(*out, Change{Action: ActionCreate, Ref: ref, Fields: p.orderFields(s), Reason: reason})
	p.postpone(ActionPublish, Ref{Kind: KindRecord, Node: s.Node}, "its peer ID", true)
}

// orderFields is what is ordered for a slot.
func (p *planner) orderFields(s Slot) []Field {
	fields := []Field{{Name: "region", To: s.Region}}
	if p.spec.Provider == ProviderDigitalOcean {
		o := p.spec.Ocean
		fields = append(fields, Field{Name: "size", To: o.Size}, Field{Name: "image", To: o.Image}, Field{Name: "with", To: "IPv6 monitoring"})
		if len(o.Tags) > 0 {
			fields = append(fields, Field{Name: "tags", To: strings.Join(o.Tags, " ")})
		}
	}
	return fields
}

func (p *planner) isLeaving(m Machine) bool {
	return slices.ContainsFunc(p.leaving, func(l Machine) bool { return l.ID == m.ID })
}

// abandoned reports whether the operator gave up a machine's box.
func (p *planner) abandoned(m Machine) bool { return slices.Contains(p.want.Abandon, m.Node) }

// keepForeign lists the records of others that nothing was said of yet.
func (p *planner) keepForeign() {
	for _, rec := range p.foreign {
		if !p.told[p.spot(rec)] {
			p.keep(p.recordRef("", rec), "not ours", false)
		}
	}
}

// keepSilent lists our relays' addresses that stay published although nobody could use
// them just now.
func (p *planner) keepSilent() {
	told := make(map[string]bool)
	for _, rec := range p.owned {
		a := p.addr(rec)
		if a.IsZero() || p.withdrawing[p.spot(rec)] || p.verified(a) || told[rec.Value] {
			continue
		}
		told[rec.Value] = true
		p.keep(p.recordRef(nodeOf(rec), rec),
			"its relay did not pass a probe, which is no reason to withdraw it: "+describe(p.state.Probes[a]), true)
	}
}
