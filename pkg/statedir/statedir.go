// Package statedir is the one place on the operator's computer where fleetctl keeps
// anything: a directory per fleet, $XDG_STATE_HOME/fleetctl/<fleet>, 0700.
//
// The state of a fleet itself is not here: provider marks, the boxes and the DNS
// records are. What is here is of this computer: which spec the directory belongs
// to (owner.json), who is changing the fleet now ([Dir.Lock]), what was done
// ([Dir.Audit]), the pinned host keys, the SSH key, and the boxes and the zone of
// the local provider.
//
// A spec of the same name in another place is refused: two clones or two users
// never drive one fleet by accident.
package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// Dir is the state directory of one fleet.
type Dir struct {
	path     string
	fleet    string
	spec     string
	readOnly bool
}

// Owner is what owner.json says: which spec the directory belongs to.
type Owner struct {
	Fleet string    `json:"fleet"`
	Spec  string    `json:"spec"` // absolute path
	Since time.Time `json:"since"`
}

// OwnerError means that the directory belongs to another spec of the same name.
type OwnerError struct {
	Dir   string
	Fleet string
	Spec  string // the one that was refused
	Owner string // the one that the directory belongs to
	Gone  bool   // the owner's file is not there any more
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("fleet %s: the state in %s belongs to %s, not to %s", e.Fleet, e.Dir, e.Owner, e.Spec)
}

// Hint says how to go on.
func (e *OwnerError) Hint() string {
	if e.Gone {
		return fmt.Sprintf("%s is not there any more; if it was moved to %s, write the new path into %s",
			e.Owner, e.Spec, filepath.Join(e.Dir, ownerFile))
	}
	return "give this fleet another name, or run with --config " + e.Owner
}

// The names in the directory.
const (
	ownerFile  = "owner.json"
	lockFile   = "lock"
	holderFile = "lock.json"
	auditFile  = "audit.jsonl"
)

// Base is the directory that holds the directories of all fleets:
// $XDG_STATE_HOME/fleetctl, by default ~/.local/state/fleetctl (on Windows
// %LOCALAPPDATA%\fleetctl). A relative $XDG_STATE_HOME is ignored, as its
// specification asks. It is an error if the environment names no home.
func Base(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "fleetctl"), nil
	}
	if runtime.GOOS == "windows" {
		if dir := getenv("LOCALAPPDATA"); filepath.IsAbs(dir) {
			return filepath.Join(dir, "fleetctl"), nil
		}
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "fleetctl"), nil
	}
	return "", hinted{errors.New("state directory: the environment names no home"), "set HOME or XDG_STATE_HOME"}
}

// label is what a fleet's name, and so a directory's, may be.
const label = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`

// Open opens the directory of a fleet for the spec at path spec, making what is
// missing. The directory is kept 0700. It fails with an [*OwnerError] if the
// directory belongs to another spec.
func Open(base, fleet, spec string) (*Dir, error) {
	d, err := newDir(base, fleet, spec)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return nil, d.hint(fmt.Errorf("state directory: %w", err))
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	if err := d.tighten(); err != nil {
		return nil, err
	}
	switch err := d.checkOwner(); {
	case err == nil:
		return d, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	owner := Owner{Fleet: fleet, Spec: d.spec, Since: time.Now().UTC().Truncate(time.Second)}
	if err := d.create(ownerFile, owner); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, d.hint(fmt.Errorf("state directory: %w", err))
	}
	// Another fleetctl may have been faster: what stands there now counts.
	if err := d.checkOwner(); err != nil {
		return nil, err
	}
	return d, nil
}

// OpenReadOnly opens the directory of a fleet for a command that must change
// nothing. A directory that is not there is no error: see [Dir.Exists].
func OpenReadOnly(base, fleet, spec string) (*Dir, error) {
	d, err := newDir(base, fleet, spec)
	if err != nil {
		return nil, err
	}
	d.readOnly = true
	if _, err := os.Lstat(d.path); errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	if err := d.checkOwner(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return d, nil
}

func newDir(base, fleet, spec string) (*Dir, error) {
	if !regexp.MustCompile(label).MatchString(fleet) {
		return nil, fmt.Errorf("state directory: %q is no name of a fleet: it must be a DNS label", fleet)
	}
	if !filepath.IsAbs(base) || !filepath.IsAbs(spec) {
		return nil, fmt.Errorf("state directory: %s and %s must be absolute paths", base, spec)
	}
	return &Dir{path: filepath.Join(base, fleet), fleet: fleet, spec: canonical(spec)}, nil
}

// canonical follows symbolic links as far as the file exists.
func canonical(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return filepath.Clean(path)
}

// check refuses what is no directory of ours.
func (d *Dir) check() error {
	info, err := os.Lstat(d.path)
	switch {
	case err != nil:
		return d.hint(fmt.Errorf("state directory: %w", err))
	case !info.IsDir():
		return hinted{fmt.Errorf("state directory: %s is not a directory", d.path), "move it away, or set XDG_STATE_HOME to a directory"}
	case !ours(info):
		return hinted{fmt.Errorf("state directory: %s belongs to another user", d.path), "set XDG_STATE_HOME to a directory of yours"}
	}
	return nil
}

// tighten takes the directory away from everybody else.
func (d *Dir) tighten() error {
	info, err := os.Stat(d.path)
	if err != nil {
		return d.hint(fmt.Errorf("state directory: %w", err))
	}
	if runtime.GOOS == "windows" || info.Mode().Perm() == 0o700 {
		return nil
	}
	if err := os.Chmod(d.path, 0o700); err != nil { //nolint:gosec // a directory needs its x bit
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}

// Owner reads owner.json. The error is fs.ErrNotExist if the directory has no owner yet.
func (d *Dir) Owner() (Owner, error) {
	var o Owner
	if err := d.read(ownerFile, &o); err != nil {
		return Owner{}, err
	}
	return o, nil
}

func (d *Dir) checkOwner() error {
	o, err := d.Owner()
	if err != nil {
		return err
	}
	if o.Spec == d.spec || sameFile(o.Spec, d.spec) {
		return nil
	}
	_, err = os.Stat(o.Spec)
	return &OwnerError{Dir: d.path, Fleet: d.fleet, Spec: d.spec, Owner: o.Spec, Gone: errors.Is(err, fs.ErrNotExist)}
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// Path of the directory.
func (d *Dir) Path() string { return d.path }

// Spec is the absolute path of the spec that the directory was opened for.
func (d *Dir) Spec() string { return d.spec }

// Exists reports whether the directory is there.
func (d *Dir) Exists() bool {
	info, err := os.Stat(d.path)
	return err == nil && info.IsDir()
}

// KnownHosts is the path of the file with the pinned host keys.
func (d *Dir) KnownHosts() string { return filepath.Join(d.path, "known_hosts") }

// SSHKey is the path of the fleet's own SSH key; the public half ends in ".pub".
func (d *Dir) SSHKey() string { return filepath.Join(d.path, "ssh_key") }

// AuditLog is the path of the audit log.
func (d *Dir) AuditLog() string { return filepath.Join(d.path, auditFile) }

// Boxes is the directory of the local provider's boxes.
func (d *Dir) Boxes() string { return filepath.Join(d.path, "boxes") }

// Join is a path below the directory.
func (d *Dir) Join(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// read decodes a small JSON file.
func (d *Dir) read(name string, into any) error {
	path := filepath.Join(d.path, name)
	text, err := os.ReadFile(path) //nolint:gosec // our own directory
	if err != nil {
		return d.hint(fmt.Errorf("state directory: %w", err))
	}
	if err := json.Unmarshal(text, into); err != nil {
		return hinted{fmt.Errorf("state directory: %s is damaged: %w", path, err), "look at " + path + "; if nobody needs it, remove it"}
	}
	return nil
}

// create writes a new file, whole or not at all. It is fs.ErrExist if one is there.
func (d *Dir) create(name string, v any) error {
	temporary, err := d.temporary(name, v)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }()
	return os.Link(temporary, filepath.Join(d.path, name))
}

// replace writes a file, whole or not at all, over the one that may be there.
func (d *Dir) replace(name string, v any) error {
	temporary, err := d.temporary(name, v)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(d.path, name)); err != nil {
		_ = os.Remove(temporary)
		return err
	}
	return nil
}

// temporary writes v beside the file that it will become.
func (d *Dir) temporary(name string, v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(d.path, "."+name+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// hint adds what the operator can do about the usual troubles of a file system.
func (d *Dir) hint(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), isReadOnly(err):
		return hinted{err, "make " + filepath.Dir(d.path) + " writable, or set XDG_STATE_HOME to another directory"}
	case errors.Is(err, syscall.ENOTDIR):
		return hinted{err, "move away what is no directory, or set XDG_STATE_HOME to one"}
	case isFull(err):
		return hinted{err, "free some space, or set XDG_STATE_HOME to a directory on another disk"}
	}
	return err
}

// hinted is an error with advice, in the form that package fleet looks for.
type hinted struct {
	error
	hint string
}

func (h hinted) Hint() string  { return h.hint }
func (h hinted) Unwrap() error { return h.error }
