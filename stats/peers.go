package stats

import (
	"hash/maphash"
	"iter"
	"math"
)

// Sight is what the censuses that were read know of one peer, the least that counting
// needs.
type Sight struct {
	Key         [32]byte // see [Row.Key]
	First, Last uint32   // UNIX seconds: the earliest and the latest sight
	// Relays is how many of the censuses have the peer; From and To are the numbers, from
	// 1, of the first and the last of those.
	Relays, From, To uint32
}

// add takes in what censuses know that were read after those of s. A census that both
// have, because it was read in two parts, is the last of s and the first of later.
func (s *Sight) add(later *Sight) {
	s.First, s.Last = min(s.First, later.First), max(s.Last, later.Last)
	s.Relays += later.Relays
	if s.To == later.From {
		s.Relays--
	}
	s.To = later.To
}

// Peers is an exact set of the peers of many censuses, each counted once, in about 64
// bytes a peer, however many they are: 52 of its [Sight] and 8 of each slot, of which
// between 64 and 80 % are taken. It grows in small pieces and without copies of itself,
// and has no pointers for the garbage collector to follow. Begin a census, and add what
// it has. The zero value is not ready, see [NewPeers]. Not safe for concurrent use.
type Peers struct {
	// slots are 32 bits of the hash, then the number of the sight from 1; 0 is free. They
	// are one row, cut into pieces.
	slots  [][]uint64
	sights [][]Sight
	size   int
	seed   maphash.Seed
	census uint32
	own    map[[32]byte]bool // the fleet's own, and whether each was met
	ownMet int
	counts []uint64 // by census: different peers, without the fleet's own
}

const (
	pieceSights = 1 << 13 // 425,984 bytes
	pieceSlots  = 1 << 12 // 32,768 bytes
	// SightBytes is the memory of one peer in [Peers] at most, beside one piece of each.
	SightBytes = 52 + 13
)

// NewPeers is an empty set that leaves the keys of the fleet's own relays out.
func NewPeers(own [][32]byte) *Peers {
	p := &Peers{slots: [][]uint64{make([]uint64, pieceSlots)}, seed: maphash.MakeSeed(), own: make(map[[32]byte]bool, len(own))}
	for _, key := range own {
		p.own[key] = false
	}
	return p
}

// Begin begins the next census.
func (p *Peers) Begin() {
	p.census++
	p.counts = append(p.counts, 0)
}

// Add takes in a peer of the census that was begun: UNIX seconds of its first and its
// last sight. One that it has already, from this census or an earlier one, is not added
// twice.
func (p *Peers) Add(key [32]byte, first, last int64) {
	if met, ours := p.own[key]; ours {
		if !met {
			p.own[key] = true
			p.ownMet++
		}
		return
	}
	s := p.note(key, first, last)
	if s.Relays == 0 {
		s.From = p.census
	}
	if s.To != p.census {
		s.To = p.census
		s.Relays++
		p.counts[p.census-1]++
	}
}

// note takes in when a peer was seen. It is in no census by that.
func (p *Peers) note(key [32]byte, first, last int64) *Sight {
	s, isNew := p.find(key)
	begin, end := seconds(first), seconds(last)
	if isNew {
		s.Key, s.First, s.Last = key, begin, end
	}
	s.First, s.Last = min(s.First, begin), max(s.Last, end)
	return s
}

// seconds keeps times between 1970 and 2106.
func seconds(unix int64) uint32 { return uint32(min(max(0, unix), math.MaxUint32)) }

// Len is how many different peers there are; after a [Peers.Drain], since then.
func (p *Peers) Len() int { return p.size }

// Own is how many of the fleet's own relays were in a census.
func (p *Peers) Own() int { return p.ownMet }

// Counts is how many different peers each census had, in their order.
func (p *Peers) Counts() []uint64 { return p.counts }

// find returns the sight of a key, an empty one if it is new.
func (p *Peers) find(key [32]byte) (s *Sight, isNew bool) {
	if p.size >= len(p.slots)*pieceSlots/5*4 {
		p.grow()
	}
	tag := p.tag(key)
	slot := p.search(tag, func(i int) bool { return p.at(i).Key == key })
	if *slot != 0 {
		return p.at(ordinal(*slot)), false
	}
	if p.size == len(p.sights)*pieceSights {
		p.sights = append(p.sights, make([]Sight, pieceSights))
	}
	*slot = tag<<32 | uint64(p.size+1)
	s = p.at(p.size)
	*s = Sight{} // what was drained is still in it
	p.size++
	return s, true
}

// tag is the part of the hash that stands in a slot.
func (p *Peers) tag(key [32]byte) uint64 { return maphash.Bytes(p.seed, key[:]) >> 32 }

// ordinal is that of the sight in a taken slot, from 0.
func ordinal(slot uint64) int { return int(uint32(slot)) - 1 }

func (p *Peers) at(i int) *Sight { return &p.sights[i/pieceSights][i%pieceSights] }

// search returns the first slot for a tag that is free or whose sight is the right one.
func (p *Peers) search(tag uint64, right func(i int) bool) *uint64 {
	all := len(p.slots) * pieceSlots
	for at := int(tag * uint64(all) >> 32); ; at++ {
		if at == all {
			at = 0
		}
		slot := &p.slots[at/pieceSlots][at%pieceSlots]
		if *slot == 0 || *slot>>32 == tag && right(ordinal(*slot)) {
			return slot
		}
	}
}

// grow adds a quarter of slots. Tags are all that it needs, and their order stays: it goes
// through the old pieces and the new ones from the begin to the end, and what it is done
// with becomes new.
func (p *Peers) grow() {
	old := p.slots
	p.slots = make([][]uint64, len(old)+max(1, len(old)/4))
	var done [][]uint64
	for i, piece := range old {
		for _, slot := range piece {
			if slot != 0 {
				done = p.place(slot, done)
			}
		}
		clear(piece)
		old[i] = nil
		done = append(done, piece)
	}
	for i, piece := range p.slots {
		if piece == nil {
			p.slots[i], done = pieceOf(done)
		}
	}
}

// place puts a taken slot where it is found again. It takes the pieces that are not there
// yet from those of free, and returns the rest.
func (p *Peers) place(slot uint64, free [][]uint64) [][]uint64 {
	all := len(p.slots) * pieceSlots
	for at := int((slot >> 32) * uint64(all) >> 32); ; at++ {
		if at == all {
			at = 0
		}
		piece := &p.slots[at/pieceSlots]
		if *piece == nil {
			*piece, free = pieceOf(free)
		}
		if s := &(*piece)[at%pieceSlots]; *s == 0 {
			*s = slot
			return free
		}
	}
}

// pieceOf is an empty piece, one of free if there is any.
func pieceOf(free [][]uint64) (piece []uint64, rest [][]uint64) {
	if len(free) == 0 {
		return make([]uint64, pieceSlots), nil
	}
	return free[len(free)-1], free[:len(free)-1]
}

// clear frees all slots.
func (p *Peers) clear() {
	for _, piece := range p.slots {
		clear(piece)
	}
}

// All is each peer, in the order in which they came.
func (p *Peers) All() iter.Seq[*Sight] {
	return func(yield func(*Sight) bool) {
		for i := range p.size {
			if !yield(p.at(i)) {
				return
			}
		}
	}
}
