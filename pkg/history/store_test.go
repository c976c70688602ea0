package history

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestOpen_FileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", FileName)
	s := openAt(t, path, Options{})
	ingest(t, s, monday(), answer(1, monday(), 1, entry(1, monday(), monday())))
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s: got mode %o, want 600", filepath.Base(name), got)
		}
	}
}

func TestOpen_NothingCollectedYetIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	if _, err := Open(t.Context(), path, Options{ReadOnly: true}); !errors.Is(err, ErrNone) {
		t.Errorf("got %v, want %v", err, ErrNone)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that no file was made", err)
	}
}

func TestOpen_ANewerStoreIsRefusedAndUntouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA user_version = %d`, version+1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {ReadOnly: true}} {
		_, err := Open(t.Context(), path, o)
		var hint interface{ Hint() string }
		if !errors.Is(err, ErrNewer) || !errors.As(err, &hint) {
			t.Errorf("%+v: got %v, want %v with a hint", o, err, ErrNewer)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was touched: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v %v, want no file beside it", entries, err)
	}
}

func TestOpen_WhatIsNoHistoryIsRefusedAndUntouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	want := []byte("#!/bin/sh\necho this is no database, and it is long enough to have a header of a hundred bytes at least\n")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want %v", err, ErrDamaged)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q %v, want it as it was", got, err)
	}
}

func TestOpen_OneCollectorAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	first, err := Open(t.Context(), path, Options{Collector: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path, Options{Collector: true})
	var hint interface{ Hint() string }
	if !errors.Is(err, ErrLocked) || !errors.As(err, &hint) {
		t.Errorf("got %v, want %v with a hint", err, ErrLocked)
	}
	reader := openAt(t, path, Options{ReadOnly: true})
	if _, err := reader.Ingest(t.Context(), monday(), nil); err == nil {
		t.Errorf("a reader took a collection in")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, path, Options{Collector: true})
}

func TestOpen_PathIsAPathWhateverStandsInIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c%20d&_pragma=x", FileName)
	s := openAt(t, path, Options{})
	ingest(t, s, monday(), answer(1, monday(), 1))
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// The promise that users read the store as it is: with the sqlite3 of Debian, where there
// is one.
func TestOpen_SQLite3ReadsTheStore(t *testing.T) {
	sqlite3, err := exec.LookPath("sqlite3")
	if err != nil {
		return // the schema is read by our own driver in every other test
	}
	path := filepath.Join(t.TempDir(), FileName)
	s := openAt(t, path, Options{})
	ingest(t, s, monday(), answer(1, monday(), 1, entry(1, monday(), monday())))
	out, err := exec.CommandContext(t.Context(), sqlite3, path, `SELECT count(*), max(tier) FROM peers WHERE own = 0`).CombinedOutput()
	if err != nil || string(out) != "1|edge\n" {
		t.Errorf("got %q %v, want 1|edge", out, err)
	}
}

func TestExplain_AnIndexThatCannotGrowIsAFullDisk(t *testing.T) {
	s := &Store{path: "/fleet/" + FileName}
	told := errors.New("disk I/O error (4874)") // SQLITE_IOERR_SHMSIZE
	err := s.meaning(4874, told)
	var hint interface{ Hint() string }
	if !errors.Is(err, ErrFull) || !errors.Is(err, told) || !errors.As(err, &hint) || !strings.HasPrefix(hint.Hint(), "free some space in /fleet") {
		t.Errorf("got %v, want %v with the hint to free some", err, ErrFull)
	}
	if err := s.meaning(266, told); errors.Is(err, ErrFull) { // SQLITE_IOERR_READ
		t.Errorf("got %v of a disk that cannot be read", err)
	}
}

func TestIngest_AFullDiskIsSaidAndLeavesTheStoreAsItWas(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 2, entry(1, at, at)))
	var pages int
	if err := one(t.Context(), s.writer, `PRAGMA page_count`, nil, &pages); err != nil {
		t.Fatal(err)
	}
	if err := one(t.Context(), s.writer, `PRAGMA max_page_count = 1`, nil, new(int)); err != nil { // means: no page more
		t.Fatal(err)
	}
	next := at.Add(time.Minute)
	many := make([]stats.CensusEntry, 0, 5000)
	for n := range cap(many) {
		many = append(many, entry(10+n, next, next))
	}
	_, err := s.Ingest(t.Context(), next, []stats.Reading{answer(1, next, 3, many...)})
	var hint interface{ Hint() string }
	if !errors.Is(err, ErrFull) || !errors.As(err, &hint) {
		t.Fatalf("got %v, want %v with a hint", err, ErrFull)
	}
	wantFigure(t, figures(t, s, next), "lifetime_unique_peers", "1")
	if got, err := s.Cursor(t.Context(), "nyc1-1"); err != nil || got != answer(1, at, 0).Cursor {
		t.Errorf("cursor: got %q %v, want that of before", got, err)
	}
	if err := one(t.Context(), s.writer, `PRAGMA max_page_count = 1000000`, nil, new(int)); err != nil {
		t.Fatal(err)
	}
	ingest(t, s, next, answer(1, next, 3, many...))
	wantFigure(t, figures(t, s, next), "lifetime_unique_peers", "5001")
}

// crashed is what a test's collector dies of.
var errCrashed = errors.New("killed")

// TestIngest_KilledAtEachWriteLosesAndDoublesNothing copies the files of the store as they
// are before each write of a collection, which is what a kill would leave, and goes on
// with the copy.
func TestIngest_KilledAtEachWriteLosesAndDoublesNothing(t *testing.T) {
	at, next := monday(), monday().Add(time.Hour)
	first := answer(1, at, 2, entry(1, at, at), entry(2, at, at))
	first.Telemetry.Counters.Joined = 5
	second := answer(1, next, 3, entry(2, at, next), entry(3, next, next))
	second.Telemetry.Counters.Joined = 9
	second.Cursor = "the next"
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, FileName), Options{})
	ingest(t, s, at, first, silent(2, "no route"))
	writes := 0
	s.beforeWrite = func() error {
		writes++
		return nil
	}
	copied := filepath.Join(t.TempDir(), "begin")
	copyStore(t, dir, copied)
	ingest(t, s, next, second, silent(2, "no route"))
	if writes < 20 {
		t.Fatalf("got %d writes, want a collection of more", writes)
	}
	for kill := 1; kill <= writes; kill++ {
		died := filepath.Join(t.TempDir(), "died")
		copyStore(t, copied, died)
		s, err := Open(t.Context(), filepath.Join(died, FileName), Options{})
		if err != nil {
			t.Fatal(err)
		}
		quicken(t, s)
		left := filepath.Join(t.TempDir(), "left")
		n := 0
		s.beforeWrite = func() error {
			if n++; n == kill {
				copyStore(t, died, left)
				return errCrashed
			}
			return nil
		}
		if _, err := s.Ingest(t.Context(), next, []stats.Reading{second, silent(2, "no route")}); !errors.Is(err, errCrashed) {
			t.Fatalf("write %d: got %v, want %v", kill, err, errCrashed)
		}
		of := left // what a kill leaves, or what a failure leaves, in turn
		if kill%2 == 0 {
			of = died
		}
		checkCrash(t, filepath.Join(of, FileName), kill, next, first, second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkCrash wants the state before the collection, and takes the collection in.
func checkCrash(t *testing.T, path string, kill int, next time.Time, first, second stats.Reading) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatalf("write %d: %v", kill, err)
	}
	defer s.Close()
	quicken(t, s)
	if got, err := s.Cursor(t.Context(), "nyc1-1"); err != nil || got != first.Cursor {
		t.Errorf("write %d: got cursor %q %v, want %q", kill, got, err, first.Cursor)
	}
	wantFigure(t, figures(t, s, next), "lifetime_unique_peers", "at least 2 without nyc1-2")
	ingest(t, s, next, second, silent(2, "no route"))
	f := figures(t, s, next)
	wantFigure(t, f, "lifetime_unique_peers", "at least 3 without nyc1-2")
	wantFigure(t, f, "joins", "at least 4 without nyc1-2")
	wantFigure(t, f, "concurrent_peers", "at least 3 without nyc1-2")
	if t.Failed() {
		t.Fatalf("after a kill before write %d", kill)
	}
}

func copyStore(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(filepath.Join(from, FileName+suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, FileName+suffix), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
