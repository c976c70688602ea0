package stats

import (
	"hash/maphash"
	"iter"
	"math"
	"math/bits"
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

// Peers is an exact set of the peers of many censuses, each counted once, in about 70
// bytes a peer: 52 of its [Sight], 8 of a slot, of which at most three quarters are
// taken, and no pointer for the garbage collector to follow. Begin a census, and add what
// it has. The zero value is not ready, see [NewPeers]. Not safe for concurrent use.
type Peers struct {
	slots  []uint64 // 32 bits of the hash, then the number of the sight from 1; 0 is free
	blocks [][]Sight
	size   int
	seed   maphash.Seed
	census uint32
	own    map[[32]byte]bool // the fleet's own, and whether each was met
	ownMet int
	counts []uint64 // by census: different peers, without the fleet's own
}

const (
	blockLength = 1 << 13 // sights that are allocated at once: 425,984 bytes
	firstSlots  = 1 << 10
	// SightBytes is the memory of one peer in [Peers] at most, in the moment in which the
	// slots are made larger.
	SightBytes = 52 + 32
)

// NewPeers is an empty set that leaves the keys of the fleet's own relays out.
func NewPeers(own [][32]byte) *Peers {
	p := &Peers{slots: make([]uint64, firstSlots), seed: maphash.MakeSeed(), own: make(map[[32]byte]bool, len(own))}
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
	s, isNew := p.find(key)
	begin, end := seconds(first), seconds(last)
	if isNew {
		s.Key, s.First, s.Last, s.From = key, begin, end, p.census
	}
	s.First, s.Last = min(s.First, begin), max(s.Last, end)
	if s.To != p.census {
		s.To = p.census
		s.Relays++
		p.counts[p.census-1]++
	}
}

// seconds keeps times between 1970 and 2106.
func seconds(unix int64) uint32 { return uint32(min(max(0, unix), math.MaxUint32)) }

// Len is how many different peers were added since the last [Peers.Drain].
func (p *Peers) Len() int { return p.size }

// Own is how many of the fleet's own relays were in a census.
func (p *Peers) Own() int { return p.ownMet }

// Counts is how many different peers each census had, in their order.
func (p *Peers) Counts() []uint64 { return p.counts }

// find returns the sight of a key, an empty one if it is new.
func (p *Peers) find(key [32]byte) (s *Sight, isNew bool) {
	if p.size >= len(p.slots)/4*3 {
		p.grow()
	}
	tag := maphash.Bytes(p.seed, key[:]) >> 32
	at := p.home(tag)
	for ; p.slots[at] != 0; at = (at + 1) & (len(p.slots) - 1) {
		if p.slots[at]>>32 == tag {
			if s := p.at(int(uint32(p.slots[at])) - 1); s.Key == key {
				return s, false
			}
		}
	}
	if p.size/blockLength == len(p.blocks) {
		p.blocks = append(p.blocks, make([]Sight, blockLength))
	}
	p.size++
	p.slots[at] = tag<<32 | uint64(p.size)
	return p.at(p.size - 1), true
}

func (p *Peers) at(i int) *Sight { return &p.blocks[i/blockLength][i%blockLength] }

// home is where the search for a tag begins: its highest bits, so that slots stay in
// order when they become more.
func (p *Peers) home(tag uint64) int { return int(tag >> (32 - bits.Len(uint(len(p.slots)-1)))) }

// grow doubles the slots. The hashes in them are enough for that.
func (p *Peers) grow() {
	old := p.slots
	p.slots = make([]uint64, 2*len(old))
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := p.home(slot >> 32)
		for p.slots[at] != 0 {
			at = (at + 1) & (len(p.slots) - 1)
		}
		p.slots[at] = slot
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
