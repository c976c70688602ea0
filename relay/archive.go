package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// archive keeps the census and the counters on disk. It never overwrites what it
// could not read.
type archive struct {
	dir    string
	ledger *ledger
	log    *slog.Logger
	put    func(path string, text []byte) error // replaces a file as a whole
	most   int                                  // bytes of a census that is written

	writing sync.Mutex   // one flush at a time; guards census
	census  string       // digest of the census file that is there; "" is none of ours
	written atomic.Int64 // UNIX seconds of the last flush; 0 = never

	// counting is for one write of the counters at a time, and guards counted. Collectors
	// wait for it, so that nobody holds it while a census is written.
	counting sync.Mutex
	counted  *counters // what relay-counters.json has; nil before the first write

	mu       sync.Mutex
	onDisk   map[string]string // by file: digest of what was written last
	warnings map[string]string // by file; for /readyz
	sealed   map[string]bool   // files that could not be set aside
	flushErr error
}

func newArchive(dir string, l *ledger, log *slog.Logger) *archive {
	return &archive{
		dir: dir, ledger: l, log: log, put: replaceFile, most: maxCensusBytes,
		onDisk: make(map[string]string), warnings: make(map[string]string), sealed: make(map[string]bool),
	}
}

// load reads what an earlier process left. A damaged file is set aside and named in the warnings; what
// could be read of it is kept.
func (a *archive) load(now time.Time) {
	text, err := readBounded(filepath.Join(a.dir, countersFile), 1<<20)
	if err == nil {
		var c counters
		if c, err = parseCounters(text); err == nil {
			a.ledger.restore(c)
		}
	}
	a.setAside(countersFile, err, now)
	a.loadCensus(now)
}

// flush writes the counters and the census, both of one moment. Calls queue up.
func (a *archive) flush(now time.Time) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.counting.Lock()
	entries, c := a.ledger.survey(now)
	err := a.writeCounters(c)
	a.counting.Unlock()
	err = errors.Join(a.writeCensus(listed(entries)), err)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushErr = err
	if err == nil {
		a.written.Store(now.Unix())
	}
	return err
}

// writeCensus writes the census, sorted, and before that whose cursors go on with it.
func (a *archive) writeCensus(entries []tracked) error {
	if a.isSealed(censusFile) {
		return nil
	}
	text, err := encode(censusFile, entries)
	if err != nil {
		return err
	}
	if len(text) > a.most {
		return fmt.Errorf("write %s: %d bytes, more than can be read again: the last one stays", censusFile, len(text))
	}
	digest := digestOf(text)
	err = a.reserve(a.census, digest)
	if writeErr := a.replace(censusFile, text); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	a.census = digest
	return err
}

// writeCounters writes the counters. Callers hold counting since they were taken.
func (a *archive) writeCounters(c counters) error {
	if err := a.write(countersFile, c); err != nil {
		return err
	}
	a.counted = &c
	return nil
}

// told is what collectors are told of the counters: what is on disk, after it was brought
// up to date, so that no counter falls when the process dies. Where writing fails it is
// what was written last, and before the first time what is counted now.
func (a *archive) told(now time.Time) counters {
	a.counting.Lock()
	defer a.counting.Unlock()
	c := a.ledger.countersNow(now)
	err := a.writeCounters(c)
	if err != nil {
		a.mu.Lock()
		a.flushErr = err
		a.mu.Unlock()
	}
	if a.counted != nil {
		return *a.counted
	}
	return c
}

func (a *archive) write(name string, content any) error {
	if a.isSealed(name) {
		return nil
	}
	text, err := encode(name, content)
	if err != nil {
		return err
	}
	return a.replace(name, text)
}

func encode(name string, content any) ([]byte, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return append(text, '\n'), nil
}

// replace writes a file unless that is what it holds.
func (a *archive) replace(name string, text []byte) error {
	path, digest := filepath.Join(a.dir, name), digestOf(text)
	a.mu.Lock()
	same := a.onDisk[name] == digest
	a.mu.Unlock()
	if same && exists(path) {
		return nil
	}
	if err := a.put(path, text); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onDisk[name] = digest
	return nil
}

func (a *archive) isSealed(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sealed[name]
}

// takeImport merges a census that was dropped beside ours, if there is one, and
// renames it away.
func (a *archive) takeImport(now time.Time) error {
	path := filepath.Join(a.dir, importFile)
	if a.isSealed(importFile) || !exists(path) {
		return nil
	}
	text, err := readBounded(path, maxCensusBytes)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	entries, bad, err := parseCensus(text, now)
	if err != nil {
		a.setAside(importFile, err, now)
		return nil
	}
	a.ledger.merge(strip(entries))
	// Ours is on disk before the import goes: after a crash in between it is merged
	// again, which changes nothing.
	if err := a.flush(now); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	a.log.Info("census merged", slog.Int("peers", len(entries)))
	if bad != nil {
		a.setAside(importFile, bad, now)
		return nil
	}
	aside := freeName(path + ".merged-" + now.UTC().Format("20060102T150405Z"))
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.warnings, importFile) // an earlier try
	return nil
}
