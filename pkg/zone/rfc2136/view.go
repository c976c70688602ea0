package rfc2136

import (
	"cmp"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// view is what was read of a fleet's names.
type view struct {
	entry  string
	places map[string]place // by name, in lower case
}

// place is what stands at one name and at its companion.
type place struct{ values, marks set }

// closed is why no record can be added there, nil if one can.
func (p place) closed() error { return cmp.Or(p.values.closed, p.marks.closed) }

func (p place) clone() place { return place{p.values.clone(), p.marks.clone()} }

func (v view) clone() view {
	out := view{v.entry, make(map[string]place, len(v.places))}
	for name, p := range v.places {
		out.places[name] = p.clone()
	}
	return out
}

// item is one record, and what it is made of.
type item struct {
	record dnsaddr.Record
	data   rdata
	mark   mark // with the ID "" if the record has none
}

// items are the records at a name, sorted.
func (p place) items(name string) []item {
	var out []item
	by := make(map[string]rdata, len(p.values.data))
	for d := range p.values.data {
		if s := sumOf(d.value()); d.before(by[s]) {
			by[s] = d
		}
	}
	record := func(d rdata, id, comment string) dnsaddr.Record {
		return dnsaddr.Record{ID: id, Name: name, Value: d.value(), Split: d.split(), TTL: time.Duration(p.values.ttl) * time.Second, Comment: comment}
	}
	marked := make(map[rdata]bool)
	for text := range p.marks.data {
		m, ok := parseMark(text)
		if d, there := by[m.sum]; ok && there {
			marked[d] = true
			out = append(out, item{record(d, m.id, m.comment), d, m})
		}
	}
	for d := range p.values.data {
		if !marked[d] {
			out = append(out, item{record: record(d, bareID(name, d), ""), data: d})
		}
	}
	slices.SortFunc(out, func(a, b item) int { return a.record.Compare(b.record) })
	return out
}

// orphans are the marks of values that are gone.
func (p place) orphans() []mark {
	there := make(map[string]bool, len(p.values.data))
	for d := range p.values.data {
		there[sumOf(d.value())] = true
	}
	var out []mark
	for _, text := range p.marks.sorted() {
		if m, ok := parseMark(text); ok && !there[m.sum] {
			out = append(out, m)
		}
	}
	return out
}

// lists are the names of the lists that the entry name's companion has.
func (v view) lists() []string {
	var out []string
	for _, d := range v.places[v.entry].marks.sorted() {
		if label, ok := parseList(d); ok {
			if name, ok := listName(v.entry, label); ok {
				out = append(out, name)
			}
		}
	}
	return out
}

// records are those of the fleet, sorted.
func (v view) records() []dnsaddr.Record {
	out := []dnsaddr.Record{}
	for name, p := range v.places {
		for _, it := range p.items(name) {
			out = append(out, it.record)
		}
	}
	slices.SortFunc(out, dnsaddr.Record.Compare)
	return out
}

// located is a record and the name that it stands at.
type located struct {
	item
	name string
}

// byID finds records. Several have one ID only where somebody copied a companion's record.
func (v view) byID() map[string][]located {
	out := make(map[string][]located)
	for name, p := range v.places {
		for _, it := range p.items(name) {
			out[it.record.ID] = append(out[it.record.ID], located{it, name})
		}
	}
	return out
}

// unedited is the one of several records with an ID that a change was planned for: check
// says why one is not. There is none if there are no records, or with the error of one.
func unedited(all []located, check func(now dnsaddr.Record) error) (at located, there bool, err error) {
	for _, at := range all {
		if err = check(at.record); err == nil {
			return at, true, nil
		}
	}
	return located{}, false, err
}
