package main

import (
	"slices"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// effect reckons what a plan means for clients: relays before and after, and the peer
// IDs that they will see anew or no more.
func (s *session) effect(st fleet.State, p fleet.Plan) render.Effect {
	e := render.Effect{
		Before: fleet.VerifiedPublished(s.spec, st),
		Known:  st.Records.OK() && st.Machines.OK(),
		Empty:  fleet.Emptied(s.spec, st, p),
	}
	e.After = e.Before
	if q := st.Quote.Value; q.Currency != "" {
		e.Bill = fleet.BillOf(q, p)
	}
	count := s.tally(st)
	healed := make(map[string]bool)
	add := func(a fleet.Action, ref fleet.Ref) {
		switch a {
		case fleet.ActionPublish:
			count.publish(ref)
		case fleet.ActionWithdraw:
			count.withdraw(ref)
		case fleet.ActionDelete, fleet.ActionUninstall:
			if rel := st.Relays[ref.ID]; rel.OK() {
				count.end(render.Identity{Node: ref.Node, PeerID: rel.Value.PeerID})
			}
		case fleet.ActionStart, fleet.ActionConfigure:
			if !healed[ref.Node] && s.publishedInVain(st, ref.Node) {
				healed[ref.Node] = true
				e.After++
			}
		}
	}
	for _, c := range p.Changes() {
		if c.Action == fleet.ActionUpdate && count.adopt(st, c.Ref) {
			e.Before++
			e.After++
		}
	}
	for _, c := range p.Changes() {
		add(c.Action, c.Ref)
	}
	for _, d := range p.Deferred {
		if d.Soon { // what waits for something else does not come of this run
			add(d.Action, d.Ref)
		}
	}
	e.Appear, e.Vanish = count.appear, count.vanish
	e.After += count.gained
	return e
}

// tally counts the records of each peer ID, which may have several, while a plan is gone through.
type tally struct {
	records  map[string]int  // of ours, by peer ID
	verified map[string]bool // peer IDs that a probe found serving
	gained   int             // relays that clients can use, more than before
	appear   []render.Identity
	vanish   []render.Identity
}

// tally counts what is published now.
func (s *session) tally(st fleet.State) *tally {
	t := &tally{records: make(map[string]int), verified: make(map[string]bool)}
	for _, rec := range st.Records.Value {
		if _, ours := rec.OwnedBy(s.spec.Name); !ours {
			continue
		}
		if addr, err := rec.Addr(); err == nil {
			t.records[addr.PeerID()]++
			pr := st.Probes[addr]
			t.verified[addr.PeerID()] = t.verified[addr.PeerID()] || pr.OK() && pr.Value.Verdict.Verified()
		}
	}
	return t
}

// adopt counts a record that becomes ours, and reports whether clients could use its relay
// already, which nothing counted so far.
func (t *tally) adopt(st fleet.State, ref fleet.Ref) bool {
	addr, err := dnsaddr.ParseValue(ref.ID)
	if err != nil || t.records[addr.PeerID()] > 0 {
		return false
	}
	t.records[addr.PeerID()] = 1
	pr := st.Probes[addr]
	t.verified[addr.PeerID()] = pr.OK() && pr.Value.Verdict.Verified()
	return t.verified[addr.PeerID()]
}

func (t *tally) publish(ref fleet.Ref) {
	id := identityOf(ref)
	if id.PeerID != "" {
		if t.records[id.PeerID]++; t.records[id.PeerID] > 1 {
			return
		}
		t.verified[id.PeerID] = true // it will be, or it is not published
	}
	t.appear = append(t.appear, id)
	t.gained++
}

func (t *tally) withdraw(ref fleet.Ref) {
	id := identityOf(ref)
	if t.records[id.PeerID]--; t.records[id.PeerID] > 0 {
		return
	}
	t.vanish = append(t.vanish, id)
	if t.verified[id.PeerID] {
		t.gained--
	}
}

// end counts a relay whose machine goes. Its records may have gone before, with a run that
// was cut off.
func (t *tally) end(id render.Identity) {
	told := func(have render.Identity) bool { return have.PeerID == id.PeerID }
	if id.PeerID == "" || t.records[id.PeerID] > 0 || slices.ContainsFunc(t.vanish, told) || slices.ContainsFunc(t.appear, told) {
		return
	}
	t.vanish = append(t.vanish, id)
}

// identityOf is the peer ID that a record of a change names.
func identityOf(ref fleet.Ref) render.Identity {
	id := render.Identity{Node: ref.Node}
	if addr, err := dnsaddr.ParseValue(ref.ID); err == nil {
		id.PeerID = addr.PeerID()
	}
	return id
}

// publishedInVain reports whether a node has records, and no probe verified any of them.
func (s *session) publishedInVain(st fleet.State, node string) bool {
	published := false
	for _, rec := range st.Records.Value {
		of, ours := rec.OwnedBy(s.spec.Name)
		addr, err := rec.Addr()
		if !ours || err != nil || of != node {
			continue
		}
		if pr := st.Probes[addr]; pr.OK() && pr.Value.Verdict.Verified() {
			return false
		}
		published = true
	}
	return published
}
