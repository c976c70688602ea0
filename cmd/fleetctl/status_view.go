package main

import (
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// problem is the error of a status that is not all well: exit 3.
func (v statusView) problem() error {
	bad := len(v.Errors) > 0
	for _, r := range v.Relays {
		bad = bad || r.State == "unreadable" || r.State == "unknown"
	}
	if bad {
		return silently(exitPartial)
	}
	return nil
}

func (v statusView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{
			{Name: "node"}, {Name: "state"}, {Name: "published"}, {Name: "verified"}, {Name: "peer id"},
			{Name: "address"}, {Name: "version", Show: render.WideOnly}, {Name: "pid", Show: render.WideOnly},
			{Name: "reservations", Show: render.WideOnly}, {Name: "machine", Show: render.WideOnly}, {Name: "reason", Show: render.CSVOnly}, // for people it stands below
		},
		Empty: "no relays",
	}
	for _, r := range v.Relays {
		var pid any
		if r.PID != 0 {
			pid = r.PID
		}
		t.Rows = append(t.Rows, []any{
			r.Node, toned(r.State), r.Published, r.Verified, render.PeerID(r.PeerID), first(r.Addresses), r.Version, pid, r.Reservations, r.Machine, r.Reason,
		})
		for _, w := range r.Warnings {
			t.Notes = append(t.Notes, r.Node+": "+w)
		}
		if r.Reason != "" && r.State != string(fleet.Serving) {
			t.Notes = append(t.Notes, r.Node+": "+r.Reason)
		}
	}
	for _, o := range v.Orphans {
		t.Notes = append(t.Notes, o.text())
	}
	for _, e := range v.Errors {
		t.Notes = append(t.Notes, "not read: "+e)
	}
	if !v.Zone.Serving && v.Zone.Reason != "" && v.Zone.Records > 0 {
		t.Notes = append(t.Notes, "the zone is not served: "+v.Zone.Reason)
	}
	return t
}

// text names what it is, why, and what resolves it.
func (o orphan) text() string {
	what := "orphan " + o.Kind
	if o.Notice {
		what = o.Kind
	}
	if o.Node != "" && o.Kind == fleet.KindMachine {
		what += " of " + o.Node
	}
	return what + " " + o.ID + ": " + o.Reason + "; resolve it with '" + o.Resolve + "'"
}

// toned gives a state the colour that it deserves.
func toned(state string) render.Toned {
	switch state {
	case string(fleet.Serving), string(fleet.Full), "ready":
		return render.Toned{Value: state, Tone: render.Good}
	case "down", "missing", "unreadable", string(fleet.Unreachable), string(fleet.WrongPeer):
		return render.Toned{Value: state, Tone: render.Bad}
	}
	return render.Toned{Value: state, Tone: render.Warn}
}

// first is the first of a list for a table, unknown if there is none.
func first(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}
