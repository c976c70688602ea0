package relay

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// registry is the lifetime census in memory, keyed by public key: one entry per
// peer, whatever it is called and however often it comes back. Not safe for
// concurrent use; the ledger guards it.
type registry struct {
	entries map[string]stats.CensusEntry
	most    int
}

func newRegistry(most int) *registry {
	return &registry{entries: make(map[string]stats.CensusEntry), most: most}
}

// seen counts a connection of a peer. It returns how many others had to be
// forgotten to make room.
func (r *registry) seen(e stats.CensusEntry, now time.Time) uint64 {
	e.LastSeenAt = now.Unix()
	e.FirstSeenAt = e.LastSeenAt
	e.ConnectionCount = 1
	if old, ok := r.entries[e.PeerPubkey]; ok {
		e.FirstSeenAt = min(old.FirstSeenAt, e.FirstSeenAt)
		e.ConnectionCount = sum(old.ConnectionCount, 1)
	}
	r.entries[e.PeerPubkey] = e
	return r.shrink()
}

// sum stops at the largest number: a hostile census cannot make it small again.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// touch notes that a peer was still there.
func (r *registry) touch(key string, now time.Time) {
	if e, ok := r.entries[key]; ok && now.Unix() > e.LastSeenAt {
		e.LastSeenAt = now.Unix()
		r.entries[key] = e
	}
}

// merge takes entries of another census in, as stats.MergeEntries does.
func (r *registry) merge(others []stats.CensusEntry) uint64 {
	for _, e := range others {
		if old, ok := r.entries[e.PeerPubkey]; ok {
			e = stats.MergeEntries([]stats.CensusEntry{old}, []stats.CensusEntry{e})[0]
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
	oldest := r.sorted(func(a, b stats.CensusEntry) int { return cmp.Compare(a.LastSeenAt, b.LastSeenAt) })
	drop := oldest[:len(oldest)-r.most+r.most/10]
	for _, e := range drop {
		delete(r.entries, e.PeerPubkey)
	}
	return uint64(len(drop))
}

// list is the census by first sight, oldest first: equal contents, equal bytes.
func (r *registry) list() []stats.CensusEntry {
	return r.sorted(func(a, b stats.CensusEntry) int { return cmp.Compare(a.FirstSeenAt, b.FirstSeenAt) })
}

func (r *registry) sorted(order func(a, b stats.CensusEntry) int) []stats.CensusEntry {
	all := make([]stats.CensusEntry, 0, len(r.entries))
	for _, e := range r.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b stats.CensusEntry) int {
		return cmp.Or(order(a, b), cmp.Compare(a.PeerPubkey, b.PeerPubkey))
	})
	return all
}

// summary is the answer of /api/bootstrap/census, without those that were forgotten.
func (r *registry) summary(now time.Time) stats.Census {
	c := stats.Census{
		Enabled: true, LifetimeUniquePeers: uint64(len(r.entries)), GeneratedAt: now.Unix(),
		ByTier: make(map[string]int), ByAddressType: make(map[string]int),
	}
	for _, e := range r.entries {
		age := now.Sub(time.Unix(e.LastSeenAt, 0))
		if age <= 24*time.Hour {
			c.ActiveLast24h++
		}
		if age <= 7*24*time.Hour {
			c.ActiveLast7d++
		}
		if _, known := c.ByTier[e.Tier]; !known && len(c.ByTier) >= tiersListed {
			e.Tier = "other"
		}
		c.ByTier[e.Tier]++
		c.ByAddressType[e.AddressType]++
	}
	return c
}

// tiersListed keeps the report short when peers invent tiers.
const tiersListed = 64
