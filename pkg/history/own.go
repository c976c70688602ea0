package history

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"errors"

	"github.com/relayfleet/fleetctl/stats"
)

// maxKey is the longest raw public key in bytes.
const maxKey = 2048

// ownKeys learns the keys of the fleet's relays from who answered, and from who should
// have. One that was counted as a peer is not any more.
func (in *ingestion) ownKeys(ctx context.Context, readings []stats.Reading) error {
	for _, r := range readings {
		ids := []string{r.PeerID}
		if id := answerer(r); r.PeerID == "" {
			ids = append(ids, id)
		}
		if known := in.relays[r.Node]; known != nil {
			ids = append(ids, known.peerID)
		}
		for _, id := range ids {
			key, ok := keyInPeerID(id)
			if !ok || in.own[string(key)] {
				continue
			}
			in.own[string(key)] = true
			if err := in.disown(ctx, string(key), "relay", r.Node); err != nil {
				return err
			}
		}
	}
	return nil
}

// disown notes a key of the fleet, and takes what was counted of it as a peer back.
func (in *ingestion) disown(ctx context.Context, key, kind, node string) error {
	err := in.t.exec(ctx, `INSERT OR IGNORE INTO own (key, kind, node, since) VALUES (?, ?, ?, ?)`, []byte(key), kind, clean(node, 80), in.at)
	if err != nil {
		return err
	}
	id, relays, counted, err := in.uncount(ctx, key)
	if err != nil || !counted {
		return err
	}
	in.overlap[relays]--
	if kind == "relay" {
		in.warn("%s: its key was counted as a peer: it is not any more", node)
	}
	return in.t.exec(ctx, `UPDATE peers SET own = 1 WHERE id = ?`, id)
}

// uncount takes a peer out of the counts of the relays that know it.
func (in *ingestion) uncount(ctx context.Context, key string) (id, relays int64, counted bool, err error) {
	var own bool
	err = in.t.one(ctx, `SELECT id, relays, own FROM peers WHERE key = ?`, []any{[]byte(key)}, &id, &relays, &own)
	if errors.Is(err, sql.ErrNoRows) || err == nil && own {
		return id, relays, false, nil
	}
	if err != nil {
		return 0, 0, false, err
	}
	var knowers []int64
	err = each(ctx, in.t, `SELECT relay FROM sightings WHERE peer = ?`, []any{id}, func(scan func(...any) error) error {
		var relay int64
		err := scan(&relay)
		knowers = append(knowers, relay)
		return err
	})
	if err != nil {
		return 0, 0, false, err
	}
	for _, r := range in.relays {
		for _, knower := range knowers {
			if r.id == knower {
				r.peers--
			}
		}
	}
	for _, knower := range knowers {
		if err := in.t.exec(ctx, `UPDATE relays SET peers = peers - 1 WHERE id = ?`, knower); err != nil {
			return 0, 0, false, err
		}
	}
	return id, relays, true, nil
}

// buried reports whether the peer of a key was forgotten.
func (in *ingestion) buried(key []byte) bool { return in.graves[string(graveOf(in.salt, key))] }

// graveOf is what stays of a key that was forgotten.
func graveOf(salt, key []byte) []byte {
	h := hmac.New(sha256.New, salt)
	h.Write(key)
	return h.Sum(nil)
}

// keyInPeerID is the raw public key in a peer ID that has one: those of Ed25519
// ("12D3KooW…") and of secp256k1 ("16Uiu2HA…").
func keyInPeerID(id string) ([]byte, bool) {
	hash, ok := multihash(id)
	if !ok || len(hash) < 4 || hash[0] != 0 || int(hash[1]) != len(hash)-2 {
		return nil, false
	}
	key := hash[2:] // protobuf: 1 is the type, 2 the key
	if len(key) < 5 || key[0] != 0x08 || key[2] != 0x12 || int(key[3]) != len(key)-4 {
		return nil, false
	}
	return key[4:], true
}

// isPeerIDOf reports whether an id is the hash of a key of a kind whose IDs are hashes:
// RSA (type 0) and ECDSA (type 3).
func isPeerIDOf(hash, key []byte) bool {
	for _, kind := range []byte{0, 3} {
		text := append([]byte{0x08, kind, 0x12}, uvarint(len(key))...)
		sum := sha256.Sum256(append(text, key...))
		if bytes.Equal(hash, append([]byte{0x12, 32}, sum[:]...)) {
			return true
		}
	}
	return false
}

func uvarint(n int) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	return []byte{byte(n) | 0x80, byte(n >> 7)}
}
