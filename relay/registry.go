package relay

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// tracked is a peer as this relay remembers it: one element of bootnode-peers.json.
type tracked struct {
	stats.CensusEntry
	// Change is the number of the entry's last change; see [life].
	Change uint64 `json:"change,omitempty"`
	// Told is what LastSeenAt was at that change. On disk it is left out where that is so
	// still.
	Told int64 `json:"told_seen_at,omitempty"`
}

// toldEvery is how long a peer may stay connected before the time of its last sight is
// a change again: a collector hears of everybody at least once in every whole hour.
const toldEvery = 30 * time.Minute

// registry is the lifetime census in memory, keyed by public key: one entry per
// peer, whatever it is called and however often it comes back. It numbers what changes.
// Not safe for concurrent use; the ledger guards it.
type registry struct {
	life
	entries map[string]tracked
	most    int
	changes []change // ascending
}

// change says that an entry got a number. It is stale when the entry has got another
// one since, or is gone.
type change struct {
	number uint64
	key    string
}

func newRegistry(most int) *registry {
	return &registry{life: newLife(0), entries: make(map[string]tracked), most: most}
}

// put takes an entry in as the newest change.
func (r *registry) put(e stats.CensusEntry) {
	number := r.next()
	r.entries[e.PeerPubkey] = tracked{CensusEntry: e, Change: number, Told: e.LastSeenAt}
	r.changes = append(r.changes, change{number, e.PeerPubkey})
	if len(r.changes) > 2*len(r.entries)+1024 {
		r.changes = slices.DeleteFunc(r.changes, r.stale)
	}
}

func (r *registry) stale(c change) bool {
	e, ok := r.entries[c.key]
	return !ok || e.Change != c.number
}

// load takes the entries of a file in. With those of the life that goes on, their
// numbers stay; what was not told before the end of the last process is a new change.
func (r *registry) load(entries []tracked, goesOn bool) uint64 {
	slices.SortStableFunc(entries, func(a, b tracked) int { return cmp.Compare(a.Change, b.Change) })
	var untold []stats.CensusEntry
	var last uint64
	for _, e := range entries {
		_, double := r.entries[e.PeerPubkey]
		if !goesOn || double || e.Change <= last || e.Change > r.last || e.Told != 0 && e.Told != e.LastSeenAt {
			untold = append(untold, e.CensusEntry)
			continue
		}
		last, e.Told = e.Change, e.LastSeenAt
		r.entries[e.PeerPubkey] = e
		r.changes = append(r.changes, change{e.Change, e.PeerPubkey})
	}
	return r.merge(untold)
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
	r.put(e)
	return r.shrink()
}

// sum stops at the largest number: a hostile census cannot make it small again.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// touch notes that a peer was still there. That is a change when it was the last time,
// and now and then.
func (r *registry) touch(key string, now time.Time, gone bool) {
	e, ok := r.entries[key]
	if !ok {
		return
	}
	e.LastSeenAt = max(e.LastSeenAt, now.Unix())
	untold := e.LastSeenAt - e.Told
	if untold >= int64(toldEvery/time.Second) || gone && untold > 0 {
		r.put(e.CensusEntry)
		return
	}
	r.entries[key] = e
}

// merge takes entries of another census in, as stats.MergeEntries does. Those that
// say nothing new are no change.
func (r *registry) merge(others []stats.CensusEntry) uint64 {
	for _, e := range others {
		old, ok := r.entries[e.PeerPubkey]
		if ok {
			e = stats.MergeEntries([]stats.CensusEntry{old.CensusEntry}, []stats.CensusEntry{e})[0]
		}
		if !ok || e != old.CensusEntry {
			r.put(e)
		}
	}
	return r.shrink()
}

// shrink forgets those unseen for longest when there are too many: a tenth at once,
// so that a flood of invented peers costs one sort per many of them.
func (r *registry) shrink() uint64 {
	if len(r.entries) <= r.most {
		return 0
	}
	oldest := r.all()
	sortBy(oldest, func(a, b tracked) int { return cmp.Compare(a.LastSeenAt, b.LastSeenAt) })
	drop := oldest[:len(oldest)-r.most+r.most/10]
	for _, e := range drop {
		delete(r.entries, e.PeerPubkey)
	}
	return uint64(len(drop))
}

// list is the census by first sight, oldest first: equal contents, equal bytes.
func (r *registry) list() []tracked { return listed(r.all()) }

func listed(all []tracked) []tracked {
	sortBy(all, func(a, b tracked) int { return cmp.Compare(a.FirstSeenAt, b.FirstSeenAt) })
	for i := range all {
		if all[i].Told == all[i].LastSeenAt {
			all[i].Told = 0
		}
	}
	return all
}

// all are the entries in no order.
func (r *registry) all() []tracked {
	all := make([]tracked, 0, len(r.entries))
	for _, e := range r.entries {
		all = append(all, e)
	}
	return all
}

// sortBy sorts by the order, then by key.
func sortBy(all []tracked, order func(a, b tracked) int) {
	slices.SortFunc(all, func(a, b tracked) int {
		return cmp.Or(order(a, b), cmp.Compare(a.PeerPubkey, b.PeerPubkey))
	})
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
		if _, known := c.ByTier[e.Tier]; !known && len(c.ByTier) >= groupsListed {
			e.Tier = otherGroup
		}
		c.ByTier[e.Tier]++
		c.ByAddressType[e.AddressType]++
	}
	return c
}

// groupsListed keeps a report short when peers invent tiers and agents: the rest is
// otherGroup.
const (
	groupsListed = 64
	otherGroup   = "other"
)
