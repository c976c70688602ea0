package history

import (
	"context"
	"slices"

	"github.com/relayfleet/fleetctl/stats"
)

// Past is all that the store knows of the fleet's peers, for [stats.MergeOnto]. Nil: there
// was no collection yet. It takes some 60 bytes of memory and 2 µs for each peer.
func (s *Store) Past(ctx context.Context) (*stats.Past, error) {
	var out *stats.Past
	err := s.read(ctx, func(q querier) error {
		c, err := loadCoverage(ctx, q)
		if err != nil || c.first == 0 {
			return err
		}
		past := stats.NewPast(stamp(c.first))
		past.Missing = c.leftUnread()
		err = each(ctx, q, `SELECT key, kind FROM own`, nil, func(scan func(...any) error) error {
			var key []byte
			var kind string
			err := scan(&key, &kind)
			if kind == "probe" {
				past.Probe(key)
			} else {
				past.Relay(key)
			}
			return err
		})
		if err != nil {
			return err
		}
		err = each(ctx, q, `SELECT key, first_seen, last_seen FROM peers WHERE own = 0`, nil, func(scan func(...any) error) error {
			var key []byte
			var first, last int64
			err := scan(&key, &first, &last)
			past.Peer(key, first, last)
			return err
		})
		out = past
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// leftUnread are the nodes that left the fleet and whose census was not read to its end before:
// whom they alone met since their last whole reading is missing. A machine that another one
// replaced in its own slot is not among them: the node is still here.
func (c coverage) leftUnread() []string {
	here := make(map[string]bool)
	for _, m := range c.members {
		if m.until == forever {
			here[m.node] = true
		}
	}
	return slices.DeleteFunc(c.unread(0, c.last), func(node string) bool { return here[node] })
}
