package monitoring

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Outcome is what became of a file.
type Outcome string

// The outcomes.
const (
	Written   Outcome = "written"   // it was not there
	Replaced  Outcome = "replaced"  // by a newer one; nobody had edited it, or Force was given
	Unchanged Outcome = "unchanged" // it is as it would be written
	Kept      Outcome = "kept"      // it was edited, and what would be written has not changed since
	Differs   Outcome = "differs"   // it was edited, or is not ours, and would be written otherwise: left alone
	Removed   Outcome = "removed"   // it was ours, and is not needed any more
)

// Result is what became of one file.
type Result struct {
	Name    string
	Outcome Outcome
}

// Report is what a run did.
type Report struct {
	Results []Result // in the order of names, as far as it came
	Changed []Change // what was asked for otherwise the last time; none the first time
}

// Write writes files below a directory, which it makes if need be. A file that it did not
// write, or that somebody edited, is left alone unless force is given. A directory with the
// files of another fleet is an [OtherFleetError], and then nothing is changed, with force
// either. Each file appears whole or not at all, and a run that was interrupted is finished
// by the next.
func Write(dir string, of Origin, files []File, force bool) (Report, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // holds no secret, and others read it: Prometheus, Alertmanager, Grafana
		return Report{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, err
	}
	report, err := write(root, of, files, force)
	return report, errors.Join(err, root.Close())
}

func write(root *os.Root, of Origin, files []File, force bool) (Report, error) {
	before, err := readManifest(root)
	if err != nil {
		return Report{}, err
	}
	if before.Fleet != "" && !before.sameFleet(of) {
		return Report{}, &OtherFleetError{Dir: root.Name(), Fleet: before.Fleet, ID: before.ID}
	}
	if of.ID == "" {
		of.ID = before.ID
	}
	plan, err := decide(root, before, of, files, force)
	if err != nil {
		return Report{}, err
	}
	r := Report{Changed: before.changed(of)}
	if !plan.changes() {
		r.Results = plan.results()
		return r, nil
	}
	if err := writeManifest(root, plan.during); err != nil {
		return r, err
	}
	for _, s := range plan.steps {
		if err := s.do(root); err != nil {
			return r, err
		}
		r.Results = append(r.Results, Result{s.name, s.outcome})
	}
	return r, writeManifest(root, plan.after)
}

// plan is what to do with each file, and what is noted before and after that.
type plan struct {
	steps         []step
	during, after manifest
	noted         manifest // as it is
}

type step struct {
	name    string
	outcome Outcome
	text    []byte
}

// decide looks at what is there and changes nothing.
func decide(root *os.Root, before manifest, of Origin, files []File, force bool) (plan, error) {
	p := plan{noted: before, during: manifest{before.Origin, map[string][]string{}}, after: manifest{of, map[string][]string{}}}
	if before.Fleet == "" {
		p.during.Origin = of
	}
	wanted := make(map[string]bool)
	for _, f := range files {
		wanted[f.Name] = true
		there, err := digestOf(root, f.Name)
		if err != nil {
			return p, err
		}
		want, known := digest(f.Text), before.Files[f.Name]
		s := step{name: f.Name, text: f.Text}
		switch {
		case there == "":
			s.outcome = Written
		case there == want:
			s.outcome = Unchanged
		case force || slices.Contains(known, there):
			s.outcome = Replaced
		case slices.Contains(known, want):
			s.outcome = Kept
		default:
			s.outcome = Differs
		}
		p.note(s, want, known)
	}
	for _, name := range slices.Sorted(maps.Keys(before.Files)) {
		if wanted[name] {
			continue
		}
		there, err := digestOf(root, name)
		if err != nil {
			return p, err
		}
		s := step{name: name, outcome: Removed}
		if there != "" && !slices.Contains(before.Files[name], there) {
			s.outcome = Differs
		}
		p.note(s, "", before.Files[name])
	}
	slices.SortFunc(p.steps, func(a, b step) int { return strings.Compare(a.name, b.name) })
	return p, nil
}

// note adds a step, and what the manifest says of its file.
func (p *plan) note(s step, want string, known []string) {
	p.steps = append(p.steps, s)
	switch s.outcome {
	case Written, Replaced, Unchanged:
		p.during.Files[s.name], p.after.Files[s.name] = append([]string{want}, known...), []string{want}
	case Kept:
		p.during.Files[s.name], p.after.Files[s.name] = known, []string{want}
	case Differs:
		if known != nil {
			p.during.Files[s.name], p.after.Files[s.name] = known, known
		}
	case Removed:
		p.during.Files[s.name] = known
	}
}

// changes reports whether a file or the manifest would be written.
func (p *plan) changes() bool {
	for _, s := range p.steps {
		if s.outcome == Written || s.outcome == Replaced || s.outcome == Removed {
			return true
		}
	}
	return !p.noted.equal(p.after)
}

func (p *plan) results() []Result {
	var all []Result
	for _, s := range p.steps {
		all = append(all, Result{s.name, s.outcome})
	}
	return all
}

func (s step) do(root *os.Root) error {
	switch s.outcome {
	case Written, Replaced:
		return replace(root, s.name, s.text)
	case Removed:
		if err := root.Remove(filepath.FromSlash(s.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	case Unchanged, Kept, Differs:
	}
	return nil
}

// replace writes a file beside its place, under a name that no other run has, and moves it
// there.
func replace(root *os.Root, name string, text []byte) error {
	if dir := path.Dir(name); dir != "." {
		if err := root.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
			return err
		}
	}
	to := filepath.FromSlash(name)
	temporary := filepath.FromSlash(path.Join(path.Dir(name), "."+path.Base(name)+"."+rand.Text()[:8]))
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(temporary, to)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", name, err), root.Remove(temporary))
	}
	return nil
}

// maxFile bounds what is read: what is larger was not written by us.
const maxFile = 4 << 20

// digestOf is the digest of a file, "" if there is none.
func digestOf(root *os.Root, name string) (string, error) {
	text, err := read(root, filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return digest(text), err
}

func read(root *os.Root, name string) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: no regular file of at most %d MiB", name, maxFile>>20)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxFile))
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
