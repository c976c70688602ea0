package fleet

import (
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Guard is the one place that says no. It returns nil if the plan may run on the fleet
// as st shows it, else a *[Refusal]. It is pure, and it trusts nothing that the plan
// says of itself: every rule is checked against the state.
//
// It refuses what lowers the number of verified published relays below min_relays, in all
// or at the entry name, what empties that, what takes more than max(1, 30 %) of the
// relays out of DNS with no successor, what touches a record or a machine that is not
// ours, what withdraws on the strength of a failed reading, what deletes a machine whose
// relay is still published, what fills the slot or withdraws the record of a relay that
// answers although the provider lists no machine for it, what publishes a private address
// in a public zone, and a peer ID that changed on one machine. Additions of other
// verified relays always pass. Intent.Down lifts the floor, the emptiness and the number
// of removals, and nothing else.
func Guard(s Spec, st State, in Intent, p Plan) error {
	g := &guard{roles: assign(s, st, in), withdrawn: make(map[spot]bool)}
	if p.Fleet != s.Name {
		g.object(Ref{Kind: KindFleet}, fmt.Sprintf("the plan is for fleet %q, the spec for %q", p.Fleet, s.Name), "")
	}
	for _, stage := range p.Stages {
		for _, c := range stage.Changes {
			g.check(c)
		}
		if !in.Down {
			g.checkRestarts(stage)
		}
	}
	if !in.Down {
		g.checkFloor(p)
		g.checkRemovals(p)
	}
	g.checkBudget(p)
	if len(g.objections) > 0 {
		return &Refusal{Objections: g.objections}
	}
	return nil
}

// guard goes through a plan once, in order.
type guard struct {
	*roles
	withdrawn  map[spot]bool // records withdrawn so far in the plan
	objections []Objection
}

func (g *guard) object(ref Ref, reason, hint string) {
	for _, o := range g.objections {
		if o.Ref.Node == ref.Node && o.Reason == reason {
			return
		}
	}
	g.objections = append(g.objections, Objection{Ref: ref, Reason: reason, Hint: hint})
}

// check applies the rules that concern one change by itself.
func (g *guard) check(c Change) {
	switch c.Ref.Kind {
	case KindRecord:
		g.checkRecord(c)
	case KindMachine:
		g.checkMachine(c)
	case KindFleet:
		g.checkFleet(c)
	default:
		g.object(c.Ref, fmt.Sprintf("unknown kind of thing %q", c.Ref.Kind), "")
	}
}

func (g *guard) checkMachine(c Change) {
	if !g.state.Machines.OK() {
		g.object(c.Ref, fmt.Sprintf("the provider did not list its machines: %v", g.state.Machines.Err), Hint(g.state.Machines.Err))
		return
	}
	if c.Ref.ID == "" {
		g.checkNew(c)
		return
	}
	i := slices.IndexFunc(g.state.Machines.Value, func(m Machine) bool { return m.ID == c.Ref.ID })
	if i < 0 {
		if c.Action != ActionDelete {
			g.object(c.Ref, "no machine "+c.Ref.ID+" of this fleet is listed", "")
		}
		return
	}
	m := g.state.Machines.Value[i]
	if m.Fleet != g.spec.Name {
		g.object(c.Ref, "machine "+m.ID+" belongs to "+m.Fleet, "")
		return
	}
	switch {
	case m.Unmarked:
		g.object(c.Ref, "machine "+m.ID+" is not shown to be ours", "wait until its marks are there, or adopt it with `fleetctl adopt`")
		return
	case m.Problem != "":
		g.object(c.Ref, "machine "+m.ID+" is not shown to be ours: "+m.Problem, "")
		return
	case m.Adopted && c.Action != ActionWatch:
		g.object(c.Ref, "machine "+m.ID+" was adopted and not taken over", "take it over with `fleetctl adopt --take-over "+m.Node+"`, or give it back with `fleetctl release "+m.Node+"`")
		return
	case m.Given && (c.Action == ActionDelete || c.Action == ActionMark):
		g.object(c.Ref, "machine "+m.ID+" was not made by fleetctl, which neither deletes nor replaces it", "")
		return
	}
	switch c.Action {
	case ActionStart, ActionConfigure, ActionRestart, ActionIntroduce, ActionWatch, ActionAdjust, ActionSettle, ActionRekey:
	case ActionMark:
		g.checkMark(c, m)
	case ActionWait, ActionDrain, ActionCensus, ActionDelete, ActionUninstall:
		g.checkRetire(c, m)
	default:
		g.object(c.Ref, fmt.Sprintf("%q is not done to machines", c.Action), "")
	}
}

// checkMark refuses to take the slot of a machine that ought to keep it.
func (g *guard) checkMark(c Change, m Machine) {
	sent := slices.ContainsFunc(g.marking, func(l marking) bool { return l.machine.ID == m.ID })
	if !sent || fieldTo(c, MarkPhase) != string(PhaseOutgoing) {
		g.object(c.Ref, "machine "+m.ID+" holds its slot", "")
		return
	}
	if name := g.shutOut(m.Node); name != "" {
		err := g.state.Closed.Value[name]
		g.object(c.Ref, fmt.Sprintf("its successor could not be published at %s: %v", name, err), Hint(err))
	}
}

// checkNew refuses a machine for a slot that somebody may still fill. One relay that
// lives unlisted is enough to doubt the provider's whole list.
func (g *guard) checkNew(c Change) {
	if c.Action != ActionCreate && c.Action != ActionConfigure {
		g.object(c.Ref, fmt.Sprintf("%q names no machine", c.Action), "")
		return
	}
	if m, held := g.held(c.Ref.Node); held && c.Action == ActionCreate {
		g.object(c.Ref, "machine "+m.ID+" holds the slot", "")
	}
	if c.Action != ActionCreate {
		return
	}
	for _, rec := range g.owned {
		if g.orphanAnswers(rec) {
			g.objectGone(c.Ref, nodeOf(rec))
			return
		}
	}
}

// checkRetire refuses to end a machine that holds a slot, is published, or whose box
// cannot be asked for its census.
func (g *guard) checkRetire(c Change, m Machine) {
	leaving := slices.ContainsFunc(g.leaving, func(l Machine) bool { return l.ID == m.ID })
	switch {
	case !leaving:
		g.object(c.Ref, "machine "+m.ID+" holds its slot", "")
	case !g.state.Records.OK():
		g.object(c.Ref, "the zone could not be read: its relay may be published", "")
	case g.mayBePublished(m, g.withdrawn):
		g.object(c.Ref, "its relay is, or may be, still published", "")
	case c.Action == ActionDelete && !g.want.Down && m.Phase != PhaseDoomed && !g.readable(m) && !slices.Contains(g.want.Abandon, m.Node):
		g.object(c.Ref, "its box does not answer, so its census cannot be saved", "start the box, or give up its census and its peer ID with --abandon "+m.Node)
	}
}

// mayBePublished reports whether a record of ours is, or may be, that of m's relay, but for
// those in except.
func (r *roles) mayBePublished(m Machine, except map[spot]bool) bool {
	stays := func(rec dnsaddr.Record) bool { return !except[r.spot(rec)] }
	if peer := r.peer(m); peer != "" {
		return slices.ContainsFunc(r.byPeer[peer], stays)
	}
	return !r.newborn(m) && slices.ContainsFunc(r.byNode[m.Node], func(rec dnsaddr.Record) bool {
		_, other := r.peerNode[r.peerOf(rec)]
		return !other && r.peerOf(rec) != "" && stays(rec)
	})
}

func (g *guard) checkFleet(c Change) {
	if c.Action == ActionAdjust {
		return
	}
	if c.Action != ActionCleanup || !g.want.Down {
		g.object(c.Ref, fmt.Sprintf("%q belongs to down alone", c.Action), "")
	}
}
