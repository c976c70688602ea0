package history

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrLocked says that another collector holds the store.
var ErrLocked = errors.New("another collector is at work")

// ErrNone says that there is no store yet: nothing was ever collected.
var ErrNone = errors.New("nothing was collected yet")

// ErrOlder says that an older fleetctl wrote the store, and that it was opened to be read
// alone. Whoever opens it to write brings it up to date.
var ErrOlder = errors.New("it is of an older version of fleetctl")

// ErrNewer says that a newer fleetctl wrote the store. Nothing was touched.
var ErrNewer = errors.New("the history is of a newer version")

// ErrFull says that the disk is full. The store is as it was before.
var ErrFull = errors.New("no space for the history")

// ErrDamaged says that the file is no store, or no sound one.
var ErrDamaged = errors.New("the history is damaged or no history")

// ErrQuery says that the question cannot be answered, however the store is: a metric that
// there is not, a step that it is not kept by, too many points.
var ErrQuery = errors.New("the history cannot be asked so")

// question is an error of a question: it is [ErrQuery], and its text is its own.
type question struct{ error }

func (question) Is(target error) bool { return target == ErrQuery }
func (q question) Unwrap() error      { return q.error }

// hinted is an error with one imperative sentence for the operator.
type hinted struct {
	error
	hint string
}

// Hint says what to do.
func (h hinted) Hint() string  { return h.hint }
func (h hinted) Unwrap() error { return h.error }

func newer(path string, have int) error {
	return hinted{
		fmt.Errorf("history: %s is of version %d, this fleetctl knows up to %d: %w", path, have, version, ErrNewer),
		"use the fleetctl that wrote it, or a newer one; nothing was changed",
	}
}

func foreign(path string) error {
	return hinted{fmt.Errorf("history: %s: %w", path, ErrDamaged), "look at " + path + "; move it away, and the next collection begins a new one"}
}

// explain says what SQLite meant, and what can be done about it.
func (s *Store) explain(err error) error {
	var coded *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(hinted)):
		return err
	case errors.Is(err, fs.ErrPermission):
		return hinted{fmt.Errorf("history: %w", err), "let this user write in " + filepath.Dir(s.path)}
	case !errors.As(err, &coded):
		return fmt.Errorf("history: %w", err)
	}
	return s.meaning(coded.Code(), err)
}

// meaning explains an error by SQLite's extended code.
func (s *Store) meaning(code int, err error) error {
	dir := filepath.Dir(s.path)
	if code == sqlite3.SQLITE_IOERR_SHMSIZE { // the file beside the history that readers share could not grow
		return hinted{fmt.Errorf("history: %s: %w: %w", s.path, ErrFull, err), "free some space in " + dir + "; the history is as it was before"}
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return hinted{fmt.Errorf("history: %s: %w", s.path, ErrFull), "free some space in " + dir + "; the history is as it was before"}
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return foreign(s.path)
	case sqlite3.SQLITE_BUSY:
		return hinted{fmt.Errorf("history: %s is in use: %w", s.path, err), "wait for the other program that writes it, then run the same command again"}
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR:
		return hinted{fmt.Errorf("history: %s: %w", s.path, err), "look at the disk and the rights of " + dir}
	}
	return fmt.Errorf("history: %w", err)
}
