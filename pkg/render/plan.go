package render

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// Effect is what a plan means for those who use the fleet. It is reckoned by whoever
// shows the plan; the zero value says nothing.
type Effect struct {
	Before, After int        // published relays that pass a probe, now and when the plan is done
	Known         bool       // whether Before and After are
	Appear        []Identity // peer IDs that clients will see anew
	Vanish        []Identity // peer IDs that clients will not see any more
	Empty         []string   // names at which clients will find no relay any more
	Bill          fleet.Bill // what it costs; no currency: nothing is bought
}

// Identity is the peer ID of a node, "" while the box has not made it yet.
type Identity struct {
	Node   string
	PeerID string
}

// PlanView shows a plan and its hash. Its JSON is a plan file, too.
type PlanView struct {
	Plan   fleet.Plan
	Effect Effect
}

var _ TextView = PlanView{}

// MarshalJSON encodes the plan and its hash.
func (v PlanView) MarshalJSON() ([]byte, error) {
	return json.Marshal(withoutNil(struct {
		fleet.Plan
		Hash string `json:"hash"`
	}{v.Plan, v.Plan.Digest()}))
}

// Table is the plan as rows, for CSV.
func (v PlanView) Table() Table {
	t := Table{Columns: []Column{{Name: "stage"}, {Name: "action"}, {Name: "kind"}, {Name: "node"}, {Name: "id"}, {Name: "reason"}, {Name: "name"}}}
	for _, s := range v.Plan.Stages {
		for _, c := range s.Changes {
			t.Rows = append(t.Rows, []any{s.Name, c.Action, c.Ref.Kind, c.Ref.Node, c.Ref.ID, c.Reason, c.Ref.Name})
		}
	}
	return t
}

// Text is the plan for people.
func (v PlanView) Text(w io.Writer, o Options) error {
	if err := Plan(w, v.Plan, v.Effect, o); err != nil || v.Plan.Empty() {
		return err
	}
	_, err := fmt.Fprintf(w, "\nplan hash: %s\n", v.Plan.Digest())
	return err
}

// Plan writes what would be done and why, what waits and for what, what is left
// alone, and what it means for clients.
func Plan(w io.Writer, p fleet.Plan, e Effect, o Options) error {
	t := planText{o: o}
	t.head(p)
	for _, s := range p.Stages {
		t.stage(s)
	}
	t.deferred(p.Deferred)
	t.kept(p.Kept)
	t.effect(e)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// planText collects the text of a plan.
type planText struct {
	b strings.Builder
	o Options
}

// line writes one line, or several where the terminal is narrow: further lines are
// indented by two more.
func (t *planText) line(indent int, text string, tone Tone) {
	width := t.o.Width
	if width > 0 {
		width = max(width-indent-2, narrowest)
	}
	for i, one := range wrap(text, width) {
		if i > 0 {
			one = "  " + one
		}
		t.b.WriteString(strings.Repeat(" ", indent) + tint(one, tone, t.o.Colour) + "\n")
	}
}

func (t *planText) head(p fleet.Plan) {
	if p.Empty() {
		what := "nothing to do"
		if len(p.Deferred) > 0 {
			what = "nothing to do yet"
		}
		t.line(0, fmt.Sprintf("fleet %s: %s", Safe(p.Fleet), what), Plain)
		return
	}
	changes := 0
	for _, s := range p.Stages {
		changes += len(s.Changes)
	}
	t.line(0, fmt.Sprintf("fleet %s: %s", Safe(p.Fleet), count(changes, "change")), Plain)
}

// count is "1 change" or "3 changes".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// stage writes the changes of a stage, those of one kind and reason together.
func (t *planText) stage(s fleet.Stage) {
	title := s.Name
	if n := min(s.Parallel, len(s.Changes)); n > 1 {
		title = fmt.Sprintf("%s, %d at once", s.Name, n)
	} else if len(s.Changes) > 1 {
		title = s.Name + ", one at a time"
	}
	t.b.WriteString("\n")
	t.line(0, Safe(title), Plain)
	group := ""
	for _, c := range s.Changes {
		mark, tone := sign(c.Action)
		if g := Safe(string(c.Action)) + ": " + Safe(c.Reason); g != group {
			group = g
			t.line(2, g, Plain)
		}
		t.line(4, mark+" "+subject(c.Ref, t.o)+fields(c.Fields), tone)
	}
}

// sign tells additions, changes, removals and waits apart, without colour too.
func sign(a fleet.Action) (string, Tone) {
	switch a {
	case fleet.ActionCreate, fleet.ActionStart, fleet.ActionPublish:
		return "+", Good
	case fleet.ActionWithdraw, fleet.ActionDelete, fleet.ActionCleanup:
		return "-", Bad
	case fleet.ActionWait, fleet.ActionWatch, fleet.ActionDrain:
		return "…", Faint
	}
	return "~", Warn
}

// subject names what a change is about: the node, and what tells it from others there.
func subject(r fleet.Ref, o Options) string {
	id := r.ID
	if r.Kind == fleet.KindRecord && o.Format != FormatWide {
		id = shortAddress(id)
	}
	if r.Name != "" {
		id += " at " + r.Name
	}
	switch {
	case r.Node == "" && id == "" && r.Kind == fleet.KindFleet:
		return "the fleet"
	case r.Node == "":
		return Safe(id)
	case id == "":
		return Safe(r.Node)
	}
	return Safe(r.Node) + "  " + Safe(id)
}

// shortAddress is a record's value without its prefix and with a short peer ID.
func shortAddress(value string) string {
	value = strings.TrimPrefix(value, "dnsaddr=")
	head, peer, found := strings.Cut(value, "/p2p/")
	if !found || strings.Contains(peer, "/") {
		return value
	}
	return head + "/p2p/" + PeerID(peer).Short()
}

// longest is how much of one field's value the plan shows.
const longest = 40

func fields(all []fleet.Field) string {
	var parts []string
	for _, f := range all {
		from, to := SafeUpTo(f.From, longest), SafeUpTo(f.To, longest)
		switch {
		case from == "":
			parts = append(parts, Safe(f.Name)+" "+to)
		case to == "":
			parts = append(parts, Safe(f.Name)+" "+from)
		default:
			parts = append(parts, Safe(f.Name)+" "+from+" → "+to)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "  (" + strings.Join(parts, ", ") + ")"
}

func (t *planText) deferred(all []fleet.Deferral) {
	if len(all) == 0 {
		return
	}
	t.b.WriteString("\n")
	t.line(0, "later", Plain)
	group := ""
	for _, d := range all {
		if g := fmt.Sprintf("%s, which waits for %s", Safe(string(d.Action)), Safe(d.Waiting)); g != group {
			group = g
			t.line(2, g, Plain)
		}
		t.line(4, "… "+subject(d.Ref, t.o), Faint)
	}
}

func (t *planText) kept(all []fleet.Kept) {
	if len(all) == 0 {
		return
	}
	t.b.WriteString("\n")
	t.line(0, "left alone", Plain)
	group := ""
	for _, k := range all {
		if g := Safe(k.Reason); g != group {
			group = g
			t.line(2, g, Plain)
		}
		if k.Problem {
			t.line(4, "! "+subject(k.Ref, t.o), Warn)
		} else {
			t.line(4, "= "+subject(k.Ref, t.o), Faint)
		}
	}
}

func (t *planText) effect(e Effect) {
	if !e.Known && len(e.Appear)+len(e.Vanish)+len(e.Empty) == 0 && e.Bill.Currency == "" {
		return
	}
	t.b.WriteString("\n")
	t.bill(e.Bill)
	if e.Known {
		t.line(0, fmt.Sprintf("relays that clients can use: %d now, %d after", e.Before, e.After), Plain)
	}
	t.identities("peer IDs that appear:", "+", Good, e.Appear)
	t.identities("peer IDs that vanish:", "-", Bad, e.Vanish)
	if len(e.Empty) > 0 {
		t.line(0, fmt.Sprintf("names that will be empty: %s: clients that were given one find no relay there", Safe(strings.Join(e.Empty, ", "))), Warn)
	}
}

// bill writes what the fleet costs, and what more while old and new are both there.
func (t *planText) bill(b fleet.Bill) {
	if b.Currency == "" {
		return
	}
	unit := Safe(b.Currency)
	meanwhile := ""
	if b.During != b.Before && b.During != b.After {
		meanwhile = b.During.In(unit) + " meanwhile, "
	}
	t.line(0, fmt.Sprintf("price per month: %s now, %s%s after", b.Before.In(unit), meanwhile, b.After.In(unit)), Plain)
}

func (t *planText) identities(title, mark string, tone Tone, all []Identity) {
	if len(all) == 0 {
		return
	}
	t.line(0, title, Plain)
	for _, id := range all {
		peer := "a new one, made on the box"
		if id.PeerID != "" {
			peer = PeerID(id.PeerID).Short()
			if t.o.Format == FormatWide {
				peer = Safe(id.PeerID)
			}
		}
		t.line(2, mark+" "+Safe(id.Node)+"  "+peer, tone)
	}
}
