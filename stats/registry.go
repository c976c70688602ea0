package stats

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxDamages is how many damaged entries are described.
const maxDamages = 10

// DamagedError tells of the entries that a registry has and that make no sense, and of
// clocks that are wrong. The sound entries were returned beside it.
type DamagedError struct {
	Damaged int      // how many were left out
	Entries int      // of how many; a broken piece of text counts as one
	First   []string // what is wrong with the first of them, at most 10: "entry 3: peer_pubkey: missing"
	// Ahead is how many were seen more than [AheadTold] in the future. They are not left
	// out: they count as seen now. Most is how far the farthest was.
	Ahead int
	Most  time.Duration
}

func (e *DamagedError) Error() string {
	var parts []string
	if e.Damaged > 0 {
		text := fmt.Sprintf("%d of %d entries are damaged: %s", e.Damaged, e.Entries, strings.Join(e.First, "; "))
		if e.Damaged > len(e.First) {
			text += "; …"
		}
		parts = append(parts, text)
	}
	if e.Ahead > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d entries were seen in the future, by up to %s, and count as seen now: a clock is wrong", e.Ahead, e.Entries, e.Most))
	}
	return strings.Join(parts, "; ")
}

// add counts a damaged entry.
func (e *DamagedError) add(err error) {
	if e.Damaged++; e.Damaged <= maxDamages {
		e.First = append(e.First, fmt.Sprintf("entry %d: %v", e.Entries, err))
	}
	e.Entries++
}

// ahead counts a sound entry that was seen so far in the future.
func (e *DamagedError) ahead(d time.Duration) {
	if d > AheadTold {
		e.Ahead++
		e.Most = max(e.Most, d)
	}
}

// ParseRegistry reads bootnode-peers.json, an array of [CensusEntry], as [ScanRegistry]
// does and with its errors; no more than [MaxRegistry] bytes. The result holds what was
// read until an error. It is nil if nothing was a registry, and empty for an empty array.
// Doubles are kept, see [MergeEntries].
func ParseRegistry(r io.Reader, now time.Time) ([]CensusEntry, error) {
	s := newScan(r, now, ScanOptions{Most: MaxRegistry})
	out := []CensusEntry{}
	err := s.scan(func(row *Row) error {
		out = append(out, row.Entry())
		return nil
	})
	if !s.begun {
		return nil, err
	}
	return out, err
}

// ahead is how far in the future the entry was seen; 0 if it was not.
func (e *CensusEntry) ahead(now time.Time) time.Duration {
	return time.Duration(min(max(0, e.LastSeenAt-now.Unix()), maxSkew)) * time.Second
}

// check refuses what no relay would have written. It brings the key into its canonical
// form, and back to now what was seen in the future.
func (e *CensusEntry) check(now time.Time) error {
	key, ok := rawKey(e.PeerPubkey)
	switch {
	case e.PeerPubkey == "":
		return errors.New("peer_pubkey: missing")
	case !ok:
		return fmt.Errorf("peer_pubkey: %q is no key in base64", clean(e.PeerPubkey, 80))
	case e.LastPeerID != "" && !isPeerID(e.LastPeerID):
		return fmt.Errorf("last_peer_id: %q is no peer ID", clean(e.LastPeerID, 80))
	case e.FirstSeenAt == 0:
		return errors.New("first_seen_at: missing")
	case e.LastSeenAt == 0:
		return errors.New("last_seen_at: missing")
	case e.ConnectionCount > MaxCount:
		return fmt.Errorf("connection_count: %d is larger than any count", e.ConnectionCount)
	case e.FirstSeenAt < 0:
		return fmt.Errorf("first_seen_at: %d is before 1970", e.FirstSeenAt)
	case e.FirstSeenAt > e.LastSeenAt:
		return fmt.Errorf("first_seen_at: %d is after last_seen_at", e.FirstSeenAt)
	}
	for _, word := range []struct{ name, text string }{
		{"tier", e.Tier}, {"address_type", e.AddressType}, {"transport", e.Transport}, {"agent", e.Agent},
	} {
		if err := checkWord(word.text); err != nil {
			return fmt.Errorf("%s: %w", word.name, err)
		}
	}
	e.PeerPubkey = base64.StdEncoding.EncodeToString(key)
	e.LastSeenAt = min(e.LastSeenAt, now.Unix())
	e.FirstSeenAt = min(e.FirstSeenAt, e.LastSeenAt)
	return nil
}

// maxWord is the longest text that a peer chose, in bytes.
const maxWord = 256

// checkWord bounds a text that a peer chose.
func checkWord(text string) error {
	if len(text) > maxWord {
		return fmt.Errorf("%d bytes, at most %d are accepted", len(text), maxWord)
	}
	if strings.ContainsRune(text, utf8.RuneError) { // what encoding/json makes of bad bytes
		return fmt.Errorf("%q: invalid UTF-8", text)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return fmt.Errorf("%q: control characters", text)
	}
	return nil
}
