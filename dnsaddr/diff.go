package dnsaddr

import (
	"cmp"
	"slices"
)

// Diff is what turns have into want, within the records that fleet owns. Records are
// the same when their names and values are. What is wanted and not there is added; what is there
// under another TTL or comment, or in several strings, is updated; what is there and not
// wanted, or there twice, is removed. A record that fleet does not own appears in no change, and a value
// that somebody else publishes already is not published once more.
//
// Diff is pure. Each list is in the order of [Record.Compare], whatever the order of the
// arguments, and all are empty when have is in sync.
func Diff(fleet string, have, want []Record) Changes {
	owned, foreign := split(fleet, have)
	var c Changes
	wanted := make(map[place]bool, len(want))
	for _, w := range want {
		if wanted[w.place()] {
			continue
		}
		wanted[w.place()] = true
		same := owned[w.place()]
		if len(same) == 0 {
			if !foreign[w.place()] {
				c.Add = append(c.Add, Record{Name: w.Name, Value: w.Value, TTL: w.TTL, Comment: w.Comment})
			}
			continue
		}
		keep, rest := choose(same, w)
		if drift(keep, w) > 0 {
			c.Update = append(c.Update, Record{ID: keep.ID, Name: keep.Name, Value: keep.Value, TTL: w.TTL, Comment: w.Comment})
		}
		c.Remove = append(c.Remove, rest...)
	}
	for at, same := range owned {
		if !wanted[at] {
			c.Remove = append(c.Remove, same...)
		}
	}
	slices.SortFunc(c.Add, Record.Compare)
	slices.SortFunc(c.Update, Record.Compare)
	slices.SortFunc(c.Remove, Record.Compare)
	return c
}

// place is what one record says: a value at a name.
type place struct{ name, value string }

func (r Record) place() place { return place{r.Name, r.Value} }

// split sorts records into those of the fleet, by place, and the places of others.
func split(fleet string, have []Record) (owned map[place][]Record, foreign map[place]bool) {
	owned, foreign = make(map[place][]Record), make(map[place]bool)
	for _, r := range have {
		if _, ok := r.OwnedBy(fleet); ok {
			owned[r.place()] = append(owned[r.place()], r)
		} else {
			foreign[r.place()] = true
		}
	}
	return owned, foreign
}

// choose keeps of several records that say the same the one that needs the least change.
func choose(same []Record, w Record) (keep Record, rest []Record) {
	same = slices.SortedFunc(slices.Values(same), func(a, b Record) int {
		return cmp.Or(cmp.Compare(drift(a, w), drift(b, w)), a.Compare(b))
	})
	return same[0], same[1:]
}

// drift is how much of a record an update would change, 0 if nothing.
func drift(r, w Record) int {
	n := 0
	if r.Split {
		n += 4
	}
	if r.Comment != w.Comment {
		n += 2
	}
	if r.TTL != w.TTL {
		n++
	}
	return n
}

// Compare orders records by name, shorter ones first so that the entry name leads, then
// by value, and then by ID.
func (r Record) Compare(s Record) int {
	return cmp.Or(cmp.Compare(len(r.Name), len(s.Name)), cmp.Compare(r.Name, s.Name), cmp.Compare(r.Value, s.Value), cmp.Compare(r.ID, s.ID), cmp.Compare(r.Comment, s.Comment), cmp.Compare(r.TTL, s.TTL))
}
