package history

import (
	"context"
	"strings"
)

// lookUp loads the peers of a list of sights, by key, with what the relay knows of them.
func (in *ingestion) lookUp(ctx context.Context, relay *relayRow, list []sight) (map[string]*peerRow, error) {
	args := make([]any, 1, len(list)+1)
	args[0] = relay.id
	for i, s := range list {
		if i == 0 || s.key != list[i-1].key {
			args = append(args, []byte(s.key))
		}
	}
	have := make(map[string]*peerRow, len(args))
	query := `SELECT p.key, p.id, p.first_seen, p.last_seen, p.relay, p.relays, p.tier, p.family, p.transport, p.agent, p.days, p.weeks, p.own,
	s.peer IS NOT NULL, COALESCE(s.last_seen, 0), COALESCE(s.connections, 0)
	FROM peers p LEFT JOIN sightings s ON s.peer = p.id AND s.relay = ? WHERE p.key IN (?` + strings.Repeat(", ?", len(args)-2) + `)`
	err := each(ctx, in.t, query, args, func(scan func(...any) error) error {
		var key []byte
		var p peerRow
		err := scan(&key, &p.id, &p.first, &p.last, &p.relay, &p.relays, &p.tier, &p.family, &p.transport, &p.agent, &p.days, &p.weeks, &p.own,
			&p.here, &p.hereLast, &p.connections)
		have[string(key)] = &p
		return err
	})
	return have, err
}

// writePeers writes rows that are new or changed.
func (in *ingestion) writePeers(ctx context.Context, rows []*peerRow, keys []string) error {
	if len(rows) == 0 {
		return nil
	}
	args := make([]any, 0, 13*len(rows))
	for i, p := range rows {
		args = append(args, p.id, []byte(keys[i]), p.first, p.last, p.relay, p.relays, p.tier, p.family, p.transport, p.agent, p.days, p.weeks, p.own)
	}
	return in.t.exec(ctx, `INSERT INTO peers (id, key, first_seen, last_seen, relay, relays, tier, family, transport, agent, days, weeks, own) VALUES `+
		tuples(13, len(rows))+` ON CONFLICT (id) DO UPDATE SET first_seen = excluded.first_seen, last_seen = excluded.last_seen, relay = excluded.relay,
	relays = excluded.relays, tier = excluded.tier, family = excluded.family, transport = excluded.transport, agent = excluded.agent,
	days = excluded.days, weeks = excluded.weeks`, args...)
}

func (in *ingestion) writeSightings(ctx context.Context, relay *relayRow, rows []*peerRow) error {
	if len(rows) == 0 {
		return nil
	}
	args := make([]any, 0, 4*len(rows))
	for _, p := range rows {
		args = append(args, p.id, relay.id, p.hereLast, p.connections)
	}
	return in.t.exec(ctx, `INSERT INTO sightings (peer, relay, last_seen, connections) VALUES `+tuples(4, len(rows))+
		` ON CONFLICT (peer, relay) DO UPDATE SET last_seen = excluded.last_seen, connections = excluded.connections`, args...)
}

// tuples is the text of n rows of so many parameters.
func tuples(columns, n int) string {
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	return row + strings.Repeat(", "+row, n-1)
}
