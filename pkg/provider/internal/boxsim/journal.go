package boxsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// journalMax is the size in bytes at which a journal is moved aside; one old part stays.
const journalMax = 4 << 20

// Journal is the log of one box: what its relay says, and what its service does. The
// relay appends by itself, so that it can go on without a supervisor; rotation copies
// the file and cuts it.
type Journal struct {
	path string
	max  int64
	mu   sync.Mutex // one rotation at a time
}

// NewJournal is the journal of the box in dir.
func NewJournal(dir string) *Journal {
	return &Journal{path: filepath.Join(dir, JournalFile), max: journalMax}
}

// Open opens the file to be appended to.
func (j *Journal) Open() (*os.File, error) {
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return f, Explain(err)
}

// Note appends a line of the service.
func (j *Journal) Note(format string, args ...any) {
	f, err := j.Open()
	if err != nil {
		return // a full disk must not keep a relay from being stopped
	}
	_, _ = fmt.Fprintf(f, "%s relay.service: %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
	_ = f.Close()
}

// Rotate moves the journal aside when it is long.
func (j *Journal) Rotate() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	info, err := os.Stat(j.path)
	if err != nil || info.Size() <= j.max {
		return nil
	}
	from, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	if skip := info.Size() - j.max; skip > 0 { // written faster than we looked: the end counts
		if _, err := from.Seek(skip, io.SeekStart); err != nil {
			return err
		}
	}
	to, err := os.OpenFile(j.path+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(to, from, j.max)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, to.Close(), os.Truncate(j.path, 0))
}

// Tail copies the last n lines and returns the size of the file at that moment.
func (j *Journal) Tail(n int, w io.Writer) (int64, error) {
	var text []byte
	for _, path := range []string{j.path + ".1", j.path} {
		part, err := os.ReadFile(path) //nolint:gosec // the box's own journal
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		text = append(text, part...)
		if path == j.path {
			_, err = w.Write(lastLines(text, n))
			return int64(len(part)), err
		}
	}
	return 0, nil
}

// lastLines is the end of a text; a last line without an end counts as one.
func lastLines(text []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	end := len(bytes.TrimSuffix(text, []byte("\n")))
	for range n {
		end = bytes.LastIndexByte(text[:end], '\n')
		if end < 0 {
			return text
		}
	}
	return text[end+1:]
}

// Follow copies the last n lines and all that comes after, until ctx ends.
func (j *Journal) Follow(ctx context.Context, n int, w io.Writer) error {
	at, err := j.Tail(n, w)
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if at, err = j.copyFrom(at, w); err != nil {
			return err
		}
	}
}

// copyFrom copies what was appended since at and returns the new end.
func (j *Journal) copyFrom(at int64, w io.Writer) (int64, error) {
	f, err := os.Open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return at, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return at, err
	}
	if info.Size() < at { // rotated
		at = 0
	}
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return at, err
	}
	n, err := io.Copy(w, f)
	return at + n, err
}
