// Package bigmerge counts the peers of many censuses together, exactly and in one pass,
// however many they are: what does not fit into the memory that it may use goes to disk.
//
// A [Merger] keeps peers in a [stats.Peers]. When that is full, it is written to a file,
// sorted by key (a run), and begins again empty; at the end the runs and the rest are
// merged, so that each peer comes up once. The files have no name: they are removed as
// soon as they are open, and are gone when the process ends, however it ends.
package bigmerge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Options bound a merge.
type Options struct {
	Dir    string     // where runs are written; "" is the directory for temporary files
	Memory int64      // bytes for peers in memory, at least 16 MiB; 0 is 512 MiB
	Own    [][32]byte // the keys of the fleet's own relays, which are no peers
}

const (
	defaultMemory = 512 << 20
	leastMemory   = 16 << 20
	// maxRuns is how many files are open at most: beyond it, runs are merged into one.
	maxRuns = 64
)

// Merger counts peers. Give it one census after the other, then ask for the result, and
// close it in any case. Not safe for concurrent use.
type Merger struct {
	o       Options
	most    int // peers in memory
	peers   *stats.Peers
	runs    []*run
	written int               // how many runs were
	doubled map[uint32]uint64 // by census: peers that it counted twice, in two runs
	spilled int64
	err     error // of the disk: nothing goes on after it
}

// Result is what all censuses have together.
type Result struct {
	stats.Tally
	Counts  []uint64 // by census: its different peers, without the fleet's own
	Own     int      // how many of the fleet's own relays are in a census
	Runs    int      // that were written to disk
	Spilled int64    // bytes that were
}

// New is a merger that has read nothing.
func New(o Options) *Merger {
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	o.Memory = max(o.Memory, leastMemory)
	return &Merger{o: o, most: int(o.Memory / stats.SightBytes), peers: stats.NewPeers(o.Own), doubled: make(map[uint32]uint64)}
}

// Begin begins the next census.
func (m *Merger) Begin() { m.peers.Begin() }

// Add takes in a peer of the census that was begun, by [stats.Row.Key]: UNIX seconds of
// its first and its last sight. Errors are those of the disk.
func (m *Merger) Add(key [32]byte, first, last int64) error {
	if m.err != nil {
		return m.err
	}
	m.peers.Add(key, first, last)
	if m.peers.Len() >= m.most {
		m.err = m.spill()
	}
	return m.err
}

// AddCensus begins a census and reads it as [stats.ScanRegistry] does and with its errors:
// what could be read counts, but for probes.
func (m *Merger) AddCensus(ctx context.Context, r io.Reader, now time.Time, o stats.ScanOptions) error {
	m.Begin()
	rows := 0
	return stats.ScanRegistry(r, now, o, func(row *stats.Row) error {
		if rows++; rows%10_000 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if row.IsProbe() {
			return nil
		}
		return m.Add(row.Key(), row.FirstSeenAt, row.LastSeenAt)
	})
}

// Result counts, and gives every peer to each, if that is not nil, in the order of the
// keys. It ends the merge: nothing is added afterwards.
func (m *Merger) Result(ctx context.Context, now time.Time, each func(*stats.Sight) error) (Result, error) {
	if m.err != nil {
		return Result{}, m.err
	}
	tally := stats.NewTally(now)
	count := func(s *stats.Sight) error {
		tally.Add(s)
		if tally.Peers%10_000 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if each == nil {
			return nil
		}
		return each(s)
	}
	if err := m.all(count, each != nil); err != nil {
		return Result{}, err
	}
	out := Result{Tally: *tally, Counts: slices.Clone(m.peers.Counts()), Own: m.peers.Own(), Runs: m.written, Spilled: m.spilled}
	for census, n := range m.doubled {
		out.Counts[census-1] -= n
	}
	return out, nil
}

// all gives every peer once. Without a run, order costs a sort.
func (m *Merger) all(each func(*stats.Sight) error, order bool) error {
	if len(m.runs) == 0 && order {
		return m.peers.Drain(each)
	}
	if len(m.runs) == 0 {
		for s := range m.peers.All() {
			if err := each(s); err != nil {
				return err
			}
		}
		return nil
	}
	if m.peers.Len() > 0 {
		if err := m.spill(); err != nil {
			m.err = err
			return err
		}
	}
	return m.merge(each)
}

// spill writes the peers in memory to a run.
func (m *Merger) spill() error {
	if len(m.runs) >= maxRuns {
		if err := m.compact(); err != nil {
			return err
		}
	}
	r, err := newRun(m.o.Dir)
	if err != nil {
		return err
	}
	m.runs = append(m.runs, r)
	m.written++
	err = m.peers.Drain(r.write)
	m.spilled += r.bytes
	return errors.Join(err, r.flush())
}

// compact merges all runs into one.
func (m *Merger) compact() error {
	into, err := newRun(m.o.Dir)
	if err != nil {
		return err
	}
	if err := errors.Join(m.merge(into.write), into.flush(), m.Close()); err != nil {
		return errors.Join(err, into.file.Close())
	}
	m.spilled += into.bytes
	m.runs = []*run{into}
	return nil
}

// merge gives every peer of the runs once.
func (m *Merger) merge(each func(*stats.Sight) error) error {
	readers := make([]stats.SightReader, 0, len(m.runs))
	for _, r := range m.runs {
		if err := r.rewind(); err != nil {
			return err
		}
		readers = append(readers, r)
	}
	return stats.MergeSights(readers, each, func(census uint32) { m.doubled[census]++ })
}

// Close gives the disk back. It may be called at any time and more than once.
func (m *Merger) Close() error {
	var errs []error
	for _, r := range m.runs {
		errs = append(errs, r.file.Close())
	}
	m.runs = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("merge on disk: %w", err)
	}
	return nil
}
