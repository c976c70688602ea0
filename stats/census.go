package stats

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"
)

// Census is the answer of /api/bootstrap/census: a summary of a relay's registry.
type Census struct {
	Enabled             bool           `json:"enabled"`
	LifetimeUniquePeers uint64         `json:"lifetime_unique_peers"`
	ActiveLast24h       uint64         `json:"active_last_24h"`
	ActiveLast7d        uint64         `json:"active_last_7d"`
	ByTier              map[string]int `json:"by_tier"`
	ByAddressType       map[string]int `json:"by_address_type"`
	GeneratedAt         int64          `json:"generated_at"` // UNIX seconds
}

// CensusEntry is one peer in bootnode-peers.json, the registry of a relay.
type CensusEntry struct {
	PeerPubkey      string `json:"peer_pubkey"` // the raw public key in standard base64; 32 bytes for Ed25519
	LastPeerID      string `json:"last_peer_id"`
	FirstSeenAt     int64  `json:"first_seen_at"` // UNIX seconds
	LastSeenAt      int64  `json:"last_seen_at"`  // UNIX seconds
	Tier            string `json:"tier"`
	AddressType     string `json:"address_type"` // see [AddressTypes]
	ConnectionCount uint64 `json:"connection_count"`
	Transport       string `json:"transport,omitempty"` // of the last connection: "tcp", "quic-v1", "ws", "other"; "" is unknown
	Agent           string `json:"agent,omitempty"`     // "name/version" of the last identify, bounded; "" is unknown
}

// MergeEntries is what two registries know together, one entry for each public key:
// the earliest and the latest sight, the larger connection count, and the peer ID, tier
// and address type of the latest. It does not matter in which order or how often a
// registry is merged in. The result is new, never nil, and sorted by first sight, then
// key. An entry whose key is not base64 is kept under its text.
func MergeEntries(a, b []CensusEntry) []CensusEntry {
	type keyed struct {
		key string
		CensusEntry
	}
	all := make([]keyed, 0, len(a)+len(b))
	for _, list := range [][]CensusEntry{a, b} {
		for _, e := range list {
			key, ok := rawKey(e.PeerPubkey)
			if !ok {
				key = []byte(e.PeerPubkey)
			} else {
				e.PeerPubkey = base64.StdEncoding.EncodeToString(key)
			}
			all = append(all, keyed{string(key), e})
		}
	}
	slices.SortFunc(all, func(x, y keyed) int { return cmp.Compare(x.key, y.key) })
	out := make([]CensusEntry, 0, len(all))
	for i, e := range all {
		if i > 0 && all[i-1].key == e.key {
			out[len(out)-1] = mergeEntry(out[len(out)-1], e.CensusEntry)
			continue
		}
		out = append(out, e.CensusEntry)
	}
	slices.SortFunc(out, func(x, y CensusEntry) int {
		return cmp.Or(cmp.Compare(x.FirstSeenAt, y.FirstSeenAt), cmp.Compare(x.PeerPubkey, y.PeerPubkey))
	})
	return out
}

// mergeEntry is commutative, associative and idempotent.
func mergeEntry(a, b CensusEntry) CensusEntry {
	newer := a
	if later(a, b) < 0 {
		newer = b
	}
	newer.FirstSeenAt = min(a.FirstSeenAt, b.FirstSeenAt)
	newer.ConnectionCount = max(a.ConnectionCount, b.ConnectionCount)
	return newer
}

// later orders two entries of one peer by their last sight; the texts only decide
// between equals, so that the outcome does not depend on who came first.
func later(a, b CensusEntry) int {
	return cmp.Or(cmp.Compare(a.LastSeenAt, b.LastSeenAt), cmp.Compare(a.LastPeerID, b.LastPeerID),
		cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.AddressType, b.AddressType), cmp.Compare(a.Transport, b.Transport),
		cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.PeerPubkey, b.PeerPubkey))
}

// maxKey is the longest raw public key in bytes: RSA of 8192 bits is shorter.
const maxKey = 2048

// rawKey decodes a public key as the registry writes it.
func rawKey(text string) ([]byte, bool) {
	if text == "" || len(text) > base64.StdEncoding.EncodedLen(maxKey) {
		return nil, false
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 || len(key) > maxKey {
		return nil, false
	}
	return key, true
}

// ed25519PeerID is how the multihash of an Ed25519 peer ID begins: identity, 36 bytes,
// a protobuf of key type 1 and 32 bytes.
func ed25519PeerID() []byte { return []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20} }

// keyOfPeer is the public key in the text of an Ed25519 peer ID ("12D3KooW…"). Peer
// IDs of other kinds are hashes, which have no key in them.
func keyOfPeer(id string) ([32]byte, bool) {
	raw, ok := base58(id)
	if !ok || len(raw) != 38 || !bytes.HasPrefix(raw, ed25519PeerID()) {
		return [32]byte{}, false
	}
	return [32]byte(raw[6:]), true
}

// base58 decodes text in the alphabet of Bitcoin, as peer IDs are written.
func base58(text string) ([]byte, bool) {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	if text == "" || len(text) > 64 {
		return nil, false
	}
	digits := make([]byte, 0, 48) // base 256, least significant first
	for i := range len(text) {
		carry := bytes.IndexByte([]byte(alphabet), text[i])
		if carry < 0 {
			return nil, false
		}
		for j := range digits {
			carry += int(digits[j]) * 58
			digits[j] = byte(carry)
			carry >>= 8
		}
		for ; carry > 0; carry >>= 8 {
			digits = append(digits, byte(carry))
		}
	}
	for i := 0; i < len(text) && text[i] == '1'; i++ {
		digits = append(digits, 0)
	}
	slices.Reverse(digits)
	return digits, true
}
