package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// Names below the state directory.
const (
	keyFile        = "node.key"
	pubFile        = "node.pub"
	peerIDFile     = "peer-id.txt"
	lockFile       = "relay.lock"
	censusFile     = "bootnode-peers.json"
	importFile     = "bootnode-peers.import.json"
	countersFile   = "relay-counters.json"
	cursorsFile    = "relay-cursors.json"
	drainFile      = "draining"
	fleetPeersFile = "fleet-peers.txt"
)

// stateDir makes the directory if there is none and lets only its owner in.
func stateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return hint(fmt.Errorf("state: %w", err), "name a directory that this user may write with state: or --state")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs its x bit
			return hint(fmt.Errorf("state: tighten: %w", err), "run `chmod 700 "+dir+"` as its owner")
		}
	}
	return nil
}

// lockState takes the directory for this process alone. Another holder is
// ErrLocked. The kernel lets go of the lock when the process ends, however it ends.
func lockState(dir string) (*flock.Flock, error) {
	path := filepath.Join(dir, lockFile)
	lock := flock.New(path, flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, hint(fmt.Errorf("lock: %w", err), "let the relay's user write in "+dir)
	}
	if !got {
		holder, _ := readBounded(path, 32)
		err := fmt.Errorf("lock: %s: %w", dir, ErrLocked)
		if pid, convErr := strconv.Atoi(string(holder)); convErr == nil {
			return nil, hint(err, fmt.Sprintf("stop process %d, or give this relay a state directory of its own", pid))
		}
		return nil, hint(err, "stop the other relay, or give this one a state directory of its own")
	}
	// The number is for people, the lock itself is the kernel's: a full disk is no reason
	// not to serve.
	_ = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600)
	return lock, nil
}

// replaceFile writes a file as a whole: a temporary one, synced, renamed over it,
// and the directory synced.
func replaceFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := renameio.WriteFile(path, text, 0o600, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600)); err != nil {
		return err
	}
	return syncDir(dir)
}

// createFile writes a file as a whole and fails with fs.ErrExist if there is one.
func createFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is linked to its name or of no use
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// exists reports whether there is something of that name, readable or not.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
