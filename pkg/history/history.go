package history

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// FileName is how the store is called under a fleet's state directory.
const FileName = "telemetry.db"

// Options say how a store is opened.
type Options struct {
	// ReadOnly looks only. A store that is not there is [ErrNone], one of an older version
	// [ErrOlder].
	ReadOnly bool
	// Collector takes the lock of collectors until Close; if somebody holds it the error is
	// [ErrLocked]. Writing without it (Forget, Import) is safe beside a collector.
	Collector bool
	Retention Retention // zero fields are those of [DefaultRetention]
}

// Retention says how long samples are kept, and how finely. Keys of peers, with the times
// of their first and last sight, and totals are kept until they are forgotten.
type Retention struct {
	Minutes time.Duration // then a minute becomes part of its hour
	Hours   time.Duration // then an hour becomes part of its day
	Days    time.Duration // then a day is dropped
	Events  time.Duration // then an event is dropped
	Details time.Duration // so long after its last sight a peer keeps no more than its key and its times
}

// DefaultRetention is 3 days of minutes, 35 days of hours, 5 years of days, 400 days of
// events and of a peer's details.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Minutes: 3 * day, Hours: 35 * day, Days: 5 * 365 * day, Events: 400 * day, Details: 400 * day}
}

// filled has the defaults where r has nothing.
func (r Retention) filled() Retention {
	all := DefaultRetention()
	for _, p := range []struct{ have, want *time.Duration }{
		{&r.Minutes, &all.Minutes}, {&r.Hours, &all.Hours}, {&r.Days, &all.Days}, {&r.Events, &all.Events}, {&r.Details, &all.Details},
	} {
		if *p.have <= 0 {
			*p.have = *p.want
		}
	}
	return r
}

// Store is an open history. It is safe for concurrent use.
type Store struct {
	path   string
	keep   Retention
	writer *sql.DB // one connection; nil: open for reading only
	reader *sql.DB
	lock   *flock.Flock // nil: not a collector

	beforeWrite func() error // called before each write; nil outside tests
}

// Open opens the store at a path, making it, readable by its owner alone, if there is
// none. A store of an older version is brought up to date in one transaction; one of a
// newer version is [ErrNewer].
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s := &Store{path: path, keep: o.Retention.filled()}
	if err := s.prepare(o); err != nil {
		return nil, err
	}
	if err := s.connect(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare looks at the file before SQLite does, which would touch it.
func (s *Store) prepare(o Options) error {
	have, err := headerVersion(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && o.ReadOnly:
		return hinted{fmt.Errorf("history: %s: %w", s.path, ErrNone), "run `fleetctl stats collect` first"}
	case errors.Is(err, fs.ErrNotExist):
		return s.create()
	case err != nil:
		return err
	case have > version:
		return newer(s.path, have)
	}
	return nil
}

func (s *Store) create() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return s.explain(err)
	}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return s.explain(err)
	}
	return f.Close()
}

// headerVersion reads user_version from the first page of the file. A file that has
// nothing yet is of version 0.
func headerVersion(path string) (int, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's state directory
	if err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	head := make([]byte, 100)
	switch n, err := io.ReadFull(f, head); {
	case errors.Is(err, io.EOF):
		return 0, nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return 0, fmt.Errorf("history: %w", err)
	case n < len(head) || string(head[:16]) != "SQLite format 3\x00":
		return 0, foreign(path)
	}
	return int(binary.BigEndian.Uint32(head[60:64])), nil
}

func (s *Store) connect(ctx context.Context, o Options) (err error) {
	if o.Collector {
		if s.lock, err = s.takeLock(); err != nil {
			return err
		}
	}
	if !o.ReadOnly {
		s.writer, err = sql.Open("sqlite", dsn(s.path, "_txlock=immediate", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)",
			"_pragma=cache_size(-65536)", "_pragma=secure_delete(1)", "_pragma=temp_store(2)", "_pragma=journal_size_limit(67108864)"))
		if err != nil {
			return s.explain(err)
		}
		s.writer.SetMaxOpenConns(1)
		if err := s.migrate(ctx); err != nil {
			return err
		}
	}
	if s.reader, err = sql.Open("sqlite", dsn(s.path, "_pragma=query_only(1)", "_pragma=cache_size(-16384)")); err != nil {
		return s.explain(err)
	}
	s.reader.SetMaxOpenConns(4)
	var have int
	if err := one(ctx, s.reader, `PRAGMA user_version`, nil, &have); err != nil {
		return s.explain(err)
	}
	switch {
	case have > version: // it stood in the write-ahead log
		return newer(s.path, have)
	case have == 0:
		return hinted{fmt.Errorf("history: %s: %w", s.path, ErrNone), "run `fleetctl stats collect` first"}
	case have < version:
		return hinted{fmt.Errorf("history: %s: %w", s.path, ErrOlder), "run `fleetctl stats collect` once: it brings it up to date"}
	}
	return nil
}

// dsn names the file to the driver. Whatever stands in the path is a part of the path.
func dsn(path string, options ...string) string {
	text := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=trusted_schema(0)"
	for _, o := range options {
		text += "&" + o
	}
	return text
}

// takeLock takes the store for this collector alone. The kernel lets go of the lock when
// the process ends, however it ends.
func (s *Store) takeLock() (*flock.Flock, error) {
	path := s.path + ".lock"
	lock := flock.New(path, flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, s.explain(err)
	}
	if got {
		_ = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600) // for people: the lock itself is the kernel's
		return lock, nil
	}
	failure := fmt.Errorf("history: %s: %w", s.path, ErrLocked)
	text, _ := os.ReadFile(path) //nolint:gosec // our own lock
	if pid, err := strconv.Atoi(string(text[:min(len(text), 20)])); err == nil {
		return nil, hinted{failure, fmt.Sprintf("wait for process %d, or stop it", pid)}
	}
	return nil, hinted{failure, "wait for it, or stop it"}
}

// Close ends the use of the store and frees its lock.
func (s *Store) Close() error {
	var errs []error
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("history: close: %w", err)
	}
	return nil
}

// Cursor is how far the census of a relay was read; "" asks for all of it.
func (s *Store) Cursor(ctx context.Context, node string) (string, error) {
	all, err := s.Cursors(ctx)
	return all[node], err
}

// Cursors are those of all relays, by node.
func (s *Store) Cursors(ctx context.Context) (map[string]string, error) {
	out := make(map[string]string)
	err := s.read(ctx, func(q querier) error {
		return each(ctx, q, `SELECT node, cursor FROM relays`, nil, func(scan func(...any) error) error {
			var node, cursor string
			err := scan(&node, &cursor)
			out[node] = cursor
			return err
		})
	})
	return out, err
}
