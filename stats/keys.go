package stats

import "encoding/base64"

// keys is a set of public keys. Ed25519 keys, nearly all of them, are kept as their
// 32 bytes; longer ones and texts that are no base64 as they are.
type keys struct {
	short map[[32]byte]struct{}
	long  map[string]struct{}
	known bool // a registry was read
}

// newKeys makes room for the largest registry: those of a fleet overlap.
func newKeys(readings []Reading) *keys {
	most := 0
	for _, r := range readings {
		most = max(most, len(r.Registry))
	}
	return &keys{short: make(map[[32]byte]struct{}, most), long: make(map[string]struct{})}
}

func (k *keys) len() uint64 { return uint64(len(k.short)) + uint64(len(k.long)) }

// add takes a registry in, and returns how many peers it knows: one for each key, the
// fleet's own left out.
func (k *keys) add(entries []CensusEntry, own map[[32]byte]struct{}) uint64 {
	k.known = true
	seen := keys{short: make(map[[32]byte]struct{}, len(entries)), long: make(map[string]struct{})}
	for i := range entries {
		short, long := keyOf(entries[i].PeerPubkey)
		if long != "" {
			seen.long[long] = struct{}{}
			k.long[long] = struct{}{}
			continue
		}
		if _, ours := own[short]; ours {
			continue
		}
		seen.short[short] = struct{}{}
		k.short[short] = struct{}{}
	}
	return seen.len()
}

// keyOf decodes a key of 32 bytes without allocating. Of any other it returns the text.
func keyOf(text string) (short [32]byte, long string) {
	var buf [36]byte // 44 characters decode to at most 33 bytes
	if len(text) == base64.StdEncoding.EncodedLen(len(short)) {
		var in [44]byte
		copy(in[:], text)
		if n, err := base64.StdEncoding.Decode(buf[:], in[:]); err == nil && n == len(short) {
			return [32]byte(buf[:32]), ""
		}
	}
	if raw, ok := rawKey(text); ok && len(raw) == len(short) {
		return [32]byte(raw), ""
	} else if ok {
		return short, "k" + string(raw)
	}
	return short, "t" + text
}

// fleetKeys are the public keys of the relays themselves, as far as their peer IDs tell.
func fleetKeys(readings []Reading) map[[32]byte]struct{} {
	own := make(map[[32]byte]struct{}, len(readings))
	for _, r := range readings {
		ids := []string{r.PeerID}
		if r.Report != nil {
			ids = append(ids, r.Report.PeerID)
		}
		for _, id := range ids {
			if key, ok := keyOfPeer(id); ok {
				own[key] = struct{}{}
			}
		}
	}
	return own
}
