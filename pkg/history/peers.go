package history

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/stats"
)

// sight is one entry of a census.
type sight struct {
	key   string // raw
	entry *stats.CensusEntry
}

// peerRow is a row of peers, with what one relay knows of it.
type peerRow struct {
	id                             int64
	first, last                    int64
	relay, relays                  int64
	tier, family, transport, agent string
	days, weeks                    int64
	own                            bool

	here        bool // the relay of the reading knows it
	hereLast    int64
	connections int64
}

// census takes the entries of a reading in. It reports whether the census was read to its
// end; then, and as far as it was read, the cursor goes with it.
func (in *ingestion) census(ctx context.Context, relay *relayRow, r stats.Reading) (bool, error) {
	entries := r.Delta
	if r.Delta == nil {
		entries = r.Registry
	}
	if entries == nil {
		return false, nil
	}
	if err := in.sights(ctx, relay, entries); err != nil {
		return false, err
	}
	if r.Cursor != "" {
		relay.cursor = clean(r.Cursor, 256)
	} else if r.Delta == nil {
		relay.cursor = ""
	}
	return r.Err == nil && !slices.ContainsFunc(damageOf(r), stats.DamagesCensus), nil
}

// chunk is how many peers are looked up and written at once.
const chunk = 256

func (in *ingestion) sights(ctx context.Context, relay *relayRow, entries []stats.CensusEntry) error {
	list := make([]sight, 0, len(entries))
	bad := 0
	for i := range entries {
		key, err := base64.StdEncoding.DecodeString(entries[i].PeerPubkey)
		if err != nil || len(key) == 0 || len(key) > maxKey {
			bad++
			continue
		}
		if len(in.graves) > 0 && in.buried(key) {
			continue
		}
		list = append(list, sight{string(key), &entries[i]})
	}
	if bad > 0 {
		in.warn("%s: %d entries of its census have no key and are left out", relay.node, bad)
	}
	slices.SortStableFunc(list, func(a, b sight) int { return cmp.Compare(a.key, b.key) })
	ahead := 0
	for len(list) > 0 {
		n := min(chunk, len(list))
		for n < len(list) && list[n].key == list[n-1].key {
			n++ // what is told of one peer stays together
		}
		late, err := in.chunk(ctx, relay, list[:n])
		if err != nil {
			return err
		}
		ahead += late
		list = list[n:]
	}
	if ahead > 0 {
		in.warn("%s: %d sights in its census lie in the future and are taken as of now", relay.node, ahead)
	}
	return nil
}

// chunk takes in sights that are sorted by key, and counts those in the future.
func (in *ingestion) chunk(ctx context.Context, relay *relayRow, list []sight) (ahead int, err error) {
	have, err := in.lookUp(ctx, relay, list)
	if err != nil {
		return 0, err
	}
	write := make([]*peerRow, 0, len(list))
	keys := make([]string, 0, len(list))
	var own []string
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && list[end].key == list[start].key {
			end++
		}
		key := list[start].key
		row, known := have[key]
		if !known {
			row = &peerRow{own: in.own[key]}
		}
		was := *row
		for _, s := range list[start:end] {
			if s.entry.IsProbe() && !in.own[key] {
				own = append(own, key)
				in.own[key] = true
			}
			if in.see(row, relay, s.entry, known) {
				ahead++
			}
			known = true
		}
		start = end
		if *row == was {
			continue
		}
		if row.id == 0 {
			row.id, row.own = in.next, in.own[key]
			in.next++
		}
		in.tally(relay, row, was)
		write, keys = append(write, row), append(keys, key)
	}
	if err := in.writePeers(ctx, write, keys); err != nil {
		return 0, err
	}
	if err := in.writeSightings(ctx, relay, write); err != nil {
		return 0, err
	}
	for _, key := range own {
		if err := in.disown(ctx, key, "probe", ""); err != nil {
			return 0, err
		}
	}
	return ahead, nil
}

// see adds one sight to what is known of a peer, and reports whether it lay in the future.
func (in *ingestion) see(p *peerRow, relay *relayRow, e *stats.CensusEntry, known bool) (ahead bool) {
	first, last := e.FirstSeenAt, e.LastSeenAt
	if abs(relay.skew) > 0 && abs(relay.skew) <= daySecs {
		first, last = first-relay.skew, last-relay.skew
	}
	ahead = last > in.at
	last = max(0, min(last, in.at))
	first = max(0, min(first, last))
	switch {
	case !known:
		p.first, p.last, p.days, p.weeks = first, last, 1, 1
	case last > p.last:
		p.days = int64(moveEnd(uint64(p.days), dayOf(last)-dayOf(p.last)) | 1)
		p.weeks = int64(moveEnd(uint64(p.weeks), weekOf(last)-weekOf(p.last)) | 1)
	}
	if !known || last > p.last || last == p.last && p.relay == relay.id {
		p.last, p.relay = last, relay.id
		p.tier, p.family = word(e.Tier), familyOf(e.AddressType)
		p.transport, p.agent = word(e.Transport), word(e.Agent)
		if in.clock-last > int64(in.keep.Details.Seconds()) {
			p.tier, p.family, p.transport, p.agent = "", "", "", ""
		}
	}
	p.first = min(p.first, first)
	for _, t := range []int64{first, last} {
		p.days = int64(markAt(uint64(p.days), dayOf(p.last), dayOf(t)))
		p.weeks = int64(markAt(uint64(p.weeks), weekOf(p.last), weekOf(t)))
	}
	if !p.here {
		p.here = true
		p.relays++
	}
	p.hereLast = max(p.hereLast, last)
	p.connections = max(p.connections, int64(min(e.ConnectionCount, stats.MaxCount)))
	return ahead
}

// tally keeps the sums that belong to a peer.
func (in *ingestion) tally(relay *relayRow, p *peerRow, was peerRow) {
	if p.own {
		return
	}
	if was.id == 0 {
		in.sum.New++
	} else {
		in.sum.Changed++
	}
	if !was.here {
		relay.peers++
		in.overlap[was.relays]--
		in.overlap[p.relays]++
	}
}

func (in *ingestion) saveOverlap(ctx context.Context) error {
	for _, relays := range slices.Sorted(maps.Keys(in.overlap)) {
		if relays == 0 || in.overlap[relays] == 0 {
			continue
		}
		err := in.t.exec(ctx, `INSERT INTO overlap (relays, peers) VALUES (?, ?) ON CONFLICT (relays) DO UPDATE SET peers = peers + excluded.peers`,
			relays, in.overlap[relays])
		if err != nil {
			return err
		}
	}
	return nil
}

// word is a text that a peer chose; "" is unknown.
func word(text string) string { return clean(strings.TrimSpace(text), 128) }

// familyOf is all that is kept of an address.
func familyOf(addressType string) string {
	switch addressType {
	case "ipv4_public", "ipv4_private":
		return "ipv4"
	case "ipv6", "relay", "dns":
		return addressType
	}
	return "other"
}
