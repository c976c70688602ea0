package history

import (
	"context"
	"crypto/rand"
	"fmt"
)

// version of the schema, in PRAGMA user_version. Version n is made of n-1 by
// migrations()[n-1].
const version = 3

// appID marks a file as ours, in PRAGMA application_id: "rfth".
const appID = 0x72667468

// migrations are the statements that make each version of the one before.
func migrations() [][]string { return [][]string{schemaV1(), schemaV2(), schemaV3()} }

// schemaV1 is the first schema. Times are UNIX seconds UTC. Ids of relays are 1 and up;
// relay 0 is the fleet as a whole.
func schemaV1() []string {
	return []string{
		// One row: what is remembered of the store itself.
		`CREATE TABLE meta (
	salt BLOB NOT NULL,                 -- of the hashes in tombstones
	last INTEGER NOT NULL DEFAULT 0,    -- time of the last collection, also if it is not the latest
	clock INTEGER NOT NULL DEFAULT 0,   -- that time as far as it is believed: retention goes by it
	tidied INTEGER NOT NULL DEFAULT 0,  -- when samples were made coarser last
	grouped INTEGER NOT NULL DEFAULT 0  -- when peers were last counted by group
) STRICT`,
		`CREATE TABLE relays (
	id INTEGER PRIMARY KEY,
	node TEXT NOT NULL UNIQUE,
	region TEXT NOT NULL,
	peer_id TEXT NOT NULL DEFAULT '',
	registry TEXT NOT NULL DEFAULT '',  -- the life of its census
	cursor TEXT NOT NULL DEFAULT '',    -- how far its census was read
	epoch TEXT NOT NULL DEFAULT '',     -- the life of its counters
	tried INTEGER NOT NULL DEFAULT 0,
	answered INTEGER NOT NULL DEFAULT 0,
	census INTEGER NOT NULL DEFAULT 0,  -- when its census was last read to its end
	retired INTEGER,                    -- NULL: in the fleet
	error TEXT NOT NULL DEFAULT '',
	skew INTEGER NOT NULL DEFAULT 0,    -- seconds by which its clock is ahead
	old INTEGER NOT NULL DEFAULT 0,
	damaged TEXT NOT NULL DEFAULT '[]', -- JSON
	gauges TEXT,                        -- JSON
	peers INTEGER NOT NULL DEFAULT 0    -- that it knows, without the fleet's own
) STRICT`,
		// When a relay was in the fleet; until is NULL for now.
		`CREATE TABLE members (relay INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER) STRICT`,
		// Keys of the fleet's relays and probes, which are no peers.
		`CREATE TABLE own (key BLOB PRIMARY KEY, kind TEXT NOT NULL, node TEXT NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
		`CREATE TABLE peers (
	id INTEGER PRIMARY KEY,
	key BLOB NOT NULL UNIQUE,           -- the raw public key
	first_seen INTEGER NOT NULL,
	last_seen INTEGER NOT NULL,
	relay INTEGER NOT NULL,             -- that saw it last
	relays INTEGER NOT NULL,            -- how many know it
	tier TEXT NOT NULL,
	family TEXT NOT NULL,
	transport TEXT NOT NULL,
	agent TEXT NOT NULL,                -- "name/version"
	days INTEGER NOT NULL,              -- bit n: seen on the UTC day last_seen/86400 - n
	weeks INTEGER NOT NULL,             -- bit n: seen in the UTC week (last_seen/86400+3)/7 - n, from Monday
	own INTEGER NOT NULL DEFAULT 0      -- 1: a key of the fleet, counted nowhere
) STRICT`,
		`CREATE INDEX peers_last_seen ON peers (last_seen) WHERE own = 0`,
		`CREATE INDEX peers_first_seen ON peers (first_seen) WHERE own = 0`,
		`CREATE TABLE sightings (
	peer INTEGER NOT NULL,
	relay INTEGER NOT NULL,
	last_seen INTEGER NOT NULL,
	connections INTEGER NOT NULL,       -- the most that a life of its census counted
	PRIMARY KEY (peer, relay)
) STRICT, WITHOUT ROWID`,
		// How many peers exactly so many relays know. The sum is all peers.
		`CREATE TABLE overlap (relays INTEGER PRIMARY KEY, peers INTEGER NOT NULL) STRICT`,
		// The highest that each life of counters reached, JSON.
		`CREATE TABLE lives (epoch TEXT PRIMARY KEY, counters TEXT NOT NULL) STRICT, WITHOUT ROWID`,
		`CREATE TABLE processes (node TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID`,
		`CREATE TABLE totals (
	relay INTEGER NOT NULL, name TEXT NOT NULL, label TEXT NOT NULL, value INTEGER NOT NULL,
	PRIMARY KEY (relay, name, label)
) STRICT, WITHOUT ROWID`,
		// What counters grew by: step 60 for the fleet, 3600 and 86400 for each relay.
		`CREATE TABLE counted (
	step INTEGER NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, relay INTEGER NOT NULL, label TEXT NOT NULL,
	value INTEGER NOT NULL,
	since INTEGER NOT NULL,             -- of the collection before
	PRIMARY KEY (step, name, at, relay, label)
) STRICT, WITHOUT ROWID`,
		// Users connected at the ends of minutes: step 60, 3600 or 86400; relay 0 is the sum.
		`CREATE TABLE concurrent (
	step INTEGER NOT NULL, relay INTEGER NOT NULL, at INTEGER NOT NULL,
	minutes INTEGER NOT NULL,           -- that are known of the step
	relays INTEGER NOT NULL,            -- known in each of them, added up
	users INTEGER NOT NULL,             -- in each of them, added up
	most INTEGER NOT NULL,              -- in one of them
	PRIMARY KEY (step, relay, at)
) STRICT, WITHOUT ROWID`,
		`CREATE TABLE collections (
	at INTEGER PRIMARY KEY,
	asked INTEGER NOT NULL, answered INTEGER NOT NULL,
	missing TEXT NOT NULL,              -- JSON: nodes that did not answer
	unread TEXT NOT NULL                -- JSON: nodes whose census was not read whole
) STRICT`,
		// What was so at a collection.
		`CREATE TABLE figures (
	at INTEGER NOT NULL, metric TEXT NOT NULL, label TEXT NOT NULL, value INTEGER NOT NULL,
	PRIMARY KEY (metric, at, label)
) STRICT, WITHOUT ROWID`,
		`CREATE TABLE events (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, node TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL) STRICT`,
		`CREATE INDEX events_at ON events (at)`,
		// Salted hashes of the keys of peers that were forgotten.
		`CREATE TABLE tombstones (hash BLOB PRIMARY KEY) STRICT, WITHOUT ROWID`,
		// Rows of old CSV files.
		`CREATE TABLE imported (
	at INTEGER NOT NULL, relay INTEGER NOT NULL, connected INTEGER, peak INTEGER, nat TEXT NOT NULL, uptime INTEGER,
	PRIMARY KEY (at, relay)
) STRICT, WITHOUT ROWID`,
	}
}

// schemaV2 notes in rolled the newest minute that became part of its hour, so that one that
// is told again does not count twice. In a store of before, all hours that are there did.
func schemaV2() []string {
	return []string{
		`ALTER TABLE meta ADD COLUMN rolled INTEGER NOT NULL DEFAULT 0`,
		`UPDATE meta SET rolled = (SELECT COALESCE(MAX(at + step - 60), 0) FROM concurrent WHERE step > 60)`,
	}
}

// schemaV3 tells what a relay had counted before it was first read from what it counted
// since: samples of the first kind, which had no collection before them, are dropped.
func schemaV3() []string {
	return []string{
		`ALTER TABLE relays ADD COLUMN counted INTEGER NOT NULL DEFAULT 0`, // when its counters were first read; 0: never
		`UPDATE relays SET counted = COALESCE((SELECT MIN(since) FROM counted WHERE relay = relays.id AND since > 0), answered)`,
		`DELETE FROM counted WHERE since = 0`,
	}
}

// migrate brings the store to [version], in one transaction.
func (s *Store) migrate(ctx context.Context) error {
	return s.write(ctx, func(t *txn) error {
		var have, id int
		if err := t.one(ctx, `PRAGMA user_version`, nil, &have); err != nil {
			return err
		}
		if err := t.one(ctx, `PRAGMA application_id`, nil, &id); err != nil {
			return err
		}
		switch {
		case have > version:
			return newer(s.path, have)
		case have > 0 && id != appID:
			return foreign(s.path)
		case have == version:
			return nil
		}
		if have == 0 {
			var tables int
			if err := t.one(ctx, `SELECT COUNT(*) FROM sqlite_schema`, nil, &tables); err != nil {
				return err
			}
			if tables > 0 {
				return foreign(s.path)
			}
		}
		for _, statements := range migrations()[have:] {
			for _, text := range statements {
				if err := t.exec(ctx, text); err != nil {
					return err
				}
			}
		}
		if have == 0 {
			salt := make([]byte, 32)
			_, _ = rand.Read(salt) // never fails
			if err := t.exec(ctx, `INSERT INTO meta (salt) VALUES (?)`, salt); err != nil {
				return err
			}
		}
		if err := t.exec(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, appID)); err != nil {
			return err
		}
		return t.exec(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version))
	})
}
