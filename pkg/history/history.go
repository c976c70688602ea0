package history

import (
	"context"
	"database/sql"
	"errors"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/relayfleet/fleetctl/stats"
)

// FileName is how the store is called under a fleet's state directory.
const FileName = "telemetry.db"

// ErrLocked says that another collector holds the store.
var ErrLocked = errors.New("another collector is at work")

// ErrNone says that there is no store yet: nothing was ever collected.
var ErrNone = errors.New("nothing was collected yet")

// ErrNewer says that a newer fleetctl wrote the store. Nothing was touched.
var ErrNewer = errors.New("the history is of a newer version")

// ErrFull says that the disk is full. The store is as it was before.
var ErrFull = errors.New("no space for the history")

// Options say how a store is opened.
type Options struct {
	// ReadOnly looks only. A store that is not there is [ErrNone].
	ReadOnly bool
	// Collector takes the lock of collectors until Close; if somebody holds it the error is
	// [ErrLocked]. Writing without it (Forget, Import) is safe beside a collector.
	Collector bool
	Retention Retention // zero fields: those of [DefaultRetention]
}

// Retention says how long samples are kept, and how finely. Peers, totals and events of
// the fleet are kept until they are forgotten.
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

// Store is an open history. It is safe for concurrent use.
type Store struct {
	db   *sql.DB
	path string
	o    Options
}

// Open opens the store at a path, making it, readable by its owner alone, if there is
// none. A store of an older version is brought up to date in one transaction; one of a
// newer version is [ErrNewer].
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	return nil, ctx.Err()
}

// Close ends the use of the store and frees its lock.
func (s *Store) Close() error { return s.db.Close() }

// Cursor is how far the census of a relay was read; "" asks for all of it.
func (s *Store) Cursor(ctx context.Context, node string) (string, error) { return "", ctx.Err() }

// Cursors are those of all relays, by node.
func (s *Store) Cursors(ctx context.Context) (map[string]string, error) { return nil, ctx.Err() }

// Summary is what a collection brought.
type Summary struct {
	At       time.Time `json:"at"`       // UTC
	Relays   int       `json:"relays"`   // asked
	Answered int       `json:"answered"` // of them
	Missing  []string  `json:"missing"`  // the others, sorted; never nil
	New      uint64    `json:"new"`      // peers that nobody knew before
	Changed  uint64    `json:"changed"`  // peers seen again, or by another relay
	Own      uint64    `json:"own"`      // keys of the fleet's relays and probes that are known, in all
	Warnings []string  `json:"warnings"` // one line each, clean; never nil
	Events   []Event   `json:"events"`   // that came of it; never nil
}

// Ingest takes the readings of one collection in: every relay of the fleet has one, those
// that did not answer too. It is one transaction: after an error nothing of it is kept. A
// relay of which there is no reading is retired from then on.
func (s *Store) Ingest(ctx context.Context, at time.Time, readings []stats.Reading) (Summary, error) {
	return Summary{}, ctx.Err()
}
