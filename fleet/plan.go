package fleet

import "slices"

// PlanVersion is the version of the plan's JSON form. A file of another version is refused.
const PlanVersion = 1

// Action is what a change does.
type Action string

// The actions, by stage. The set only grows.
const (
	ActionMark      Action = "mark"      // provision: mark a machine outgoing
	ActionCreate    Action = "create"    // provision: make a machine
	ActionStart     Action = "start"     // provision: switch a stopped machine on
	ActionAdjust    Action = "adjust"    // provision: tags of a machine, or the fleet's firewall
	ActionSettle    Action = "settle"    // configure: files and keys of a box, without a restart
	ActionRekey     Action = "rekey"     // configure: replace the bootstrap host key by one made on the box
	ActionConfigure Action = "configure" // configure: install and start a relay that does not run
	ActionRestart   Action = "restart"   // configure: new configuration or binary for a relay that serves
	ActionIntroduce Action = "introduce" // configure: tell a relay of the fleet's others
	ActionPublish   Action = "publish"   // publish: add a record
	ActionUpdate    Action = "update"    // publish: TTL or comment of a record of ours
	ActionWatch     Action = "watch"     // withdraw: see the successor serve for min_healthy_time
	ActionWithdraw  Action = "withdraw"  // withdraw: remove a record
	ActionWait      Action = "wait"      // retire: until the record has left every cache
	ActionDrain     Action = "drain"     // retire: until no reservation is left
	ActionCensus    Action = "census"    // retire: merge the old census into the successor's
	ActionDelete    Action = "delete"    // retire: delete a machine
	ActionUninstall Action = "uninstall" // retire: take the relay off a machine that stays
	ActionCleanup   Action = "cleanup"   // retire: what the provider keeps for an empty fleet
)

// The stages of a plan, in their order.
const (
	StageProvision = "provision"
	StageConfigure = "configure"
	StagePublish   = "publish"
	StageWithdraw  = "withdraw"
	StageRetire    = "retire"
)

// Ref names what a change is about.
type Ref struct {
	Kind string `json:"kind"`           // "machine" or "record" or "fleet"
	Node string `json:"node"`           // the slot
	Name string `json:"name,omitempty"` // of a record that does not stand at the entry name: where it does
	ID   string `json:"id,omitempty"`   // machine ID or record value; "" while it does not exist
}

// Field is one difference.
type Field struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Change is one thing to do. It is data: two equal changes do the same.
type Change struct {
	Action Action  `json:"action"`
	Ref    Ref     `json:"ref"`
	Fields []Field `json:"fields,omitempty"`
	Reason string  `json:"reason"`
}

// Stage is a set of changes of which Parallel may be under way at once. A stage
// begins when the one before has ended without an error.
type Stage struct {
	Name     string   `json:"name"`
	Parallel int      `json:"parallel"`
	Changes  []Change `json:"changes"`
}

// Deferral is a change that cannot be made yet.
type Deferral struct {
	Action  Action `json:"action"`
	Ref     Ref    `json:"ref"`
	Waiting string `json:"waiting"`        // for what, in words
	Soon    bool   `json:"soon,omitempty"` // it may come by itself: look again in a moment
}

// Kept is something that the plan leaves alone on purpose.
type Kept struct {
	Ref     Ref    `json:"ref"`
	Reason  string `json:"reason"`
	Problem bool   `json:"problem,omitempty"` // the operator should look at it; the command exits 3
	Hint    string `json:"hint,omitempty"`    // what the operator does about it, "" if that has to be found out
}

// Plan is what would be done, in order, and what is left alone.
type Plan struct {
	Version  int        `json:"version"`
	Fleet    string     `json:"fleet"`
	Domain   string     `json:"domain"` // at which its records stand, in lower case
	Zone     string     `json:"zone"`   // that holds them ([DNSSpec.Home])
	Stages   []Stage    `json:"stages"`
	Deferred []Deferral `json:"deferred"`
	Kept     []Kept     `json:"kept"`
}

// The kinds of things that a Ref can name.
const (
	KindMachine = "machine"
	KindRecord  = "record"
	KindFleet   = "fleet"
)

// Empty reports whether the plan changes nothing. Deferrals may still be waiting.
func (p Plan) Empty() bool { return len(p.Stages) == 0 }

// Changes lists the changes of every stage, in order.
func (p Plan) Changes() []Change {
	var out []Change
	for _, s := range p.Stages {
		out = append(out, s.Changes...)
	}
	return out
}

// contains reports whether some change satisfies f.
func (p Plan) contains(f func(Change) bool) bool {
	return slices.ContainsFunc(p.Changes(), f)
}

// Problems lists what is kept although something is wrong with it.
func (p Plan) Problems() []Kept {
	var out []Kept
	for _, k := range p.Kept {
		if k.Problem {
			out = append(out, k)
		}
	}
	return out
}

// Orders lists what a plan buys of a spec, in its order.
func (p Plan) Orders(s Spec) []NewMachine {
	ordered := make(map[string]bool)
	for _, c := range p.Changes() {
		ordered[c.Ref.Node] = ordered[c.Ref.Node] || c.Action == ActionCreate
	}
	var out []NewMachine
	for _, slot := range s.Slots() {
		if ordered[slot.Node] {
			out = append(out, NewMachine{Node: slot.Node, Region: slot.Region, Delay: slot.Delay})
		}
	}
	return out
}

// Soon reports whether something deferred may come by itself.
func (p Plan) Soon() bool {
	return slices.ContainsFunc(p.Deferred, func(d Deferral) bool { return d.Soon })
}
