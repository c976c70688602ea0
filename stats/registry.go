package stats

import (
	"encoding/base64"
	"encoding/json"
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

// DamagedError tells of the entries that a registry has and that make no sense. The
// sound ones were returned beside it.
type DamagedError struct {
	Damaged int      // how many
	Entries int      // of how many
	First   []string // what is wrong with the first of them, at most 10: "entry 3: peer_pubkey: missing"
}

func (e *DamagedError) Error() string {
	text := fmt.Sprintf("%d of %d entries are damaged: %s", e.Damaged, e.Entries, strings.Join(e.First, "; "))
	if e.Damaged > len(e.First) {
		text += "; …"
	}
	return text
}

// ParseRegistry reads bootnode-peers.json as a stream, an array of [CensusEntry].
// Entries are counted from 0. Those that make no sense are left out and told of by a
// [DamagedError]. After any other error (no array, cut off in the middle, larger than
// [MaxRegistry]) the result holds what was read until there. It is nil if nothing was
// a registry, and empty for an empty array. Keys come back in canonical base64;
// doubles are kept, see [MergeEntries].
func ParseRegistry(r io.Reader, now time.Time) ([]CensusEntry, error) {
	in := &bounded{r: r, left: MaxRegistry, entry: MaxRegistryEntry}
	dec := json.NewDecoder(in)
	if t, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("registry: %w", in.explain(err))
	} else if t != json.Delim('[') {
		return nil, fmt.Errorf("registry: %s, accepted is an array", clean(fmt.Sprint(t), 80))
	}
	out := []CensusEntry{}
	var bad DamagedError
	for in.next(); dec.More(); in.next() {
		var e CensusEntry
		err := dec.Decode(&e)
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrong):
			err = explain(err)
		case err != nil:
			return out, fmt.Errorf("registry: entry %d: %w", bad.Entries, in.explain(err))
		default:
			err = e.check(now)
		}
		if err == nil {
			out = append(out, e)
		} else if bad.Damaged++; bad.Damaged <= maxDamages {
			bad.First = append(bad.First, fmt.Sprintf("entry %d: %v", bad.Entries, err))
		}
		bad.Entries++
	}
	if _, err := dec.Token(); err != nil {
		return out, fmt.Errorf("registry: after entry %d: %w", bad.Entries, in.explain(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return out, errors.New("registry: something follows the array")
	}
	if bad.Damaged > 0 {
		return out, fmt.Errorf("registry: %w", &bad)
	}
	return out, nil
}

// check refuses what no relay would have written, and brings the key into its
// canonical form.
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
	}
	if err := checkTime(e.FirstSeenAt, now); err != nil {
		return fmt.Errorf("first_seen_at: %w", err)
	}
	if err := checkTime(e.LastSeenAt, now); err != nil {
		return fmt.Errorf("last_seen_at: %w", err)
	}
	if e.FirstSeenAt > e.LastSeenAt {
		return fmt.Errorf("first_seen_at: %d is after last_seen_at", e.FirstSeenAt)
	}
	if err := checkWord(e.Tier); err != nil {
		return fmt.Errorf("tier: %w", err)
	}
	if err := checkWord(e.AddressType); err != nil {
		return fmt.Errorf("address_type: %w", err)
	}
	e.PeerPubkey = base64.StdEncoding.EncodeToString(key)
	return nil
}

// checkWord bounds a text that a peer chose.
func checkWord(text string) error {
	if len(text) > 256 {
		return fmt.Errorf("%d bytes, at most 256 are accepted", len(text))
	}
	if strings.ContainsRune(text, utf8.RuneError) { // what encoding/json makes of bad bytes
		return fmt.Errorf("%q: invalid UTF-8", text)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return fmt.Errorf("%q: control characters", text)
	}
	return nil
}

var (
	errLarge = fmt.Errorf("larger than %d bytes", MaxRegistry)
	errLong  = fmt.Errorf("longer than %d bytes", MaxRegistryEntry)
)

// bounded is a reader that gives out so many bytes in all, and so many for each entry.
type bounded struct {
	r           io.Reader
	left, entry int64
	err         error // why reading stopped, where that was not the end
}

func (b *bounded) next() { b.entry = MaxRegistryEntry }

func (b *bounded) Read(p []byte) (int, error) {
	switch {
	case b.left <= 0:
		b.err = errLarge
		return 0, b.err
	case b.entry <= 0:
		b.err = errLong
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left, b.entry)])
	b.left -= int64(n)
	b.entry -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// explain prefers the reason of the reader to what the decoder made of it.
func (b *bounded) explain(err error) error {
	switch {
	case b.err != nil:
		return b.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the text is cut off")
	}
	return fmt.Errorf("not JSON: %s", clean(err.Error(), 200))
}
