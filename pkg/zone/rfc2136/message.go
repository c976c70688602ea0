package rfc2136

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

const (
	// markTTL is that of companions, in seconds. Nobody keeps them: they are read at the
	// primary.
	markTTL = 300
	// fullMessage is the size in bytes from which on a further name goes into another
	// message. The bound of the DNS is 65,535.
	fullMessage = 48 << 10
)

// write is the change of one set by an UPDATE: what it must be before, whatever its TTL,
// and what it is after.
type write struct {
	owner         string
	before, after set
}

// update is one message. It changes the zone as a whole or not at all.
type update struct {
	names  []string // of the fleet, whose places change
	writes []write
	after  view // if nobody else writes
}

// updates makes messages of a stage. A list that gets its first mark, or loses its last,
// is noted in the entry name's companion by the same message.
func updates(v view, s stage) []update {
	var out []update
	var names []string
	size := 0
	flush := func() {
		u := newUpdate(v, s, names)
		out = append(out, u)
		v, names, size = u.after, nil, 0
	}
	for _, name := range s.names() {
		most := v.places[name].size(s[name])
		if len(names) > 0 && size+most > fullMessage {
			flush()
		}
		names, size = append(names, name), size+most
	}
	if len(names) > 0 {
		flush()
	}
	return out
}

// newUpdate changes some names of a stage.
func newUpdate(v view, s stage, names []string) update {
	u := update{names: names, after: v.clone()}
	for _, name := range names {
		u.after.places[name] = v.places[name].done(s[name])
	}
	u.after.noteLists(names)
	whole := make(map[string]bool)
	for _, name := range names {
		whole[name] = true
		u.writes = append(u.writes,
			write{name, v.places[name].values, u.after.places[name].values},
			marksOf(name, v.places[name].marks, u.after.places[name].marks))
	}
	before, after := v.places[v.entry].marks, u.after.places[v.entry].marks
	if !whole[v.entry] && !before.sameData(after) {
		u.names = append(u.names, v.entry)
		u.writes = append(u.writes, marksOf(v.entry, before, after))
	}
	return u
}

func marksOf(name string, before, after set) write {
	return write{companion(name), set{ttl: markTTL, data: before.data}, set{ttl: markTTL, data: after.data}}
}

// noteLists makes the entry name's companion list those of the names that have marks.
func (v view) noteLists(names []string) {
	entry := v.places[v.entry]
	for _, name := range names {
		if name == v.entry {
			continue
		}
		note := listRdata(listLabel(v.entry, name))
		if len(v.places[name].marks.data) > 0 {
			entry.marks.add(note)
		} else {
			delete(entry.marks.data, note)
		}
	}
	v.places[v.entry] = entry
}

// size is what an edit of a place takes in a message, in bytes: all that was there before,
// as a demand, and what changes.
func (p place) size(e edit) int {
	const around = 256 // the names, once, and a note of a list with its demand
	n := around + bytesOf(p.values.sorted(), p.marks.sorted(), e.values.add, e.values.remove, e.marks.add, e.marks.remove)
	if e.ttl != 0 {
		n += bytesOf(p.values.sorted(), p.values.sorted())
	}
	return n
}

func bytesOf(lists ...[]rdata) int {
	const around = 2 + 10 // pointer to the name; type, class, TTL, length
	n := 0
	for _, d := range slices.Concat(lists...) {
		n += around + len(d)
	}
	return n
}

// message is the update as it is sent to the primary of a zone, not signed yet. More than
// a message can hold is [dnsaddr.ErrFull].
func (u update) message(zone string) (*dns.Msg, error) {
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	m.Compress = true
	for _, w := range u.writes {
		m.Answer = append(m.Answer, w.demands()...)
		m.Ns = append(m.Ns, w.changes()...)
	}
	if n := m.Len(); n > dns.MaxMsgSize-512 { // room for the signature
		return nil, fmt.Errorf("%w: the records of %s take %d bytes, more than one message holds", dnsaddr.ErrFull, u.names[0], n)
	}
	return m, nil
}

// demands are the prerequisites: the set is what it was, to the last record.
func (w write) demands() []dns.RR {
	if len(w.before.data) == 0 {
		return []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(w.owner), Rrtype: dns.TypeTXT, Class: dns.ClassNONE}}}
	}
	var out []dns.RR
	for _, d := range w.before.sorted() {
		out = append(out, d.rr(w.owner, dns.ClassINET, 0))
	}
	return out
}

// changes are what turns before into after. Another TTL takes every record away and puts
// it there again, in the same message, so that nobody sees the set without it: Knot keeps
// the TTL of a record that is only added once more.
func (w write) changes() []dns.RR {
	if w.after.ttl != w.before.ttl {
		return append(w.deletions(w.before.sorted()), w.additions(w.after.sorted())...)
	}
	return append(w.additions(w.after.without(w.before)), w.deletions(w.before.without(w.after))...)
}

func (w write) additions(all []rdata) []dns.RR {
	var out []dns.RR
	for _, d := range all {
		out = append(out, d.rr(w.owner, dns.ClassINET, w.after.ttl))
	}
	return out
}

func (w write) deletions(all []rdata) []dns.RR {
	var out []dns.RR
	for _, d := range all {
		out = append(out, d.rr(w.owner, dns.ClassNONE, 0))
	}
	return out
}
