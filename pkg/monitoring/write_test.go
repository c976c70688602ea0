package monitoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	one = File{"one.yml", []byte("1\n")}
	two = File{"rules/two.yml", []byte("2\n")}
)

// outcomes are those of a run, as text.
func outcomes(t *testing.T, dir string, force bool, files ...File) string {
	t.Helper()
	results, err := Write(dir, files, force)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range results {
		all = append(all, fmt.Sprintf("%s %s", r.Name, r.Outcome))
	}
	return strings.Join(all, ", ")
}

func (f File) with(text string) File { return File{f.Name, []byte(text)} }

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, dir, name, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if want == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil || string(got) != want {
		t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
	}
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrite_ASecondRunChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	want(t, outcomes(t, dir, false, one, two), "one.yml written, rules/two.yml written")
	before := listing(t, dir)
	want(t, outcomes(t, dir, false, one, two), "one.yml unchanged, rules/two.yml unchanged")
	if after := listing(t, dir); after != before {
		t.Errorf("the second run wrote: before\n%s\nafter\n%s", before, after)
	}
	has(t, dir, "rules/two.yml", "2\n")
}

// listing tells files by name, size and time of change; a rename gives them another.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		all = append(all, fmt.Sprint(path, info.Size(), info.ModTime().UnixNano()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func TestWrite_OursIsReplacedAndAnEditedOneIsNot(t *testing.T) {
	dir := t.TempDir()
	outcomes(t, dir, false, one, two)
	put(t, dir, one.Name, "mine\n")
	want(t, outcomes(t, dir, false, one, two.with("3\n")), "one.yml kept, rules/two.yml replaced")
	has(t, dir, one.Name, "mine\n")
	has(t, dir, two.Name, "3\n")
	want(t, outcomes(t, dir, false, one.with("4\n"), two.with("3\n")), "one.yml differs, rules/two.yml unchanged")
	has(t, dir, one.Name, "mine\n")
	want(t, outcomes(t, dir, false, one.with("4\n"), two.with("3\n")), "one.yml differs, rules/two.yml unchanged")
	want(t, outcomes(t, dir, true, one.with("4\n"), two.with("3\n")), "one.yml replaced, rules/two.yml unchanged")
	has(t, dir, one.Name, "4\n")
}

func TestWrite_FilesOfOthersStay(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, one.Name, "theirs\n")
	put(t, dir, "unrelated.txt", "theirs\n")
	want(t, outcomes(t, dir, false, one, two), "one.yml differs, rules/two.yml written")
	has(t, dir, one.Name, "theirs\n")
	has(t, dir, "unrelated.txt", "theirs\n")
	want(t, outcomes(t, dir, true, one, two), "one.yml replaced, rules/two.yml unchanged")
	has(t, dir, "unrelated.txt", "theirs\n")
}

func TestWrite_WhatIsNotNeededAnyMoreGoesUnlessItWasEdited(t *testing.T) {
	dir := t.TempDir()
	outcomes(t, dir, false, one, two)
	want(t, outcomes(t, dir, false, one), "one.yml unchanged, rules/two.yml removed")
	has(t, dir, two.Name, "")
	want(t, outcomes(t, dir, false, one), "one.yml unchanged")
	outcomes(t, dir, false, one, two)
	put(t, dir, two.Name, "mine\n")
	want(t, outcomes(t, dir, false, one), "one.yml unchanged, rules/two.yml differs")
	has(t, dir, two.Name, "mine\n")
}

// TestWrite_AnInterruptedRunIsFinishedByTheNext ends a run after each of its steps, and
// runs it again.
func TestWrite_AnInterruptedRunIsFinishedByTheNext(t *testing.T) {
	for steps := range 3 {
		dir := t.TempDir()
		outcomes(t, dir, false, one, two)
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		before, err := readManifest(root)
		if err != nil {
			t.Fatal(err)
		}
		newer := []File{one.with("11\n"), two.with("22\n")}
		p, err := decide(root, before, newer, false)
		if err != nil {
			t.Fatal(err)
		}
		err = writeManifest(root, p.during)
		for _, s := range p.steps[:steps] {
			err = errors.Join(err, s.do(root))
		}
		if err = errors.Join(err, root.Close()); err != nil {
			t.Fatal(err)
		}
		for _, r := range strings.Split(outcomes(t, dir, false, newer...), ", ") {
			if !strings.HasSuffix(r, "replaced") && !strings.HasSuffix(r, "unchanged") {
				t.Errorf("after %d steps: got %q, want what is ours replaced", steps, r)
			}
		}
		has(t, dir, one.Name, "11\n")
		has(t, dir, two.Name, "22\n")
		// And again with other files: what is there is still known as ours.
		want(t, outcomes(t, dir, false, one, two), "one.yml replaced, rules/two.yml replaced")
	}
}

func TestWrite_FollowsNoLink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	put(t, elsewhere, "target", "theirs\n")
	if err := os.Symlink(filepath.Join(elsewhere, "target"), filepath.Join(dir, one.Name)); err != nil {
		t.Fatal(err)
	}
	if results, err := Write(dir, []File{one}, true); err == nil {
		t.Errorf("got %v, want an error: %s is a link", results, one.Name)
	}
	has(t, elsewhere, "target", "theirs\n")
}

func TestWrite_ADamagedManifestIsNamed(t *testing.T) {
	for _, text := range []string{"{", `{"files": {"../../etc/passwd": ["00"]}}`} {
		dir := t.TempDir()
		put(t, dir, manifestName, text)
		if _, err := Write(dir, []File{one}, false); err == nil || !strings.Contains(err.Error(), manifestName) {
			t.Errorf("%s: got %v, want an error that names %s", text, err, manifestName)
		}
		has(t, dir, one.Name, "")
	}
}
