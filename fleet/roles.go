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
	holder   map[string]Machine // by node
	marking  []marking          // machines that hold no slot and are not marked yet
	leaving  []Machine          // marked, or about to be, sorted by ID
	idle     []Machine          // hold no slot, and must not be sent away
	owned    []dnsaddr.Record   // records of this fleet, sorted as the zone lists them
	foreign  []dnsaddr.Record
	peerNode map[string]Machine // machines whose peer ID is known, by peer ID

	pub    *publisher
	parsed map[string]dnsaddr.Addr // by record value, of records and probes; the zero Addr is no address
	wanted map[string][]target     // by machine ID: what belongs into DNS
	broken map[string]error        // by machine ID: why nothing does
	spots  map[spot]bool           // of every record at our names
	ours   map[spot]dnsaddr.Record // of owned
	theirs map[spot]dnsaddr.Record // of foreign

	recorded map[string][]dnsaddr.Addr   // by node: what our records say
	byNode   map[string][]dnsaddr.Record // our records by the node that they name
	byPeer   map[string][]dnsaddr.Record // and by the peer ID in them
	sees     bool                        // something was verified: this vantage is not cut off
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
	r := &roles{
		spec: s, state: st, want: in,
		slots:    s.Slots(),
		holder:   make(map[string]Machine),
		peerNode: make(map[string]Machine),
		pub:      newPublisher(s),
		parsed:   make(map[string]dnsaddr.Addr, len(st.Records.Value)),
		wanted:   make(map[string][]target, len(st.Machines.Value)),
		broken:   make(map[string]error),
		spots:    make(map[spot]bool, len(st.Records.Value)),
		ours:     make(map[spot]dnsaddr.Record, len(st.Records.Value)),
		theirs:   make(map[spot]dnsaddr.Record),
		recorded: make(map[string][]dnsaddr.Addr),
		byNode:   make(map[string][]dnsaddr.Record),
		byPeer:   make(map[string][]dnsaddr.Record),
	}
	r.pub.parse, r.sees = r.parse, st.Sees()
	for a := range st.Probes {
		r.parsed[a.Value()] = a
	}
	r.sortRecords()
	for _, m := range st.Machines.Value {
		if p := r.peer(m); p != "" {
			r.peerNode[p] = m
			targets, err := r.pub.targets(m, p)
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

// refuseTwins publishes no relay whose peer ID another slot's relay has as well: clients
// could not tell them apart.
func (r *roles) refuseTwins() {
	first := make(map[string]Machine)
	for _, s := range r.slots {
		m, held := r.holder[s.Node]
		peer := r.peer(m)
		if !held || peer == "" {
			continue
		}
		other, twice := first[peer]
		if !twice {
			first[peer] = m
			continue
		}
		for _, twin := range []Machine{other, m} {
			r.broken[twin.ID] = fmt.Errorf("%s: %s and %s have one peer ID, %s: nothing of them is published", twin.Node, other.Node, m.Node, peer)
			delete(r.wanted, twin.ID)
		}
	}
}

// parse is dnsaddr.ParseAddr, but for an address that stands in a record or was probed: that
// is parsed already.
func (r *roles) parse(text string) (dnsaddr.Addr, error) {
	if a, ok := r.parsed["dnsaddr="+text]; ok {
		return a, nil
	}
	return dnsaddr.ParseAddr(text)
}

// fill gives each slot to one machine and sends the others away.
func (r *roles) fill() {
	wanted := make(map[string]bool, len(r.slots))
	for _, s := range r.slots {
		wanted[s.Node] = true
	}
	rivals := make(map[string][]Machine)
	for _, m := range r.state.Machines.Value {
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
			rivals[m.Node] = append(rivals[m.Node], m)
		}
	}
	for _, s := range r.slots {
		ms := rivals[s.Node]
		if len(ms) == 0 {
			continue
		}
		slices.SortFunc(ms, func(a, b Machine) int {
			return cmp.Or(-cmp.Compare(r.standing(a), r.standing(b)), cmp.Compare(a.Op, b.Op), cmp.Compare(a.ID, b.ID))
		})
		r.holder[s.Node] = ms[0]
		for _, m := range ms[1:] {
			if m.untouchable() {
				r.idle = append(r.idle, m)
				continue
			}
			r.send(m, "second machine for the slot; "+ms[0].ID+" keeps it")
		}
	}
	slices.SortFunc(r.leaving, func(a, b Machine) int { return cmp.Compare(a.ID, b.ID) })
}

// standing ranks the machines of one slot: a published relay stays, and one that cannot
// be read might be published.
func (r *roles) standing(m Machine) int {
	switch {
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

// servesAt reports whether some address of m is published at a name and verified.
func (r *roles) servesAt(m Machine, name string) bool {
	return slices.ContainsFunc(r.wanted[m.ID], func(t target) bool {
		return t.name == name && r.spots[t.spot()] && r.verified(t.addr)
	})
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
// whose peer ID is not known just now: by its node, or by the address.
func (r *roles) mightBeOf(rec dnsaddr.Record) bool {
	if _, known := r.peerNode[r.peerOf(rec)]; known {
		return false
	}
	a := r.addr(rec)
	for node, m := range r.holder {
		if r.peer(m) == "" && (node == nodeOf(rec) || slices.Contains(Announce(r.spec, m), a.Dial())) {
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
