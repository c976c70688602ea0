package history

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Forgotten is what was erased of one peer.
type Forgotten struct {
	Peer   string    `json:"peer"` // as it was given
	At     time.Time `json:"at"`
	Known  bool      `json:"known"`  // there was something to erase
	Relays int       `json:"relays"` // that knew it, as far as the store tells
}

// Forget erases everything about one peer, given by its peer ID or its raw public key
// (base64 or hex), in one transaction, and overwrites where it stood. A salted hash of the
// key stays, by which the peer is left out when a relay's census names it again; a peer
// that was never seen gets one too, unless its peer ID is a hash. Sums of the past keep
// what they were. The relays' own censuses are not touched.
func (s *Store) Forget(ctx context.Context, at time.Time, peer string) (Forgotten, error) {
	name, err := parsePeer(peer)
	if err != nil {
		return Forgotten{}, err
	}
	out := Forgotten{Peer: clean(peer, 200), At: at.UTC().Truncate(time.Second)}
	err = s.write(ctx, func(t *txn) error {
		in := &ingestion{t: t, at: at.Unix(), sum: Summary{At: out.At}, relays: make(map[string]*relayRow), overlap: make(map[int64]int64)}
		return in.forget(ctx, name, &out)
	})
	if err != nil {
		return Forgotten{}, err
	}
	// What was erased may still stand in the write-ahead log.
	var busy, frames, done int
	err = one(ctx, s.writer, `PRAGMA wal_checkpoint(TRUNCATE)`, nil, &busy, &frames, &done)
	if err == nil && busy != 0 {
		err = hinted{errors.New("history: the peer is erased, but somebody reads the history and its write-ahead log is not empty yet"),
			"end the other readers and run the same command again"}
	}
	return out, s.explain(err)
}

func (in *ingestion) forget(ctx context.Context, name peerName, out *Forgotten) error {
	key, err := in.keyOf(ctx, name)
	if err != nil || key == nil {
		return err
	}
	var id, relays int64
	var own bool
	switch err := in.t.one(ctx, `SELECT id, own FROM peers WHERE key = ?`, []any{key}, &id, &own); {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	default:
		out.Known = true
		if !own {
			if _, relays, _, err = in.uncount(ctx, string(key)); err != nil {
				return err
			}
			out.Relays = int(relays)
			if err := in.t.exec(ctx, `UPDATE overlap SET peers = peers - 1 WHERE relays = ?`, relays); err != nil {
				return err
			}
		}
	}
	for _, erase := range []struct {
		text string
		arg  any
	}{
		{`DELETE FROM sightings WHERE peer = ?`, id},
		{`DELETE FROM peers WHERE id = ?`, id},
		{`INSERT OR IGNORE INTO tombstones (hash) SELECT ?`, nil},
	} {
		if erase.arg == nil {
			var salt []byte
			if err := in.t.one(ctx, `SELECT salt FROM meta`, nil, &salt); err != nil {
				return err
			}
			erase.arg = graveOf(salt, key)
		}
		if err := in.t.exec(ctx, erase.text, erase.arg); err != nil {
			return err
		}
	}
	return in.event(ctx, "", EventForgot, "a peer was erased on demand")
}

// keyOf is the key of a peer; nil if its name is a hash that nobody known has.
func (in *ingestion) keyOf(ctx context.Context, name peerName) ([]byte, error) {
	if name.key != nil {
		return name.key, nil
	}
	var found []byte
	err := each(ctx, in.t, `SELECT key FROM peers WHERE length(key) > 33`, nil, func(scan func(...any) error) error {
		var key []byte
		err := scan(&key)
		if err == nil && isPeerIDOf(name.hash, key) {
			found = key
		}
		return err
	})
	return found, err
}
