package dnsaddr

import (
	"cmp"
	"slices"
)

// Diff is what turns have into want, within the records that fleet owns. Records are
// the same when their values are. What is wanted and not there is added; what is there
// under another TTL or comment is updated; what is there and not wanted, or there
// twice, is removed. A record that fleet does not own appears in no change, and a value
// that somebody else publishes already is not published once more.
//
// Diff is pure. Each list is sorted by value and then by ID, whatever the order of the
// arguments, and all are empty when have is in sync.
func Diff(fleet string, have, want []Record) Changes {
	owned, foreign := split(fleet, have)
	var c Changes
	wanted := make(map[string]bool, len(want))
	for _, w := range want {
		if wanted[w.Value] {
			continue
		}
		wanted[w.Value] = true
		same := owned[w.Value]
		if len(same) == 0 {
			if !foreign[w.Value] {
				c.Add = append(c.Add, Record{Value: w.Value, TTL: w.TTL, Comment: w.Comment})
			}
			continue
		}
		keep, rest := choose(same, w)
		if keep.TTL != w.TTL || keep.Comment != w.Comment {
			c.Update = append(c.Update, Record{ID: keep.ID, Value: keep.Value, TTL: w.TTL, Comment: w.Comment})
		}
		c.Remove = append(c.Remove, rest...)
	}
	for value, same := range owned {
		if !wanted[value] {
			c.Remove = append(c.Remove, same...)
		}
	}
	slices.SortFunc(c.Add, Record.Compare)
	slices.SortFunc(c.Update, Record.Compare)
	slices.SortFunc(c.Remove, Record.Compare)
	return c
}

// split sorts records into those of the fleet, by value, and the values of others.
func split(fleet string, have []Record) (owned map[string][]Record, foreign map[string]bool) {
	owned, foreign = make(map[string][]Record), make(map[string]bool)
	for _, r := range have {
		if o, ok := r.Owner(); ok && o.Fleet == fleet {
			owned[r.Value] = append(owned[r.Value], r)
		} else {
			foreign[r.Value] = true
		}
	}
	return owned, foreign
}

// choose keeps of several records with one value the one that needs the least change.
func choose(same []Record, w Record) (keep Record, rest []Record) {
	same = slices.SortedFunc(slices.Values(same), func(a, b Record) int {
		return cmp.Or(cmp.Compare(drift(a, w), drift(b, w)), a.Compare(b))
	})
	return same[0], same[1:]
}

func drift(r, w Record) int {
	n := 0
	if r.Comment != w.Comment {
		n += 2
	}
	if r.TTL != w.TTL {
		n++
	}
	return n
}

// Compare orders records by value, and then by ID.
func (r Record) Compare(s Record) int {
	return cmp.Or(cmp.Compare(r.Value, s.Value), cmp.Compare(r.ID, s.ID), cmp.Compare(r.Comment, s.Comment), cmp.Compare(r.TTL, s.TTL))
}
