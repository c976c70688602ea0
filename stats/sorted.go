package stats

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// SightReader gives peers in the order of their keys, each once: it fills in the next, or
// returns [io.EOF] after the last.
type SightReader interface {
	ReadSight(s *Sight) error
}

// Drain gives each peer in the order of the keys, and leaves the set empty, with the
// memory that it has, for what follows. Counts go on: what was drained and what comes can
// be put together by [MergeSights]. After an error of each, which is returned, the set is
// empty too.
func (p *Peers) Drain(each func(*Sight) error) error {
	var runs []SightReader
	for i := 0; i*pieceSights < p.size; i++ {
		block := p.sights[i][:min(pieceSights, p.size-i*pieceSights)]
		slices.SortFunc(block, func(a, b Sight) int { return bytes.Compare(a.Key[:], b.Key[:]) })
		runs = append(runs, &sightList{block})
	}
	p.clear()
	p.size = 0
	return MergeSights(runs, each, func(uint32) {})
}

// sightList reads from memory.
type sightList struct{ rest []Sight }

func (l *sightList) ReadSight(s *Sight) error {
	if len(l.rest) == 0 {
		return io.EOF
	}
	*s, l.rest = l.rest[0], l.rest[1:]
	return nil
}

// MergeSights gives each peer of several runs once, in the order of the keys; runs stand
// in the order in which they were counted. A sight is valid until the next. A census whose end is in one run and whose
// begin in an earlier one counted a peer of both twice: twice is told its number. Any
// error of a reader, other than [io.EOF], and any of each is returned.
func MergeSights(runs []SightReader, each func(*Sight) error, twice func(census uint32)) error {
	heads := make(heads, 0, len(runs))
	for i, r := range runs {
		h := &head{run: i, r: r}
		switch err := h.next(); {
		case errors.Is(err, io.EOF):
		case err != nil:
			return err
		default:
			heads = append(heads, h)
		}
	}
	slices.SortFunc(heads, (*head).compare) // a sorted list is a heap
	var s Sight
	for len(heads) > 0 {
		s = heads[0].sight
		if err := heads.advance(); err != nil {
			return err
		}
		for len(heads) > 0 && heads[0].sight.Key == s.Key {
			if s.To == heads[0].sight.From {
				twice(s.To)
			}
			s.add(&heads[0].sight)
			if err := heads.advance(); err != nil {
				return err
			}
		}
		if err := each(&s); err != nil {
			return err
		}
	}
	return nil
}

// head is the next peer of a run.
type head struct {
	prefix uint64 // of the key, to compare at once
	sight  Sight
	run    int
	r      SightReader
}

func (h *head) next() error {
	err := h.r.ReadSight(&h.sight)
	h.prefix = binary.BigEndian.Uint64(h.sight.Key[:])
	return err
}

// compare is the order of the keys, and of the runs for equal ones.
func (h *head) compare(other *head) int {
	if h.prefix != other.prefix {
		return cmp.Compare(h.prefix, other.prefix)
	}
	return cmp.Or(bytes.Compare(h.sight.Key[:], other.sight.Key[:]), cmp.Compare(h.run, other.run))
}

// heads are a heap: the smallest is first.
type heads []*head

// advance goes on in the run of the first.
func (h *heads) advance() error {
	list := *h
	switch err := list[0].next(); {
	case errors.Is(err, io.EOF):
		list[0] = list[len(list)-1]
		list = list[:len(list)-1]
		*h = list
	case err != nil:
		return err
	}
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(list); child++ {
			if list[child].compare(list[least]) < 0 {
				least = child
			}
		}
		if least == i {
			return nil
		}
		list[i], list[least] = list[least], list[i]
		i = least
	}
}
