package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// damagedMark stands between the name of a damaged file and the time at which it was set
// aside, in UTC.
const damagedMark = ".damaged-"

// setAside keeps a damaged file under a name that says so. One of which that fails is never
// written.
func (a *archive) setAside(name string, cause error, now time.Time) {
	if cause == nil || errors.Is(cause, fs.ErrNotExist) {
		return
	}
	aside, err := a.aside(name, now)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.sealed[name] = true
		a.warnings[name] = fmt.Sprintf("%s is damaged (%v), could not be set aside (%v) and is not written", name, cause, err)
	} else {
		a.warnings[name] = fmt.Sprintf("%s was damaged and is kept as %s: %v", name, aside, cause)
	}
	a.log.Warn("damaged file", slog.String("file", name), slog.Any("cause", cause), slog.String("kept_as", aside))
}

// aside gives a damaged file its other name. A census keeps its own beside it until the next
// one is written: what could be read of it is on disk nowhere else, and a process that dies
// before that reads it again.
func (a *archive) aside(name string, now time.Time) (string, error) {
	path := filepath.Join(a.dir, name)
	to := freeName(path + damagedMark + now.UTC().Format("20060102T150405Z"))
	if name == censusFile {
		for _, earlier := range a.asides(name) {
			if isSameFile(path, filepath.Join(a.dir, earlier)) {
				return earlier, nil
			}
		}
		if err := os.Link(path, to); err == nil {
			return filepath.Base(to), nil
		}
	}
	return filepath.Base(to), os.Rename(path, to)
}

// asides are the names under which a file was set aside and that are still there, oldest
// first.
func (a *archive) asides(name string) []string {
	var names []string
	there, _ := os.ReadDir(a.dir) // sorted; what could not be listed is as good as gone
	for _, e := range there {
		if strings.HasPrefix(e.Name(), name+damagedMark) {
			names = append(names, e.Name())
		}
	}
	return names
}

func isSameFile(a, b string) bool {
	first, err := os.Lstat(a)
	if err != nil {
		return false
	}
	second, err := os.Lstat(b)
	return err == nil && os.SameFile(first, second)
}

// freeName appends a number while there is something of that name.
func freeName(path string) string {
	free := path
	for i := 2; exists(free); i++ {
		free = fmt.Sprintf("%s-%d", path, i)
	}
	return free
}

// complaints lists what went wrong with the files, for /readyz.
func (a *archive) complaints() []string {
	var list []string
	for _, name := range []string{censusFile, countersFile, cursorsFile, importFile} {
		if text := a.complaint(name); text != "" {
			list = append(list, text)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flushErr != nil {
		list = append(list, a.flushErr.Error())
	}
	return list
}

// complaint is what there is to say about a file; "" is nothing. What was lost of the
// counts stays lost with the next start: that is told until somebody has taken away what
// was set aside.
func (a *archive) complaint(name string) string {
	a.mu.Lock()
	text, sealed := a.warnings[name], a.sealed[name]
	a.mu.Unlock()
	if sealed || name != censusFile && name != countersFile {
		return text
	}
	kept := a.asides(name)
	if len(kept) == 0 {
		return ""
	}
	last := kept[len(kept)-1]
	if strings.Contains(text, last) {
		return text
	}
	return fmt.Sprintf("%s was damaged before this start and is kept as %s", name, last)
}

// damaged reports whether there is something to say about a file.
func (a *archive) damaged(name string) bool { return a.complaint(name) != "" }

// complain notes a problem with one file, for /readyz.
func (a *archive) complain(name string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.warnings[name] = err.Error()
}
