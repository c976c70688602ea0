package monitoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	one = File{"one.yml", []byte("1\n")}
	two = File{"rules/two.yml", []byte("2\n")}
)

// outcomes are those of a run, as text.
func outcomes(t *testing.T, dir string, force bool, files ...File) string {
	t.Helper()
	return outcomesOf(t, dir, harbour("1s"), force, files...).outcomes
}

// harbour is a fleet that Prometheus reads so often.
func harbour(interval string) Origin {
	return Origin{Fleet: "harbour", ID: "h1", Flags: map[string][]string{"interval": {interval}, "notify": {"webhook=http://a/", "webhook=http://b/"}}}
}

// outcomesOf are those of a run for a fleet, and what it was asked for otherwise before.
func outcomesOf(t *testing.T, dir string, of Origin, force bool, files ...File) (got struct {
	outcomes string
	changed  []Change
}) {
	t.Helper()
	report, err := Write(dir, of, files, force)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range report.Results {
		all = append(all, fmt.Sprintf("%s %s", r.Name, r.Outcome))
	}
	got.outcomes, got.changed = strings.Join(all, ", "), report.Changed
	return got
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

func TestWrite_ADirectoryOfAnotherFleetStaysAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		first, second Origin
		refused       bool
	}{
		"another name":              {Origin{Fleet: "harbour"}, Origin{Fleet: "island"}, true},
		"another name, one ID":      {Origin{Fleet: "harbour", ID: "h1"}, Origin{Fleet: "island", ID: "h1"}, true},
		"one name, another ID":      {Origin{Fleet: "harbour", ID: "h1"}, Origin{Fleet: "harbour", ID: "h2"}, true},
		"an ID since":               {Origin{Fleet: "harbour"}, Origin{Fleet: "harbour", ID: "h2"}, false},
		"an ID that is not told":    {Origin{Fleet: "harbour", ID: "h1"}, Origin{Fleet: "harbour"}, false},
		"the same":                  {Origin{Fleet: "harbour", ID: "h1"}, Origin{Fleet: "harbour", ID: "h1"}, false},
		"the same, and both no IDs": {Origin{Fleet: "harbour"}, Origin{Fleet: "harbour"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			outcomesOf(t, dir, c.first, false, one, two)
			before := listing(t, dir)
			for _, force := range []bool{false, true} {
				_, err := Write(dir, c.second, []File{one.with("theirs\n")}, force)
				var other *OtherFleetError
				if errors.As(err, &other) != c.refused || err != nil && !c.refused {
					t.Fatalf("force %t: got %v, want refused %t", force, err, c.refused)
				}
				if !c.refused {
					continue
				}
				if after := listing(t, dir); after != before {
					t.Errorf("force %t: it was refused, and wrote: before\n%s\nafter\n%s", force, before, after)
				}
				if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.first.Fleet) || other.Hint() == "" {
					t.Errorf("got %q, hint %q, want the directory, the fleet and a hint", err, other.Hint())
				}
			}
		})
	}
}

func TestWrite_AnIDThatWasNotedIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	outcomesOf(t, dir, Origin{Fleet: "harbour", ID: "h1"}, false, one)
	outcomesOf(t, dir, Origin{Fleet: "harbour"}, false, one.with("2\n"))
	if report, err := Write(dir, Origin{Fleet: "harbour", ID: "h2"}, []File{one}, false); err == nil {
		t.Errorf("got %v, want the other fleet of this name refused", report)
	}
}

// TestWrite_SaysWhatIsAskedForOtherwiseThanTheLastTime leaves flags out, changes and adds some.
func TestWrite_SaysWhatIsAskedForOtherwiseThanTheLastTime(t *testing.T) {
	dir := t.TempDir()
	first := Origin{Fleet: "harbour", Flags: map[string][]string{"interval": {"15s"}, "notify": {"webhook=http://a/", "webhook=http://b/"}, "serve": {"http://127.0.0.1:8484"}}}
	second := Origin{Fleet: "harbour", Flags: map[string][]string{"interval": {"30s"}, "serve": {"http://127.0.0.1:8484"}, "target": {"nyc1-1=10.0.0.1:9847"}}}
	if got := outcomesOf(t, dir, first, false, one); got.changed != nil {
		t.Errorf("the first time: got %v, want no change", got.changed)
	}
	if got := outcomesOf(t, dir, first, false, one); got.changed != nil {
		t.Errorf("the same again: got %v, want no change", got.changed)
	}
	changed := []Change{
		{"interval", []string{"15s"}, []string{"30s"}},
		{"notify", []string{"webhook=http://a/", "webhook=http://b/"}, nil},
		{"target", nil, []string{"nyc1-1=10.0.0.1:9847"}},
	}
	if diff := cmp.Diff(changed, outcomesOf(t, dir, second, false, one).changed); diff != "" {
		t.Errorf("with other flags: -want +got\n%s", diff)
	}
	if got := outcomesOf(t, dir, second, false, one); got.changed != nil {
		t.Errorf("the others again: got %v, want no change", got.changed)
	}
}

func TestOrigin_HasEveryFlagThatAsksForSomething(t *testing.T) {
	for mode, c := range map[string]struct {
		o    Options
		want map[string][]string
	}{
		"serve": {throughServe(t), map[string][]string{
			"serve": {"https://fleet.example.net:8484"}, "token-file": {"/etc/prometheus/serve.token"}, "ca-file": {"/etc/prometheus/serve.pem"},
			"notify":       {"webhook=http://127.0.0.1:9000/alerts", "slack-file=/etc/alertmanager/slack", "pagerduty-file=/etc/alertmanager/pagerduty"},
			"alertmanager": {"127.0.0.1:9093"}, "interval": {"15s"}, "runbooks": {Runbooks},
		}},
		"direct": {direct(), map[string][]string{
			"target": {"nyc1-1=100.64.0.7:9847", "sgp1-1=[fd7a::3]:9847"}, "relay-token-file": {"/etc/prometheus/relay.token"},
			"alertmanager": {"127.0.0.1:9093"}, "interval": {"15s"}, "runbooks": {Runbooks},
		}},
	} {
		got, err := c.o.Origin()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Origin{Fleet: "harbour", Flags: c.want}, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", mode, diff)
		}
	}
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
		p, err := decide(root, before, harbour("2s"), newer, false)
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
	if results, err := Write(dir, harbour("1s"), []File{one}, true); err == nil {
		t.Errorf("got %v, want an error: %s is a link", results, one.Name)
	}
	has(t, elsewhere, "target", "theirs\n")
}

func TestWrite_ADamagedManifestIsNamed(t *testing.T) {
	for _, text := range []string{"{", "{}", `{"files": {"one.yml": ["00"]}}`, `{"fleet": "harbour", "files": {"../../etc/passwd": ["00"]}}`} {
		dir := t.TempDir()
		put(t, dir, manifestName, text)
		for _, force := range []bool{false, true} {
			_, err := Write(dir, harbour("1s"), []File{one}, force)
			if err == nil || !strings.Contains(err.Error(), manifestName) {
				t.Errorf("%s: got %v, want an error that names %s", text, err, manifestName)
			}
			var hint interface{ Hint() string }
			if remove := "remove " + filepath.Join(dir, manifestName); !errors.As(err, &hint) || !strings.Contains(hint.Hint(), remove) {
				t.Errorf("%s: got %v, want the hint to %s", text, err, remove)
			}
			has(t, dir, one.Name, "")
		}
	}
}
