package relay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTelemetry_DoesNotWaitForACensusThatIsBeingWritten(t *testing.T) {
	dir := t.TempDir()
	d := openDesk(t, dir, noon())
	one, _ := someone(t)
	two, _ := someone(t)
	d.user(t, one, noon())
	begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	d.archive.put = func(path string, text []byte) error {
		if filepath.Base(path) == censusFile {
			close(begun)
			<-goOn
		}
		return replaceFile(path, text)
	}
	go func() { done <- d.flush(noon().Add(time.Minute)) }()
	<-begun
	d.user(t, two, noon().Add(2*time.Minute))
	told := make(chan counters, 1)
	go func() { told <- d.told(noon().Add(2 * time.Minute)) }()
	select {
	case c := <-told:
		if c.Epoch.Joined != 2 {
			t.Errorf("told of %d joins while a census is written, want 2", c.Epoch.Joined)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing is told while a census is written")
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := openDesk(t, dir, noon().Add(3*time.Minute)).told(noon().Add(3 * time.Minute)).Epoch.Joined; got != 2 {
		t.Errorf("after a kill: %d joins, want the 2 that were told: the flush wrote older ones over them", got)
	}
}

func TestArchive_ACensusThatCouldNotBeReadAgainIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	d := openDesk(t, dir, noon())
	one, _ := someone(t)
	two, _ := someone(t)
	d.user(t, one, noon())
	if err := d.flush(noon()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, censusFile)
	before := read(t, path)
	d.archive.most = len(before) // so much is written
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := d.flush(noon()); err != nil || read(t, path) != before {
		t.Errorf("a census of %d bytes where %d are read: %v, want it written", len(before), d.archive.most, err)
	}
	d.user(t, two, noon())
	err := d.flush(noon().Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), "more than can be read again") {
		t.Errorf("got %v, want that it is too large", err)
	}
	if got := read(t, path); got != before {
		t.Errorf("the last census has become %d bytes, want it as it was", len(got))
	}
	if got := d.complaints(); len(got) != 1 || !strings.Contains(got[0], censusFile) {
		t.Errorf("complaints: got %q, want that the census is not written", got)
	}
	if got := openDesk(t, dir, noon().Add(time.Hour)).told(noon()).Epoch.Joined; got != 2 {
		t.Errorf("got %d joins, want 2: the counters are written all the same", got)
	}
}

func TestArchive_AGoodImportEndsTheWarningOfADamagedOne(t *testing.T) {
	dir := t.TempDir()
	d := openDesk(t, dir, noon())
	for _, c := range []struct {
		text    string
		warning bool
	}{{`{"half":`, true}, {"[]", false}} {
		write(t, filepath.Join(dir, importFile), c.text)
		if err := d.takeImport(noon()); err != nil {
			t.Fatal(err)
		}
		if got := d.complaints(); (len(got) > 0) != c.warning {
			t.Errorf("after an import of %q: complaints %q, want some: %t", c.text, got, c.warning)
		}
	}
}
