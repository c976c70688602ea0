package rfc2136

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// maxName is the longest name of the DNS in text form, in bytes, without the final dot.
const maxName = 253

// plan is what an Apply makes of the zone: first everything that is added or updated,
// then everything that is removed.
type plan struct{ adding, removing stage }

// stage is what is done to names, at once for each of them.
type stage map[string]edit

// edit is what is done to a name and to its companion.
type edit struct {
	values, marks change
	ttl           uint32 // of the name's records from now on, in seconds; 0: it stays
}

// change is what a set gets and loses.
type change struct{ add, remove []rdata }

// newPlan decides what changes make of v. newID gives each record that is added a handle
// that no record ever had. A record to be updated that is gone is [dnsaddr.ErrNoRecord],
// one to be updated or removed that somebody edited is [dnsaddr.ErrEdited].
func newPlan(v view, c dnsaddr.Changes, newID func() string) (plan, error) {
	for _, r := range c.Add {
		if err := v.places[nameOf(v.entry, r)].closed(); err != nil {
			return plan{}, err
		}
		if name := companion(nameOf(v.entry, r)); len(name) > maxName {
			return plan{}, fmt.Errorf("%w: %s would be %d bytes long, at most %d are accepted", dnsaddr.ErrBadRecord, name, len(name), maxName)
		}
	}
	added := v.clone()
	added.noteLists(slices.Collect(maps.Keys(v.places))) // somebody may have removed a note
	ttls := make(map[string]time.Duration)
	for _, r := range c.Add {
		if name := nameOf(v.entry, r); added.add(name, r, newID) {
			lower(ttls, name, r.TTL)
		}
	}
	known := v.byID()
	for _, r := range c.Update {
		at, there, err := unedited(known[r.ID], func(now dnsaddr.Record) error { return dnsaddr.CheckUpdate(now, r) })
		switch {
		case err != nil:
			return plan{}, fmt.Errorf("update %s: %w", r.Value, again(err))
		case !there:
			return plan{}, fmt.Errorf("update %s: %w", r.Value, dnsaddr.ErrNoRecord)
		}
		if err := v.places[at.name].closed(); err != nil {
			return plan{}, err // a server drops the mark without a word, and takes the TTL
		}
		added.update(at, r.Comment)
		lower(ttls, at.name, r.TTL)
	}
	for name, ttl := range ttls {
		p := added.places[name]
		p.values.ttl = uint32(ttl / time.Second) //nolint:gosec // G115: at most a day
		added.places[name] = p
	}
	removed := added.clone()
	known = added.byID()
	for _, r := range c.Remove {
		at, there, err := unedited(known[r.ID], func(now dnsaddr.Record) error { return dnsaddr.CheckRemoval(now, r) })
		if err != nil {
			return plan{}, fmt.Errorf("remove %s: %w", r.Value, again(err))
		}
		if there {
			removed.remove(at)
		}
	}
	p := plan{adding: stageOf(v, added), removing: stageOf(added, removed)}
	removed.tidy(p, fleetsOf(c))
	p.removing = stageOf(added, removed)
	return p, nil
}

func nameOf(entry string, r dnsaddr.Record) string { return strings.ToLower(cmp.Or(r.Name, entry)) }

func lower(ttls map[string]time.Duration, name string, ttl time.Duration) {
	if old, ok := ttls[name]; !ok || ttl < old {
		ttls[name] = ttl
	}
}

// add puts a record at a name, and reports false if it is there already.
func (v view) add(name string, r dnsaddr.Record, newID func() string) bool {
	p := v.places[name]
	data, sum := textRdata(r.Value), sumOf(r.Value)
	exists, split, marks := p.values.data[data], p.hasSplit(r.Value), p.marksOf(sum)
	if slices.ContainsFunc(marks, func(m mark) bool { return (exists || split) && m.comment == r.Comment }) {
		return false
	}
	switch {
	case exists && len(marks) == 0 && r.Comment == "":
		return false
	case exists && len(marks) == 0:
		// Somebody's without a mark: with one it outlives ours.
		p.marks.add(mark{id: bareID(name, data), sum: sum}.rdata())
	case !exists && !split:
		for _, m := range marks { // of a value that somebody removed
			delete(p.marks.data, m.rdata())
		}
	}
	p.values.add(data)
	if exists || r.Comment != "" {
		p.marks.add(mark{id: newID(), sum: sum, comment: r.Comment}.rdata())
	}
	v.places[name] = p
	return true
}

// hasSplit reports whether a value is there in several strings.
func (p place) hasSplit(value string) bool {
	for d := range p.values.data {
		if !d.single() && d.value() == value {
			return true
		}
	}
	return false
}

// marksOf are the marks of the value with that sum.
func (p place) marksOf(sum string) []mark {
	var out []mark
	for text := range p.marks.data {
		if !strings.Contains(string(text), sum) {
			continue // without a closer look, of which there would be very many
		}
		if m, ok := parseMark(text); ok && m.sum == sum {
			out = append(out, m)
		}
	}
	return out
}

// update gives a record another comment, and a mark if it had none, and makes one string of
// its text.
func (v view) update(at located, comment string) {
	p := v.places[at.name]
	if at.record.Split {
		delete(p.values.data, at.data)
		p.values.add(textRdata(at.record.Value))
	}
	if at.record.Comment == comment && (at.mark.id != "" || !at.record.Split) {
		v.places[at.name] = p
		return
	}
	if at.mark.id != "" {
		delete(p.marks.data, at.mark.rdata())
	}
	p.marks.add(mark{id: at.record.ID, sum: sumOf(at.record.Value), comment: comment}.rdata())
	v.places[at.name] = p
}

// remove takes a record away, and the value with the last of its marks.
func (v view) remove(at located) {
	p := v.places[at.name]
	if at.mark.id != "" {
		delete(p.marks.data, at.mark.rdata())
		if len(p.marksOf(at.mark.sum)) > 0 {
			return
		}
	}
	delete(p.values.data, at.data)
}

// tidy takes the marks of values that somebody else removed from the names of a plan, as
// far as they are of these fleets.
func (v view) tidy(p plan, fleets map[string]bool) {
	for _, s := range []stage{p.adding, p.removing} {
		for name := range s {
			place := v.places[name]
			for _, m := range place.orphans() {
				if fleets[m.fleet()] {
					delete(place.marks.data, m.rdata())
				}
			}
		}
	}
}

// fleetsOf are the fleets that changes are made for.
func fleetsOf(c dnsaddr.Changes) map[string]bool {
	out := make(map[string]bool)
	for _, r := range slices.Concat(c.Add, c.Update, c.Remove) {
		if fleet := fleetOf(r.Comment); fleet != "" {
			out[fleet] = true
		}
	}
	return out
}

// stageOf is what turns one view into another.
func stageOf(from, to view) stage {
	out := make(stage)
	for name, after := range to.places {
		before := from.places[name]
		e := edit{
			values: change{after.values.without(before.values), before.values.without(after.values)},
			marks:  change{after.marks.without(before.marks), before.marks.without(after.marks)},
		}
		if len(after.values.data) > 0 && after.values.ttl != before.values.ttl {
			e.ttl = after.values.ttl
		}
		if e.ttl != 0 || len(e.values.add)+len(e.values.remove)+len(e.marks.add)+len(e.marks.remove) > 0 {
			out[name] = e
		}
	}
	return out
}

// done is a place after an edit.
func (p place) done(e edit) place {
	p = p.clone()
	p.values.make(e.values)
	p.marks.make(e.marks)
	if e.ttl != 0 {
		p.values.ttl = e.ttl
	}
	return p
}

func (s *set) make(c change) {
	for _, d := range c.remove {
		delete(s.data, d)
	}
	for _, d := range c.add {
		s.add(d)
	}
}

// names of a stage, the entry name first.
func (s stage) names() []string {
	return slices.SortedFunc(maps.Keys(s), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
}
