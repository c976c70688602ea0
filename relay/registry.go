package relay

import (
	"cmp"
	"slices"
	"time"
)

// registry is the lifetime census in memory, keyed by public key: one entry per
// peer, whatever it is called and however often it comes back. Not safe for
// concurrent use; the ledger guards it.
type registry struct {
	entries map[string]censusEntry
	most    int
}

func newRegistry(most int) *registry {
	return &registry{entries: make(map[string]censusEntry), most: most}
}

// seen counts a connection of a peer. It returns how many others had to be
// forgotten to make room.
func (r *registry) seen(e censusEntry, now time.Time) uint64 {
	e.LastSeenAt = now.Unix()
	e.FirstSeenAt = e.LastSeenAt
	e.ConnectionCount = 1
	if old, ok := r.entries[e.PeerPubkey]; ok {
		e.FirstSeenAt = min(old.FirstSeenAt, e.FirstSeenAt)
		e.ConnectionCount += old.ConnectionCount
	}
	r.entries[e.PeerPubkey] = e
	return r.shrink()
}

// touch notes that a peer was still there.
func (r *registry) touch(key string, now time.Time) {
	if e, ok := r.entries[key]; ok && now.Unix() > e.LastSeenAt {
		e.LastSeenAt = now.Unix()
		r.entries[key] = e
	}
}

// merge takes entries of another census in: the earliest and latest sight, the
// connections added up, the names of whoever saw the peer last.
func (r *registry) merge(others []censusEntry) uint64 {
	for _, e := range others {
		if old, ok := r.entries[e.PeerPubkey]; ok {
			count := old.ConnectionCount + e.ConnectionCount
			first := min(old.FirstSeenAt, e.FirstSeenAt)
			if old.LastSeenAt > e.LastSeenAt {
				e = old
			}
			e.FirstSeenAt, e.ConnectionCount = first, count
		}
		r.entries[e.PeerPubkey] = e
	}
	return r.shrink()
}

// shrink forgets those unseen for longest when there are too many: a tenth at once,
// so that a flood of invented peers costs one sort per many of them.
func (r *registry) shrink() uint64 {
	if len(r.entries) <= r.most {
		return 0
	}
	oldest := r.sorted(func(a, b censusEntry) int { return cmp.Compare(a.LastSeenAt, b.LastSeenAt) })
	drop := oldest[:len(oldest)-r.most+r.most/10]
	for _, e := range drop {
		delete(r.entries, e.PeerPubkey)
	}
	return uint64(len(drop))
}

// list is the census by first sight, oldest first: equal contents, equal bytes.
func (r *registry) list() []censusEntry {
	return r.sorted(func(a, b censusEntry) int { return cmp.Compare(a.FirstSeenAt, b.FirstSeenAt) })
}

func (r *registry) sorted(order func(a, b censusEntry) int) []censusEntry {
	all := make([]censusEntry, 0, len(r.entries))
	for _, e := range r.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b censusEntry) int {
		return cmp.Or(order(a, b), cmp.Compare(a.PeerPubkey, b.PeerPubkey))
	})
	return all
}

// summary is the answer of /api/bootstrap/census.
func (r *registry) summary(now time.Time) census {
	s := census{byTier: make(map[string]int), byAddress: make(map[string]int), all: len(r.entries)}
	for _, e := range r.entries {
		age := now.Unix() - e.LastSeenAt
		if age <= 24*3600 {
			s.day++
		}
		if age <= 7*24*3600 {
			s.week++
		}
		s.byTier[s.tierKey(e.Tier)]++
		s.byAddress[e.AddressType]++
	}
	return s
}

// census is a summary of the registry.
type census struct {
	all, day, week    int
	byTier, byAddress map[string]int
}

// tierKey keeps the report short when peers invent tiers.
func (s census) tierKey(tier string) string {
	if _, ok := s.byTier[tier]; !ok && len(s.byTier) >= 64 {
		return "other"
	}
	return tier
}
