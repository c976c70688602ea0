package stats

import (
	"crypto/sha256"
	"encoding/base64"
)

// keyOf is a public key as 32 bytes: those of an Ed25519 key, which nearly all are; of a
// longer one, and of a text that is no base64, the SHA-256. It does not allocate for
// Ed25519.
func keyOf(text string) [32]byte {
	var buf [36]byte // 44 characters decode to at most 33 bytes
	if len(text) == base64.StdEncoding.EncodedLen(sha256.Size) {
		var in [44]byte
		copy(in[:], text)
		if n, err := base64.StdEncoding.Decode(buf[:], in[:]); err == nil && n == sha256.Size {
			return [32]byte(buf[:32])
		}
	}
	if raw, ok := rawKey(text); ok {
		return keyOfRaw(raw)
	}
	return sha256.Sum256([]byte("text " + text))
}

// keyOfRaw is what keyOf is of the text of a raw key.
func keyOfRaw(raw []byte) [32]byte {
	if len(raw) == sha256.Size {
		return [32]byte(raw)
	}
	return sha256.Sum256(append([]byte("key "), raw...))
}

// fleetKeys are the public keys of the relays themselves, as far as their peer IDs tell.
func fleetKeys(readings []Reading) [][32]byte {
	own := make([][32]byte, 0, len(readings))
	for _, r := range readings {
		for _, id := range []string{r.PeerID, r.answerer()} {
			if key, ok := keyOfPeer(id); ok {
				own = append(own, key)
			}
		}
	}
	return own
}
