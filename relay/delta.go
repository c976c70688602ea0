package relay

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/relayfleet/fleetctl/stats"
)

// life is one life of the census. Its changes are numbered from 1, and a number that a
// collector may have heard of is never given to another change: numbers up to reserved
// are on disk as given away, and a process that comes after begins beyond them. A
// census that begins again, or whose numbers cannot be reserved any more, begins a life
// under another id, in which every cursor is unknown.
type life struct {
	id       string // 32 hex digits, random
	last     uint64 // number of the newest change
	reserved uint64 // unlimited while the id is not on disk
}

// unlimited: nobody comes after a life that ends with the process.
const unlimited = math.MaxUint64

func newLife(last uint64) life { return life{id: randomID(), last: last, reserved: unlimited} }

func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// isID reports whether text is what randomID makes.
func isID(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 16 && text == strings.ToLower(text)
}

func (l *life) next() uint64 {
	if l.last >= l.reserved {
		*l = newLife(l.last)
	}
	l.last++
	return l.last
}

// cursor names the state after the n-th change.
func (l *life) cursor(n uint64) string { return l.id + "-" + strconv.FormatUint(n, 10) }

// errCursor is a cursor that no relay made.
var errCursor = errors.New("after: no cursor of a census")

// parseCursor reads a cursor. None at all is before every change of no life.
func parseCursor(text string) (id string, n uint64, err error) {
	if text == "" {
		return "", 0, nil
	}
	id, number, _ := strings.Cut(text, "-")
	n, err = strconv.ParseUint(number, 10, 64)
	if err != nil || !isID(id) || strconv.FormatUint(n, 10) != number {
		return "", 0, fmt.Errorf("%w: %.80q", errCursor, text)
	}
	return id, n, nil
}

// maxDeltaBytes is about how large a page may grow: far below what readers accept.
const maxDeltaBytes = 8 << 20

// after lists what changed since the n-th change, oldest change first, as far as one
// page goes, and the number up to which that is everything.
func (r *registry) after(n uint64) (page []stats.CensusEntry, upTo uint64, more bool) {
	first, _ := slices.BinarySearchFunc(r.changes, n, func(c change, n uint64) int {
		if c.number <= n {
			return -1
		}
		return 1
	})
	size, upTo := 0, n
	for _, c := range r.changes[first:] {
		if r.stale(c) {
			continue
		}
		e := r.entries[c.key].CensusEntry
		if len(page) == stats.DeltaPage || size > maxDeltaBytes {
			return page, upTo, true
		}
		page, upTo = append(page, e), c.number
		size += 256 + len(e.PeerPubkey) + len(e.Tier) + len(e.Agent)
	}
	return page, r.last, false
}

// delta is one page of the answer to a cursor. One that this census did not make is
// answered from the beginning.
func (l *ledger) delta(after string) (stats.Delta, []stats.CensusEntry, stats.DeltaEnd, error) {
	id, n, err := parseCursor(after)
	if err != nil {
		return stats.Delta{}, nil, stats.DeltaEnd{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	head := stats.Delta{Registry: l.registry.id, Full: id != l.registry.id || n > l.registry.last}
	if head.Full {
		n = 0
	}
	page, upTo, more := l.registry.after(n)
	return head, page, stats.DeltaEnd{Cursor: l.registry.cursor(upTo), Entries: len(page), More: more}, nil
}
