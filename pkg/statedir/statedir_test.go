package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// home is a base directory and a spec in it.
func home(t *testing.T) (base, spec string) {
	t.Helper()
	dir := t.TempDir()
	spec = filepath.Join(dir, "fleet.yaml")
	if err := os.WriteFile(spec, []byte("name: blue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "state", "fleetctl"), spec
}

func open(t *testing.T, base, spec string) *Dir {
	t.Helper()
	d, err := Open(base, "blue", spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpen_TheDirectoryIsClosedToOthers(t *testing.T) {
	base, spec := home(t)
	d := open(t, base, spec)
	if err := os.Chmod(d.Path(), 0o755); err != nil { //nolint:gosec // the loose mode is what is tested
		t.Fatal(err)
	}
	open(t, base, spec)
	info, err := os.Stat(d.Path())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode: got %v (%v), want 0700", info.Mode().Perm(), err)
	}
}

func TestOpen_AnotherSpecOfTheNameIsRefusedNamingBoth(t *testing.T) {
	base, spec := home(t)
	open(t, base, spec)
	other := filepath.Join(t.TempDir(), "fleet.yaml")
	_, err := Open(base, "blue", other)
	var owner *OwnerError
	if !errors.As(err, &owner) || !strings.Contains(err.Error(), canonical(spec)) || !strings.Contains(err.Error(), canonical(other)) {
		t.Fatalf("got %v, want an OwnerError that names both", err)
	}
	if _, err := OpenReadOnly(base, "blue", other); !errors.As(err, &owner) {
		t.Errorf("reading only: got %v, want an OwnerError", err)
	}
	if err := os.Remove(spec); err != nil {
		t.Fatal(err)
	}
	_, err = Open(base, "blue", other)
	if !errors.As(err, &owner) || !owner.Gone || !strings.Contains(owner.Hint(), "owner.json") {
		t.Errorf("the owner's file is gone: got %v, want a hint that names owner.json", err)
	}
}

func TestOpen_ALinkToTheSpecIsTheSpec(t *testing.T) {
	base, spec := home(t)
	open(t, base, spec)
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(spec, link); err != nil {
		t.Fatal(err)
	}
	open(t, base, link)
}

func TestOpen_BadNamesAndDamagedFilesAreErrors(t *testing.T) {
	base, spec := home(t)
	for _, name := range []string{"", "..", "a/b", "Blue", "a\x00", strings.Repeat("a", 64)} {
		if _, err := Open(base, name, spec); err == nil {
			t.Errorf("fleet %q: got no error", name)
		}
	}
	d := open(t, base, spec)
	if err := os.WriteFile(d.Join(ownerFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(base, "blue", spec); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("damaged owner: got %v", err)
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "red"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(base, "red", spec); err == nil {
		t.Error("a file in place of the directory: got no error")
	}
}

func TestOpenReadOnly_CreatesNothing(t *testing.T) {
	base, spec := home(t)
	d, err := OpenReadOnly(base, "blue", spec)
	if err != nil || d.Exists() {
		t.Fatalf("got %v, exists %t", err, d.Exists())
	}
	if _, err := os.Stat(filepath.Dir(base)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was created: %v", err)
	}
	if err := d.Audit(Entry{}); err == nil {
		t.Error("audit: got no error")
	}
	if _, err := d.Lock(t.Context(), Holder{}, 0); err == nil {
		t.Error("lock: got no error")
	}
}

func TestLock_NamesItsHolder(t *testing.T) {
	base, spec := home(t)
	d := open(t, base, spec)
	h := Holder{Command: "fleetctl up", PID: 42, User: "ann", Host: "desk", Since: time.Unix(0, 0).UTC()}
	l, err := d.Lock(t.Context(), h, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = open(t, base, spec).Lock(t.Context(), Holder{PID: 43}, time.Millisecond)
	var locked *LockedError
	if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) || locked.Holder != h {
		t.Fatalf("got %v, want a LockedError that names %v", err, h)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Lock(ctx, h, time.Hour); !errors.Is(err, context.Canceled) || errors.Is(err, ErrLocked) {
		t.Errorf("cancelled: got %v, want context.Canceled", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if got := d.Holder(); got != (Holder{}) {
		t.Errorf("holder after unlock: got %v", got)
	}
}

func TestLock_WaitsForTheHolderAndOutlivesARemovedDirectory(t *testing.T) {
	base, spec := home(t)
	d := open(t, base, spec)
	first, err := d.Lock(t.Context(), Holder{PID: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	waiter := open(t, base, spec)
	done := make(chan error, 1)
	go func() {
		l, err := waiter.Lock(t.Context(), Holder{PID: 2}, 10*time.Second)
		if err == nil {
			if _, again := waiter.Lock(t.Context(), Holder{PID: 3}, 0); !errors.Is(again, ErrLocked) {
				err = errors.New("the lock was given twice")
			}
			err = errors.Join(err, l.Unlock())
		}
		done <- err
	}()
	if err := os.Rename(d.Path(), filepath.Join(t.TempDir(), "gone")); err != nil { // as the end of a fleet does
		t.Fatal(err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := waiter.Owner(); err != nil {
		t.Errorf("the new directory has no owner: %v", err)
	}
}

func TestAudit_LinesOfManyWritersDoNotMix(t *testing.T) {
	base, spec := home(t)
	d := open(t, base, spec)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := d.Audit(Entry{User: "ann", Command: []string{"up", strings.Repeat("x", 5000)}, Result: "done"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(d.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		lines++
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Result != "done" {
			t.Errorf("line %d: %v", lines, err)
		}
	}
	if lines != 8 {
		t.Errorf("lines: got %d, want 8", lines)
	}
}

func TestBase_FollowsTheEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"state home": {map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/fleetctl"},
		"relative":   {map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "/h/.local/state/fleetctl"},
		"nothing":    {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Base(func(k string) string { return c.env[k] })
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}
