package stats

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Row is one peer in a census that is read as a stream. It is valid until the next one.
type Row struct {
	FirstSeenAt     int64 // UNIX seconds, never after LastSeenAt
	LastSeenAt      int64 // UNIX seconds, never after the time of the reading
	ConnectionCount uint64
	Ahead           time.Duration // how far LastSeenAt was in the future; it was taken back to now

	texts [fieldTexts][]byte // in the buffer of the scan or of their own
	key   [32]byte
	other bool // there was a name that is not one of ours
	known *[64]string
}

// The texts of a row, by the order in which a registry has them.
const (
	fieldKey = iota
	fieldPeer
	fieldTier
	fieldAddress
	fieldTransport
	fieldAgent
	fieldTexts
)

// Key is the public key as 32 bytes: those of an Ed25519 key, the SHA-256 of any other.
func (r *Row) Key() [32]byte { return r.key }

// Entry is the row by itself, to be kept.
func (r *Row) Entry() CensusEntry {
	var b strings.Builder // one allocation for both
	b.Grow(len(r.texts[fieldKey]) + len(r.texts[fieldPeer]))
	b.Write(r.texts[fieldKey])
	b.Write(r.texts[fieldPeer])
	return CensusEntry{
		PeerPubkey: b.String()[:len(r.texts[fieldKey])], LastPeerID: b.String()[len(r.texts[fieldKey]):],
		FirstSeenAt: r.FirstSeenAt, LastSeenAt: r.LastSeenAt, ConnectionCount: r.ConnectionCount,
		Tier: r.word(fieldTier), AddressType: r.word(fieldAddress), Transport: r.word(fieldTransport), Agent: r.word(fieldAgent),
	}
}

// word is a text of few: rows share it.
func (r *Row) word(field int) string {
	text := r.texts[field]
	if len(text) == 0 {
		return ""
	}
	if r.known == nil {
		return string(text)
	}
	at := (len(text)*7 + int(text[0]) + int(text[len(text)-1])*31) % len(r.known)
	if string(text) != r.known[at] { // compared without an allocation
		r.known[at] = string(text)
	}
	return r.known[at]
}

// parse reads the object at the beginning of buf if it looks as relays write it, and
// returns how many bytes it has. Of everything that is unusual (escapes, texts beyond
// ASCII, numbers with a sign or a fraction, null, a name twice or in capitals, a row that
// is cut off) it returns 0: that is for encoding/json, and what parse reads encoding/json
// would read likewise.
func (r *Row) parse(buf []byte) int {
	r.texts, r.FirstSeenAt, r.LastSeenAt, r.ConnectionCount = [fieldTexts][]byte{}, 0, 0, 0
	r.other = false
	var seen uint
	pos := skipSpace(buf, 0)
	if pos >= len(buf) || buf[pos] != '{' {
		return 0
	}
	for pos = skipSpace(buf, pos+1); ; pos = skipSpace(buf, pos+1) {
		name, next := plainText(buf, pos)
		if next == 0 {
			return 0
		}
		if pos = skipSpace(buf, next); pos >= len(buf) || buf[pos] != ':' {
			return 0
		}
		pos = skipSpace(buf, pos+1)
		bit, number := fieldOf(name)
		switch {
		case bit < 0 && !isLower(name), bit >= 0 && seen&(1<<bit) != 0:
			return 0
		case bit >= 0:
			seen |= 1 << bit
		default:
			r.other = true
		}
		if pos < len(buf) && buf[pos] == '"' {
			text, next := plainText(buf, pos)
			if next == 0 || number {
				return 0
			}
			if bit >= 0 {
				r.texts[bit] = text
			}
			pos = next
		} else {
			n, next := plainNumber(buf, pos)
			if next == 0 || bit >= 0 && !number {
				return 0
			}
			switch bit {
			case bitFirst:
				r.FirstSeenAt = int64(n)
			case bitLast:
				r.LastSeenAt = int64(n)
			case bitCount:
				r.ConnectionCount = n
			}
			pos = next
		}
		pos = skipSpace(buf, pos)
		if pos >= len(buf) {
			return 0
		}
		switch buf[pos] {
		case ',':
		case '}':
			return pos + 1
		default:
			return 0
		}
	}
}

// The bits of the numbers, after those of the texts.
const (
	bitFirst = fieldTexts + iota
	bitLast
	bitCount
)

// fieldOf is the bit of a field and whether it is a number; -1 for any other name.
func fieldOf(name []byte) (bit int, number bool) {
	switch string(name) {
	case "peer_pubkey":
		return fieldKey, false
	case "last_peer_id":
		return fieldPeer, false
	case "first_seen_at":
		return bitFirst, true
	case "last_seen_at":
		return bitLast, true
	case "tier":
		return fieldTier, false
	case "address_type":
		return fieldAddress, false
	case "connection_count":
		return bitCount, true
	case "transport":
		return fieldTransport, false
	case "agent":
		return fieldAgent, false
	}
	return -1, false
}

// isLower reports whether encoding/json cannot take the name for one of ours, for which
// it ignores case.
func isLower(name []byte) bool {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

func skipSpace(buf []byte, pos int) int {
	for pos < len(buf) && (buf[pos] == ' ' || buf[pos] == '\n' || buf[pos] == '\r' || buf[pos] == '\t') {
		pos++
	}
	return pos
}

// plainText is a JSON string of ASCII without escapes, and where it ends; 0 for another.
func plainText(buf []byte, pos int) ([]byte, int) {
	if pos >= len(buf) || buf[pos] != '"' {
		return nil, 0
	}
	for i, c := range buf[pos+1:] {
		if c == '"' {
			return buf[pos+1 : pos+1+i], pos + i + 2
		}
		if c < ' ' || c == '\\' || c > '~' {
			break
		}
	}
	return nil, 0
}

// plainNumber is a whole number from 0, and where it ends; 0 for another, and for one
// that ends with the buffer.
func plainNumber(buf []byte, pos int) (uint64, int) {
	var n uint64
	from := pos
	for ; pos < len(buf) && '0' <= buf[pos] && buf[pos] <= '9'; pos++ {
		n = n*10 + uint64(buf[pos]-'0')
	}
	digits := pos - from
	if digits == 0 || digits > 18 || digits > 1 && buf[from] == '0' || pos >= len(buf) {
		return 0, 0
	}
	switch buf[pos] {
	case '.', 'e', 'E':
		return 0, 0
	}
	return n, pos
}

// sound reports whether a row that parse read is what check would accept as it is.
func (r *Row) sound(now time.Time) bool {
	text := r.texts[fieldKey]
	if len(text) != base64.StdEncoding.EncodedLen(len(r.key)) || text[43] != '=' {
		return false
	}
	var raw [36]byte // 44 characters decode to at most 33 bytes
	n, err := base64.StdEncoding.Decode(raw[:], text)
	if err != nil || n != len(r.key) || strings.IndexByte(lastDigits, text[42]) < 0 {
		return false
	}
	r.key = [32]byte(raw[:32])
	if limit := now.Unix(); r.FirstSeenAt <= 0 || r.FirstSeenAt > r.LastSeenAt || r.LastSeenAt > limit || r.ConnectionCount > MaxCount {
		return false
	}
	for _, c := range r.texts[fieldPeer] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(r.texts[fieldPeer]) <= maxPeerID && len(r.texts[fieldTier]) <= maxWord && len(r.texts[fieldAddress]) <= maxWord &&
		len(r.texts[fieldTransport]) <= maxWord && len(r.texts[fieldAgent]) <= maxWord
}

// lastDigits are the base64 digits whose last two bits are 0: only they end a key of 32
// bytes in its canonical form.
const lastDigits = "AEIMQUYcgkosw048"

// decode reads one JSON value by encoding/json, and checks it. A [json.SyntaxError] is
// returned as it is.
func (r *Row) decode(text []byte, now time.Time) error {
	var e CensusEntry
	if err := json.Unmarshal(text, &e); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return err
		}
		return explain(err)
	}
	r.Ahead = e.ahead(now)
	if err := e.check(now); err != nil {
		return err
	}
	r.set(e)
	return nil
}

// set is the row of an entry that was checked.
func (r *Row) set(e CensusEntry) {
	for i, text := range [fieldTexts]string{e.PeerPubkey, e.LastPeerID, e.Tier, e.AddressType, e.Transport, e.Agent} {
		r.texts[i] = []byte(text)
	}
	r.FirstSeenAt, r.LastSeenAt, r.ConnectionCount = e.FirstSeenAt, e.LastSeenAt, e.ConnectionCount
	r.key = keyOf(e.PeerPubkey)
}

// rowBegin is how relays begin an entry. Within a JSON string its quotes would be escaped,
// so that what looks like one after a damage is one.
func rowBegin(buf []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(buf[from:], '{')
		if i < 0 {
			return -1
		}
		from += i
		if pos := skipSpace(buf, from+1); bytes.HasPrefix(buf[pos:], []byte(`"peer_pubkey"`)) {
			return from
		}
		from++
	}
}
