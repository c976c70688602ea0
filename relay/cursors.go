package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"
)

// reserveAhead is how many changes may come before the next write: hours of a flood.
const reserveAhead = 1 << 20

// cursors is what makes cursors outlive the process: <state>/relay-cursors.json. It is
// written before the census that it belongs to.
type cursors struct {
	Version  int    `json:"version"`  // 1
	Registry string `json:"registry"` // id of the life
	Reserved uint64 `json:"reserved"`
	// Census are the SHA-256 of the census files that this is the life of: the one that
	// is there and the one that is about to replace it. Any other file, and none, is
	// another census.
	Census []string `json:"census"`
}

// parseCursors reads the text of relay-cursors.json.
func parseCursors(text []byte) (cursors, error) {
	var c cursors
	if err := json.Unmarshal(text, &c); err != nil {
		return cursors{}, err
	}
	if c.Version != 1 {
		return cursors{}, fmt.Errorf("version %d: accepted is 1", c.Version)
	}
	if !isID(c.Registry) {
		return cursors{}, errors.New("registry: no 32 hex digits")
	}
	if c.Reserved >= unlimited-reserveAhead {
		return cursors{}, fmt.Errorf("reserved %d", c.Reserved)
	}
	return c, nil
}

// loadCensus reads the census, and goes on with the life that it belongs to.
func (a *archive) loadCensus(now time.Time) {
	var entries []tracked
	text, err := readBounded(filepath.Join(a.dir, censusFile), maxCensusBytes)
	if err == nil {
		var bad, parseErr error
		entries, bad, parseErr = parseCensus(text, now)
		err = errors.Join(bad, parseErr)
	}
	a.setAside(censusFile, err, now)
	if err == nil {
		a.census = digestOf(text)
	}

	var held cursors
	text, err = readBounded(filepath.Join(a.dir, cursorsFile), 1<<20)
	if err == nil {
		held, err = parseCursors(text)
	}
	a.setAside(cursorsFile, err, now)
	goesOn := err == nil && a.census != "" && slices.Contains(held.Census, a.census)
	if goesOn {
		a.ledger.goOn(held)
	}
	if err := a.reserve(a.census); err != nil {
		a.log.Warn("cursors will not outlive this process", slog.Any("cause", err))
	}
	a.ledger.remember(entries, goesOn)
}

// goOn continues the life of an earlier process, beyond all numbers that it may have used.
func (l *ledger) goOn(held cursors) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.registry.life = life{id: held.Registry, last: held.Reserved, reserved: held.Reserved}
}

// remember takes the census of an earlier process in.
func (l *ledger) remember(entries []tracked, goesOn bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counters.Forgotten += l.registry.load(entries, goesOn)
}

// reserve writes which numbers are given away from now on, and to which files they
// belong. Without that, the life ends when they are used up. Callers hold writing.
func (a *archive) reserve(census ...string) error {
	census = slices.DeleteFunc(census, func(digest string) bool { return digest == "" })
	if a.isSealed(censusFile) || a.isSealed(cursorsFile) {
		return nil
	}
	now := a.ledger.lifeNow()
	want := cursors{Version: 1, Registry: now.id, Reserved: now.last + reserveAhead, Census: census}
	if now.reserved == unlimited {
		a.ledger.reserve(want) // the file may be there although writing it failed
	}
	if err := a.write(cursorsFile, want); err != nil {
		return err
	}
	a.ledger.reserve(want)
	return nil
}

func (l *ledger) lifeNow() life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.registry.life
}

func (l *ledger) reserve(c cursors) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.registry.id == c.Registry {
		l.registry.reserved = c.Reserved
	}
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
