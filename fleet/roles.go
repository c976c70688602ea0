package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// roles sorts a state by what each part is to the spec: who holds a slot, who leaves,
// which records are ours. It decides nothing about what to do.
type roles struct {
	spec  Spec
	state State
	want  Intent

	slots    []Slot
	holder   map[string]*Machine // by node; see held
	marking  []marking           // machines that hold no slot and are not marked yet
	leaving  []Machine           // marked, or about to be, sorted by ID
	idle     []Machine           // hold no slot, and must not be sent away
	owned    []dnsaddr.Record    // records of this fleet, sorted as the zone lists them
	foreign  []dnsaddr.Record
	peerNode map[string]*Machine // machines whose peer ID is known, by peer ID

	pub    *publisher
	parsed map[string]dnsaddr.Addr // by record value, of records and probes; the zero Addr is no address
	wanted map[string][]target     // by machine ID: what belongs into DNS
	broken map[string]error        // by machine ID: why nothing does
	ours   map[spot]dnsaddr.Record // of owned
	theirs map[spot]dnsaddr.Record // of foreign

	byNode map[string][]dnsaddr.Record // our records by the node that they name
	byPeer map[string][]dnsaddr.Record // and by the peer ID in them
	sees   bool                        // something was verified: this vantage is not cut off
}

// untouchable reports whether nothing may be done to a machine: it is not shown to be
// ours, or was adopted and not taken over.
func (m Machine) untouchable() bool { return m.Unmarked || m.Adopted || m.Problem != "" }

// whyUntouchable says so in words, for one of which it is true.
func (m Machine) whyUntouchable() string {
	switch {
	case m.Problem != "":
		return m.Problem
	case m.Unmarked:
		return "it has the name of one of ours and no marks"
	}
	return "it was adopted and not taken over"
}

// marking is a machine that is to be marked outgoing, and why.
type marking struct {
	machine Machine
	reason  string
}

// assign finds the role of everything in st.
func assign(s Spec, st State, in Intent) *roles {
	slots, machines, records := s.Slots(), len(st.Machines.Value), len(st.Records.Value)
	r := &roles{
		spec: s, state: st, want: in,
		slots:    slots,
		holder:   make(map[string]*Machine, len(slots)),
		peerNode: make(map[string]*Machine, machines),
		pub:      publisherOf(s, slots),
		parsed:   make(map[string]dnsaddr.Addr, max(records, len(st.Probes))),
		wanted:   make(map[string][]target, machines),
		broken:   make(map[string]error),
		owned:    make([]dnsaddr.Record, 0, records),
		ours:     make(map[spot]dnsaddr.Record, records),
		theirs:   make(map[spot]dnsaddr.Record),
		byNode:   make(map[string][]dnsaddr.Record, machines),
		byPeer:   make(map[string][]dnsaddr.Record, machines),
	}
	r.pub.parse, r.sees = r.parse, st.Sees()
	for a := range st.Probes {
		r.parsed[a.Value()] = a
	}
	r.sortRecords()
	for i := range st.Machines.Value {
		m := &st.Machines.Value[i]
		if p := r.peer(*m); p != "" {
			r.peerNode[p] = m
			targets, err := r.pub.targets(*m, p)
			if err != nil {
				r.broken[m.ID] = err
			}
			r.wanted[m.ID] = targets
		}
	}
	r.fill()
	r.refuseTwins()
	return r
}

// held is the machine that holds a slot, and whether one does.
func (r *roles) held(node string) (Machine, bool) {
	if m := r.holder[node]; m != nil {
		return *m, true
	}
	return Machine{}, false
}

// refuseTwins publishes no relay whose peer ID another slot's relay has as well: clients
// could not tell them apart.
func (r *roles) refuseTwins() {
	first := make(map[string]string, len(r.slots)) // node by peer ID
	for _, s := range r.slots {
		m, held := r.held(s.Node)
		peer := r.peer(m)
		if !held || peer == "" {
			continue
		}
		node, twice := first[peer]
		if !twice {
			first[peer] = s.Node
			continue
		}
		other, _ := r.held(node)
		for _, twin := range []Machine{other, m} {
			r.broken[twin.ID] = WithHint(fmt.Errorf("%s and %s have one peer ID, %s: nothing of them is published", other.Node, m.Node, peer),
				"find out which of them was copied from the other, and give that one an identity of its own")
			delete(r.wanted, twin.ID)
		}
	}
}

// parse is dnsaddr.ParseValue, but for an address that stands in a record or was probed: that
// is parsed already.
func (r *roles) parse(value string) (dnsaddr.Addr, error) {
	if a, ok := r.parsed[value]; ok {
		return a, nil
	}
	return dnsaddr.ParseValue(value)
}

// fill gives each slot to one machine and sends the others away.
func (r *roles) fill() {
	wanted := make(map[string]bool, len(r.slots))
	for _, s := range r.slots {
		wanted[s.Node] = true
	}
	rivals := make(map[string][]*Machine, len(r.slots))
	for i := range r.state.Machines.Value {
		m := r.state.Machines.Value[i]
		switch {
		case r.want.Down:
			r.leaving = append(r.leaving, m)
		case m.Phase != PhaseActive && m.untouchable():
			r.idle = append(r.idle, m)
		case m.Phase != PhaseActive:
			r.leaving = append(r.leaving, m)
		case !wanted[m.Node] && m.untouchable():
			r.idle = append(r.idle, m)
		case slices.Contains(r.want.Replace, m.ID):
			r.send(m, "to be replaced")
		case !wanted[m.Node]:
			r.send(m, "the spec has no node "+m.Node)
		default:
			rivals[m.Node] = append(rivals[m.Node], &r.state.Machines.Value[i])
		}
	}
	for _, s := range r.slots {
		ms := rivals[s.Node]
		if len(ms) == 0 {
			continue
		}
		slices.SortFunc(ms, func(a, b *Machine) int {
			return cmp.Or(-cmp.Compare(r.standing(*a), r.standing(*b)), cmp.Compare(a.Op, b.Op), cmp.Compare(a.ID, b.ID))
		})
		r.holder[s.Node] = ms[0]
		for _, m := range ms[1:] {
			if m.untouchable() {
				r.idle = append(r.idle, *m)
				continue
			}
			r.send(*m, "second machine for the slot; "+ms[0].ID+" keeps it")
		}
	}
	slices.SortFunc(r.leaving, func(a, b Machine) int { return cmp.Compare(a.ID, b.ID) })
}

// standing ranks the machines of one slot: a published relay stays, and one that cannot
// be read might be published. One that is not shown to be ours comes after all that are: a
// name displaces no mark.
func (r *roles) standing(m Machine) int {
	switch {
	case m.Unmarked || m.Problem != "":
		return -1
	case r.published(m):
		return 2
	case !r.readable(m):
		return 1
	}
	return 0
}

func (r *roles) send(m Machine, reason string) {
	r.marking = append(r.marking, marking{m, reason})
	r.leaving = append(r.leaving, m)
}

// reading of a machine's relay, and whether there is one.
func (r *roles) reading(m Machine) (Relay, bool) {
	o, ok := r.state.Relays[m.ID]
	return o.Value, ok && o.OK()
}

// newborn reports whether a machine is known never to have become a relay.
func (r *roles) newborn(m Machine) bool {
	rel, ok := r.reading(m)
	return ok && !rel.Installed && rel.PeerID == ""
}

func (r *roles) readable(m Machine) bool {
	_, ok := r.reading(m)
	return ok
}

// peer is the peer ID of a machine's relay, "" while it is unknown.
func (r *roles) peer(m Machine) string {
	if rel, ok := r.reading(m); ok {
		return rel.PeerID
	}
	return ""
}

// published reports whether a record of ours carries the peer ID of m.
func (r *roles) published(m Machine) bool {
	return len(r.byPeer[r.peer(m)]) > 0
}

// verified reports whether a was probed as serving, recently enough.
func (r *roles) verified(a dnsaddr.Addr) bool { return verifiedAt(r.spec, r.state, a) }

// serves reports whether m is published and verified at every name where its node ought
// to be: clients of a predecessor can go there.
func (r *roles) serves(m Machine) bool {
	for _, name := range r.pub.layout.At(m.Node) {
		if !r.servesAt(m, name) {
			return false
		}
	}
	return len(r.wanted[m.ID]) > 0
}

// shutOut is a name where a node ought to be and that takes no record, "" if there is none.
// What is not published there does not come by waiting.
func (r *roles) shutOut(node string) string {
	for _, name := range r.pub.layout.At(node) {
		if r.state.Closed.Value[name] != nil {
			return name
		}
	}
	return ""
}

// servesAt reports whether some address of m is published at a name and verified.
func (r *roles) servesAt(m Machine, name string) bool {
	return slices.ContainsFunc(r.wanted[m.ID], func(t target) bool {
		return t.name == name && r.stands(t.spot) && r.verified(t.addr)
	})
}

// stands reports whether there is a record at a spot, ours or not.
func (r *roles) stands(at spot) bool {
	_, is := r.ours[at]
	if !is {
		_, is = r.theirs[at]
	}
	return is
}

// answers reports whether a relay lives at a record's address, and whether that is
// known. Silence says nothing as long as nothing at all was seen to serve from here and
// no other box was asked: then it may be our own network that is dead.
func (r *roles) answers(rec dnsaddr.Record) (lives, known bool) {
	a := r.addr(rec)
	if a.IsZero() {
		return false, true
	}
	p, ok := r.state.Probes[a]
	if !ok || !p.OK() {
		return false, false
	}
	return p.Value.Verdict.Answers(), !p.Value.Blind(r.sees)
}

// mightBeOf reports whether the record may belong to a machine that holds a slot and
// whose peer ID is not known just now: by its node, or by the address. One that never was a
// relay has none.
func (r *roles) mightBeOf(rec dnsaddr.Record) bool {
	if _, known := r.peerNode[r.peerOf(rec)]; known {
		return false
	}
	a := r.addr(rec)
	for node, m := range r.holder {
		if r.peer(*m) == "" && !r.newborn(*m) && (node == nodeOf(rec) || slices.Contains(Announce(r.spec, *m), a.Dial())) {
			return true
		}
	}
	return false
}

// verifiedAt reports whether a was probed as serving no longer ago than the spec allows.
func verifiedAt(s Spec, st State, a dnsaddr.Addr) bool {
	p, ok := st.Probes[a]
	return ok && p.OK() && p.Value.Verdict.Verified() && st.At.Sub(p.Value.At) <= s.Rollout.ProbeMaxAge
}
