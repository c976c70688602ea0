package main

import (
	"cmp"
	"slices"

	"github.com/relayfleet/fleetctl/fleet"
)

// orphan is something that belongs to no slot, is there twice, or ought to be gone, with
// the command that resolves it.
type orphan struct {
	Kind    string `json:"kind"` // "machine" or "record"
	ID      string `json:"id"`
	Node    string `json:"node"`
	Reason  string `json:"reason"`
	Resolve string `json:"resolve"`
	Notice  bool   `json:"notice"` // nothing is wrong: it waits for a decision
}

// lookFirst is the command for what may look like an orphan and be none. It changes nothing.
const lookFirst = "fleetctl doctor"

// orphans finds what belongs to nobody, sorted by kind and ID. What could not be read is
// not judged. Which of two machines keeps a slot is asked of the plan that 'up' makes.
func orphans(s fleet.Spec, st fleet.State) []orphan {
	found := []orphan{}
	if !st.Machines.OK() {
		return found
	}
	leaving := make(map[string]string) // by machine ID: why 'up' sends it away
	for _, c := range fleet.Diff(s, st, fleet.Intent{}).Changes() {
		if c.Action == fleet.ActionMark {
			leaving[c.Ref.ID] = c.Reason
		}
	}
	for _, m := range st.Machines.Value {
		if o, ok := strayMachine(st, m, leaving[m.ID]); ok {
			found = append(found, o)
		}
	}
	found = append(found, strayRecords(s, st)...)
	slices.SortStableFunc(found, func(a, b orphan) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	return found
}

// strayMachine judges one machine. why is the reason for which 'up' sends it away, "" if it does not.
func strayMachine(st fleet.State, m fleet.Machine, why string) (orphan, bool) {
	o := orphan{Kind: fleet.KindMachine, ID: m.ID, Node: m.Node, Resolve: "fleetctl up"}
	switch {
	case m.Unmarked:
		o.Reason = "it has the name of one of ours and no marks: it may still get them, or nobody may know it"
		o.Resolve = "fleetctl adopt --id " + m.ID // which shows what it is first
		o.Reason += "; delete it at the provider if nobody wants it"
	case m.Phase == fleet.PhaseDoomed:
		o.Reason = "its end was begun and it is still alive: only its delete is left"
	case m.Phase != fleet.PhaseActive:
		return o, false
	case why != "":
		o.Reason = why
	case m.Adopted:
		o.Notice = true
		o.Reason = "adopted: it is watched and published, and nothing on it is changed; 'fleetctl release " + m.Node + "' gives it back"
		o.Resolve = "fleetctl adopt --take-over " + m.Node
	case unpublished(st, m):
		o.Reason = "its relay is ready and no record leads to it"
	default:
		return o, false
	}
	return o, true
}

// unpublished reports whether a relay is known to be ready and known to have no record.
func unpublished(st fleet.State, m fleet.Machine) bool {
	rel, read := st.Relays[m.ID]
	if !read || !rel.OK() || !rel.Value.Ready || rel.Value.PeerID == "" || !st.Records.OK() {
		return false
	}
	for _, rec := range st.Records.Value {
		if a, err := rec.Addr(); err == nil && a.PeerID() == rel.Value.PeerID {
			return false
		}
	}
	return true
}

// strayRecords finds our records behind which no machine of the fleet is. One of a node
// whose box cannot be read may be that box's.
func strayRecords(s fleet.Spec, st fleet.State) []orphan {
	peers, dark := make(map[string]bool), make(map[string]bool)
	for _, m := range st.Machines.Value {
		rel, read := st.Relays[m.ID]
		if read && rel.OK() && rel.Value.PeerID != "" {
			peers[rel.Value.PeerID] = true
			continue
		}
		dark[m.Node] = true
	}
	var found []orphan
	for _, rec := range st.Records.Value {
		node, ours := rec.OwnedBy(s.Name)
		if !ours {
			continue
		}
		addr, err := rec.Addr()
		if err == nil && (peers[addr.PeerID()] || dark[node]) {
			continue
		}
		o := orphan{Kind: fleet.KindRecord, ID: rec.Value, Node: node, Reason: "no machine of the fleet is behind it", Resolve: "fleetctl up"}
		if p := st.Probes[addr]; err == nil && p.OK() && p.Value.Verdict.Answers() {
			o.Reason += ", and yet its relay answers"
			o.Resolve = "fleetctl up --machine-gone " + node
			if len(st.Machines.Value) == 0 {
				o.Reason += ", and the provider lists no machine at all: a wrong token or account looks like this"
				o.Resolve = lookFirst
			}
		}
		found = append(found, o)
	}
	return found
}
