package history

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// collection is a row of collections.
type collection struct {
	at              int64
	asked, answered int64
	missing, unread []string
}

// member is a relay while it was in the fleet.
type member struct {
	relay            int64
	node             string
	since, until     int64 // until: the largest number while it is in it
	answered, census int64
	asked            int64 // when it was asked last
	counted          int64 // when its counters were first read; 0: never
	oldUntil         int64 // until when its daemon was one that tells less, as far as is known; 0: never was
}

const forever = int64(1) << 62

// coverage is who answered when: what every figure has to say of itself.
type coverage struct {
	first, last int64 // times of the first and of the newest collection; 0: none. A clock that was
	// ahead once may have left later ones.
	members []member
}

func loadCoverage(ctx context.Context, q querier) (coverage, error) {
	var c coverage
	err := one(ctx, q, `SELECT COALESCE((SELECT MIN(at) FROM collections), 0), last FROM meta`, nil, &c.first, &c.last)
	if err != nil {
		return c, err
	}
	err = each(ctx, q, `SELECT r.id, r.node, m.since, COALESCE(m.until, ?), r.answered, r.census, r.tried, r.counted, r.old,
	COALESCE((SELECT json_extract(state, '$.at') FROM processes p WHERE p.node = r.node), '')
	FROM members m JOIN relays r ON r.id = m.relay ORDER BY r.node, m.since`, []any{forever}, func(scan func(...any) error) error {
		var m member
		var old bool
		var seen string
		err := scan(&m.relay, &m.node, &m.since, &m.until, &m.answered, &m.census, &m.asked, &m.counted, &old, &seen)
		m.oldUntil = oldUntil(old, seen)
		c.members = append(c.members, m)
		return err
	})
	return c, err
}

// oldUntil is until when a daemon was one that tells less: it is one still, or was seen to be
// one last at that time.
func oldUntil(old bool, seen string) int64 {
	if old {
		return forever
	}
	at, err := time.Parse(time.RFC3339Nano, seen)
	if err != nil {
		return 0
	}
	return at.Unix()
}

// unread are the nodes that were in the fleet at some time of a span and of which no census
// was read since it ended. One that left the fleet unread will tell nothing any more.
func (c coverage) unread(from, until int64) []string {
	until = min(until, c.last)
	out := []string{}
	for _, m := range c.members {
		if m.since <= until && m.until > from && m.census < min(until, m.asked) {
			out = append(out, m.node)
		}
	}
	return sorted(out)
}

// oldest is the oldest of the answers that the newest figures are made of; zero if
// nobody ever answered.
func (c coverage) oldest(census bool) time.Time {
	var oldest int64
	for _, m := range c.members {
		at := m.answered
		if census {
			at = m.census
		}
		if m.until == forever && at > 0 && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	return stamp(oldest)
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// stamp is a time of the store; 0 is none.
func stamp(secs int64) time.Time {
	if secs == 0 {
		return time.Time{}
	}
	return time.Unix(secs, 0).UTC()
}

// lastIn is the last collection of each step of an axis; at 0 where there is none.
func lastIn(ctx context.Context, q querier, a axis) ([]collection, error) {
	out := make([]collection, a.len())
	from := a.from()
	if a.len() == 1 { // then the others need not be read
		err := one(ctx, q, `SELECT COALESCE(MAX(at), ?) FROM collections WHERE at >= ? AND at < ?`, []any{from, from, a.to()}, &from)
		if err != nil {
			return nil, err
		}
	}
	err := eachCollection(ctx, q, from, a.to(), func(c collection) {
		if i, ok := a.index(c.at); ok {
			out[i] = c
		}
	})
	return out, err
}

// eachCollection goes through collections from a time to before another, oldest first.
func eachCollection(ctx context.Context, q querier, from, to int64, f func(collection)) error {
	return each(ctx, q, `SELECT at, asked, answered, missing, unread FROM collections WHERE at >= ? AND at < ? ORDER BY at`, []any{from, to},
		func(scan func(...any) error) error {
			var c collection
			var missing, unread string
			if err := scan(&c.at, &c.asked, &c.answered, &missing, &unread); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(missing), &c.missing); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(unread), &c.unread); err != nil {
				return err
			}
			f(c)
			return nil
		})
}

// unknown is a figure of which nothing is known.
func unknown(missing []string) stats.Figure {
	if missing == nil {
		missing = []string{}
	}
	return stats.Figure{Missing: missing, AtLeast: false}
}

// known is a figure that was counted, of all but the missing.
func known(value float64, missing []string, since time.Time) stats.Figure {
	if missing == nil {
		missing = []string{}
	}
	return stats.Figure{Value: &value, AtLeast: len(missing) > 0, Missing: missing, Since: stats.Time{Time: since}}
}
