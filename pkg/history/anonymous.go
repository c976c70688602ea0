package history

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"
)

// Anonymous says how peers are exported without names.
type Anonymous struct {
	Format Format // "" is CSV
	// Floor is the smallest group of peers that is told apart; 0 is 5.
	Floor int
}

// Exported is what an export holds.
type Exported struct {
	Peers     uint64 `json:"peers"`     // rows
	Coarsened uint64 `json:"coarsened"` // of them, with a cell that says less than is known
	Withheld  uint64 `json:"withheld"`  // peers without a row: they would have been too few
	Floor     int    `json:"floor"`
}

// AnonymousRow is one peer without a name.
type AnonymousRow struct {
	Peer      string `json:"peer" parquet:"peer"`             // 32 hex digits: a hash, the salt of which was thrown away
	FirstWeek string `json:"first_week" parquet:"first_week"` // the Monday before its first sight, "2026-11-23"; "" is not told
	LastWeek  string `json:"last_week" parquet:"last_week"`
	Tier      string `json:"tier" parquet:"tier"` // "other" is not told
	Family    string `json:"family" parquet:"family"`
	Transport string `json:"transport" parquet:"transport"`
	Agent     string `json:"agent" parquet:"agent"`
}

// group is all of a row that others may share.
type group struct{ firstWeek, lastWeek, tier, family, transport, agent string }

// coarser says less and less of a group; from level 5 on there is one group alone.
func (g group) coarser(level int) group {
	if level >= 1 {
		name, _, _ := strings.Cut(g.agent, "/")
		g.agent = name
	}
	if level >= 2 {
		g.agent = otherLabel
	}
	if level >= 3 {
		g.firstWeek = ""
	}
	if level >= 4 {
		g.lastWeek, g.transport = "", otherLabel
	}
	if level >= 5 {
		g.tier, g.family = otherLabel, otherLabel
	}
	return g
}

const coarsest = 5

// ExportAnonymous writes one row for each peer, without key, peer ID, address, relay or
// exact time: a hash with a salt that is drawn for this export alone and thrown away, the
// weeks of the first and of the last sight, tier, family, transport and agent. At least
// o.Floor rows are the same in all but the hash: a smaller group is told more coarsely,
// and one that stays too small is withheld. Rows are in the order of their hashes.
func (s *Store) ExportAnonymous(ctx context.Context, w io.Writer, o Anonymous) (Exported, error) {
	if o.Floor <= 0 {
		o.Floor = 5
	}
	out := Exported{Floor: o.Floor}
	rows, err := newRowWriter[AnonymousRow](w, o.Format)
	if err != nil {
		return out, err
	}
	peers, groups, err := s.anonymous(ctx)
	if err != nil {
		return out, err
	}
	told := coarsen(groups, uint64(o.Floor))
	for _, p := range peers {
		g, ok := told[p.group]
		if !ok {
			out.Withheld++
			continue
		}
		out.Peers++
		if g != p.group {
			out.Coarsened++
		}
		err := rows.write(AnonymousRow{
			Peer: hex.EncodeToString(p.hash[:]), FirstWeek: g.firstWeek, LastWeek: g.lastWeek,
			Tier: g.tier, Family: g.family, Transport: g.transport, Agent: g.agent,
		})
		if err != nil {
			return out, err
		}
	}
	return out, rows.close()
}

// nameless is a peer of an export.
type nameless struct {
	hash  [16]byte
	group group
}

// anonymous reads all peers, in the order of their hashes, and counts their groups.
func (s *Store) anonymous(ctx context.Context) ([]nameless, map[group]uint64, error) {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // never fails
	groups := make(map[group]uint64)
	shared := make(map[group]group) // one copy of the texts of each
	var peers []nameless
	err := s.read(ctx, func(q querier) error {
		return each(ctx, q, `SELECT key, first_seen, last_seen, tier, family, transport, agent FROM peers WHERE own = 0`, nil,
			func(scan func(...any) error) error {
				var key []byte
				var first, last int64
				var g group
				if err := scan(&key, &first, &last, &g.tier, &g.family, &g.transport, &g.agent); err != nil {
					return err
				}
				for _, label := range []*string{&g.tier, &g.family, &g.transport, &g.agent} {
					if *label == "" {
						*label = unknownLabel
					}
				}
				g.firstWeek, g.lastWeek = weekStart(weekOf(first)).Format(time.DateOnly), weekStart(weekOf(last)).Format(time.DateOnly)
				if _, ok := shared[g]; !ok {
					shared[g] = g
				}
				groups[g]++
				peers = append(peers, nameless{[16]byte(graveOf(salt, key)), shared[g]})
				return nil
			})
	})
	slices.SortFunc(peers, func(a, b nameless) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	return peers, groups, err
}

// coarsen says what is told of each group, so that nothing is told of fewer than floor
// peers; a group of which nothing can be told is missing. It is a pure function.
func coarsen(groups map[group]uint64, floor uint64) map[group]group {
	told := make(map[group]group, len(groups))
	left := groups
	for level := 0; level <= coarsest && len(left) > 0; level++ {
		sums := make(map[group]uint64)
		for g, n := range left {
			sums[g.coarser(level)] += n
		}
		next := make(map[group]uint64)
		for g, n := range left {
			if coarse := g.coarser(level); sums[coarse] >= floor {
				told[g] = coarse
			} else {
				next[g] = n
			}
		}
		left = next
	}
	return told
}
