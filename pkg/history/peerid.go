package history

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/mr-tron/base58"
)

// multihash decodes a peer ID: base58, or a CID of version 1 in base32 ("bafz…").
func multihash(id string) ([]byte, bool) {
	if len(id) < 8 || len(id) > 128 {
		return nil, false
	}
	if strings.HasPrefix(id, "b") {
		if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(id[1:])); err == nil &&
			len(raw) > 2 && raw[0] == 0x01 && raw[1] == 0x72 {
			return raw[2:], true
		}
	}
	raw, err := base58.Decode(id)
	return raw, err == nil && len(raw) > 2
}

// peerName is what an operator calls a peer by: its key, or the hash that its peer ID is.
type peerName struct{ key, hash []byte }

// parsePeer reads a peer ID, or a raw public key in base64 or hex.
func parsePeer(text string) (peerName, error) {
	text = strings.TrimSpace(text)
	if raw, err := hex.DecodeString(text); err == nil && len(raw) >= 32 && len(raw) <= maxKey {
		return peerName{key: raw}, nil
	}
	if key, ok := keyInPeerID(text); ok {
		return peerName{key: key}, nil
	}
	if hash, ok := multihash(text); ok && len(hash) == 34 && hash[0] == 0x12 && hash[1] == 32 {
		return peerName{hash: hash}, nil
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) >= 32 && len(raw) <= maxKey {
		return peerName{key: raw}, nil
	}
	return peerName{}, hinted{
		fmt.Errorf("peer %q: no peer ID and no public key", clean(text, 80)),
		"give the peer ID (12D3KooW…) or the public key in base64 or hex",
	}
}
