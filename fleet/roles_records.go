package fleet

import (
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// sortRecords tells our records from those of others.
func (r *roles) sortRecords() {
	for _, rec := range r.state.Records.Value {
		at := r.spot(rec)
		if r.parsed[rec.Value].IsZero() {
			if a, err := rec.Addr(); err == nil {
				r.parsed[rec.Value] = a
			}
		}
		node, ok := rec.OwnedBy(r.spec.Name)
		if !ok || r.keeps(rec) {
			r.foreign = append(r.foreign, rec)
			r.theirs[at] = rec
			continue
		}
		r.owned = append(r.owned, rec)
		r.ours[at] = rec
		r.byNode[node] = append(r.byNode[node], rec)
		if a := r.addr(rec); !a.IsZero() {
			r.byPeer[a.PeerID()] = append(r.byPeer[a.PeerID()], rec)
		}
	}
}

// spot of a record. One without a name stands at the entry name.
func (r *roles) spot(rec dnsaddr.Record) spot { return r.spotAt(rec.Name, rec.Value) }

// spotOf is where the record of a change stands.
func (r *roles) spotOf(ref Ref) spot { return r.spotAt(ref.Name, ref.ID) }

func (r *roles) spotAt(name, value string) spot {
	if entry := r.entry(); name == "" || name == entry {
		return spot{entry, value}
	}
	return spot{strings.ToLower(name), value}
}

// entry is the name that clients are given.
func (r *roles) entry() string { return r.pub.layout.Entry() }

// ref names a record of a node. The entry name is left out: most fleets have no other.
func (r *roles) ref(node string, at spot) Ref {
	ref := Ref{Kind: KindRecord, Node: node, Name: at.name, ID: at.value}
	if at.name == r.entry() {
		ref.Name = ""
	}
	return ref
}

// recordRef names a record that is there.
func (r *roles) recordRef(node string, rec dnsaddr.Record) Ref { return r.ref(node, r.spot(rec)) }

// home is the node that a record of ours belongs to: that of the relay with its peer
// ID, where it is known, else the one that its comment names.
func (r *roles) home(rec dnsaddr.Record) string {
	if m, ok := r.peerNode[r.peerOf(rec)]; ok {
		return m.Node
	}
	return nodeOf(rec)
}

// nodeOf is the node that a record of ours names.
func nodeOf(rec dnsaddr.Record) string {
	o, _ := rec.Owner()
	return o.Relay
}

// addr is the address in a record, the zero Addr if it holds none.
func (r *roles) addr(rec dnsaddr.Record) dnsaddr.Addr { return r.parsed[rec.Value] }

// peerOf is the peer ID in a record, "" if it holds none.
func (r *roles) peerOf(rec dnsaddr.Record) string { return r.addr(rec).PeerID() }

// keeps reports whether the spec names the record as somebody else's.
func (r *roles) keeps(rec dnsaddr.Record) bool {
	a := r.addr(rec)
	return !a.IsZero() && slices.Contains(r.spec.DNS.Keep, a.String())
}

// wants reports whether a record holds what m has to publish where it stands, in whatever
// spelling.
func (r *roles) wants(m Machine, rec dnsaddr.Record) bool {
	name, a := r.spot(rec).name, r.addr(rec)
	return slices.ContainsFunc(r.wanted[m.ID], func(t target) bool { return t.name == name && t.addr == a })
}

// adoptable reports whether a record that is not marked as ours may become ours: it says
// what m, which holds a slot, has to publish there, and its comment names no fleet. A
// comment of somebody else is overwritten only if the operator asks for it.
func (r *roles) adoptable(rec dnsaddr.Record, m Machine) bool {
	switch {
	case r.keeps(rec), dnsaddr.Claimed(rec.Comment), !r.wants(m, rec):
		return false
	}
	return rec.Comment == "" || r.want.Adopt
}
