// Package estimate counts different peers roughly, by HyperLogLog, where an exact count is
// more than somebody wants to pay for: 16 KiB however many they are.
//
// Nothing is estimated unless it was asked for. An estimate is offered from [From] peers
// on, where it is much smaller than the exact set, and a figure made of one always has its
// relative standard error beside it.
package estimate

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/relayfleet/fleetctl/stats"
)

// From is from how many peers on an estimate is offered.
const From = 1_000_000

// Offered reports whether there are so many peers that an estimate makes sense.
func Offered(peers uint64) bool { return peers >= From }

// precision is the number of registers, as a power of two.
const precision = 14

// Error is the relative standard error of every estimate: the truth is within it in two
// cases of three, and within three times of it in 997 of 1,000.
func Error() float64 { return 1.04 / math.Sqrt(1<<precision) }

// Salt makes the estimate of one owner. Peers choose their keys: without knowing the salt
// nobody can choose such that the estimate is wrong.
type Salt [16]byte

// Peers is a set of peers that can only be counted, roughly. Not safe for concurrent use.
type Peers struct {
	salt   Salt
	sketch *hyperloglog.Sketch
}

// New is an empty set.
func New(salt Salt) *Peers { return &Peers{salt: salt, sketch: hyperloglog.NewNoSparse()} }

// Add takes in a peer, by [stats.Row.Key]. One that was added before changes nothing.
func (p *Peers) Add(key [32]byte) {
	var text [len(p.salt) + len(key)]byte
	copy(text[:], p.salt[:])
	copy(text[len(p.salt):], key[:])
	sum := sha256.Sum256(text[:])
	p.sketch.InsertHash(binary.BigEndian.Uint64(sum[:]))
}

// Merge adds the peers of another set with the same salt.
func (p *Peers) Merge(other *Peers) error {
	if p.salt != other.salt {
		return errors.New("merge estimates: they have different salts")
	}
	if err := p.sketch.Merge(other.sketch); err != nil {
		return fmt.Errorf("merge estimates: %w", err)
	}
	return nil
}

// Figure is the estimate, with its error. missing names the nodes whose peers are not in
// it, and since is from when the data is; zero is unknown.
func (p *Peers) Figure(missing []string, since time.Time) stats.Figure {
	value := float64(p.sketch.Estimate())
	missing = append([]string{}, missing...)
	slices.Sort(missing)
	return stats.Figure{Value: &value, AtLeast: len(missing) > 0, Missing: missing, Since: stats.Time{Time: since}, Error: Error()}
}
