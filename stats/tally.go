package stats

import "time"

// Tally is what is counted of different peers. Give it each once.
type Tally struct {
	Peers     uint64
	Active24h uint64 // seen in the 24 hours before now, likewise the others
	Active7d  uint64
	Active30d uint64
	Overlap   []uint64 // how many peers are in exactly 1, 2, … censuses; never nil
	now       int64
}

// NewTally counts nothing yet.
func NewTally(now time.Time) *Tally { return &Tally{Overlap: []uint64{}, now: now.Unix()} }

// Add counts a peer.
func (t *Tally) Add(s *Sight) {
	t.Peers++
	for uint32(len(t.Overlap)) < s.Relays {
		t.Overlap = append(t.Overlap, 0)
	}
	if s.Relays > 0 {
		t.Overlap[s.Relays-1]++
	}
	const day = 24 * 3600
	age := t.now - int64(s.Last)
	if age <= day {
		t.Active24h++
	}
	if age <= 7*day {
		t.Active7d++
	}
	if age <= 30*day {
		t.Active30d++
	}
}
