package statedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Holder says who holds the lock of a fleet.
type Holder struct {
	Command string    `json:"command"` // "fleetctl up"
	PID     int       `json:"pid"`
	User    string    `json:"user"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "another command" // it has not written its name yet
	}
	return fmt.Sprintf("%s (pid %d of %s on %s, since %s)", h.Command, h.PID, h.User, h.Host, h.Since.UTC().Format(time.RFC3339))
}

// ErrLocked is what every [*LockedError] is.
var ErrLocked = errors.New("the fleet is being changed by another command")

// LockedError names who holds the lock.
type LockedError struct {
	Fleet  string
	Holder Holder // zero if unknown
	Waited time.Duration
}

func (e *LockedError) Error() string {
	text := fmt.Sprintf("fleet %s is being changed by %s", e.Fleet, e.Holder)
	if e.Waited > 0 {
		text += fmt.Sprintf("; waited %s", e.Waited)
	}
	return text
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Hint says what to do.
func (e *LockedError) Hint() string {
	if e.Holder.PID == 0 {
		return "wait for it, then run the same command again"
	}
	return fmt.Sprintf("wait for pid %d, then run the same command again", e.Holder.PID)
}

// retry is how often a lock that is held is tried again.
const retry = 100 * time.Millisecond

// Lock is a held lock.
type Lock struct {
	dir  *Dir
	file *flock.Flock
}

// Lock takes the lock of the fleet for h and waits at most wait for it (0: not at
// all). If it stays held the error is a [*LockedError] with the holder. The system
// frees the lock of a process that died. One process may hold it once only.
func (d *Dir) Lock(ctx context.Context, h Holder, wait time.Duration) (*Lock, error) {
	if d.readOnly {
		return nil, fmt.Errorf("lock: %s is open for reading only", d.path)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, max(wait, 0), errWaited)
	defer cancel()
	for {
		l, err := d.tryLock()
		if err != nil {
			return nil, d.hint(fmt.Errorf("lock: %w", err))
		}
		if l != nil {
			if err := d.replace(holderFile, h); err != nil {
				return nil, d.hint(errors.Join(fmt.Errorf("lock: %w", err), l.file.Close()))
			}
			return l, nil
		}
		select {
		case <-time.After(retry):
			continue
		case <-ctx.Done():
		}
		if cause := context.Cause(ctx); !errors.Is(cause, errWaited) {
			return nil, fmt.Errorf("lock: wait for %s: %w", d.Holder(), cause)
		}
		return nil, &LockedError{Fleet: d.fleet, Holder: d.Holder(), Waited: wait}
	}
}

var errWaited = errors.New("waited long enough")

// tryLock returns nil without an error if somebody else holds the lock.
func (d *Dir) tryLock() (*Lock, error) {
	path := filepath.Join(d.path, lockFile)
	if err := os.MkdirAll(d.path, 0o700); err != nil { // a holder may have removed it
		return nil, err
	}
	file := flock.New(path, flock.SetPermissions(0o600))
	got, err := file.TryLock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, file.Close() // it went between the two: its holder is ending a fleet
	}
	if err != nil || !got {
		return nil, errors.Join(err, file.Close())
	}
	// The holder before us may have removed the directory: a lock on a file that has
	// no name any more locks nothing.
	if same, err := d.named(file); err != nil || !same {
		return nil, errors.Join(err, file.Close())
	}
	if err := d.adopt(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Lock{dir: d, file: file}, nil
}

// adopt writes owner.json again where it went with the directory, and refuses the
// lock where another spec was faster.
func (d *Dir) adopt() error {
	err := d.checkOwner()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	owner := Owner{Fleet: d.fleet, Spec: d.spec, Since: time.Now().UTC().Truncate(time.Second)}
	if err := d.create(ownerFile, owner); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.checkOwner()
}

// named reports whether a locked file is still the one that stands at the lock's path.
func (d *Dir) named(file *flock.Flock) (bool, error) {
	held, err := file.Stat()
	if err != nil {
		return false, err
	}
	at, err := os.Stat(filepath.Join(d.path, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, at), err
}

// Unlock frees the lock. After the directory was removed it frees what is left of it,
// and touches nothing of a directory that was made anew by somebody else.
func (l *Lock) Unlock() error {
	same, err := l.dir.named(l.file)
	if same && err == nil {
		err = os.Remove(filepath.Join(l.dir.path, holderFile))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err := errors.Join(err, l.file.Close()); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	return nil
}

// Holder reads who holds the lock; the zero value if nobody does, or nobody knows.
// A command that was killed leaves its name behind until the next one takes the lock.
func (d *Dir) Holder() Holder {
	var h Holder
	if err := d.read(holderFile, &h); err != nil {
		return Holder{}
	}
	return h
}
