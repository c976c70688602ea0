package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// imported is an app on a narrow, colourful terminal with a history of two days, whose
// newest figure is at least what it says.
func imported(t *testing.T) (a *app, stdout, stderr *bytes.Buffer) {
	t.Helper()
	a, stdout, stderr = testApp(t)
	for name, text := range map[string]string{
		"fleet.yaml": "name: later\nnodes: [{region: nyc1}]" + tailOfSpec,
		"old.csv": "timestamp,region,connected,peak,nat,hp_ok,hp_no,uptime_h,peer_id\n" +
			"2026-01-01T00:00:00Z,nyc1,10,20,public,0,0,1.00,12D3KooWA6LSqJ6GqbQzQuirHvNk8AMBpyYGUbttinCaJfaj588J\n" +
			"2026-01-02T00:00:00Z,nyc1,12,21,public,0,0,25.00,12D3KooWA6LSqJ6GqbQzQuirHvNk8AMBpyYGUbttinCaJfaj588J\n",
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code := run(t.Context(), a, []string{"stats", "import", "old.csv"}); code != exitOK {
		t.Fatalf("import: exit %d\n%s", code, stderr)
	}
	stdout.Reset()
	onTerminal(a, strings.NewReader(""))
	a.out.width = func() int { return 30 }
	env := a.env
	a.env = func(name string) (string, bool) {
		if name == "LANG" {
			return "C.UTF-8", true
		}
		return env(name)
	}
	return a, stdout, stderr
}

// file runs a command and reads the file that it writes; nothing may go to stdout.
func (a *app) file(t *testing.T, name string, args ...string) string {
	t.Helper()
	stdout, stderr := new(bytes.Buffer), new(bytes.Buffer)
	a.stdout, a.stderr, a.globals = stdout, stderr, globals{}
	if code := run(t.Context(), a, append(args, "--out", name)); code != exitOK || stdout.Len() > 0 {
		t.Fatalf("%v: exit %d, stdout %q\n%s", args, code, stdout, stderr)
	}
	text, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOut_AFileIsTheSameWhateverTheTerminalIs(t *testing.T) {
	a, _, _ := imported(t)
	for _, args := range [][]string{
		{"stats", "history", "--metric", "concurrent,peak,lifetime", "--since", "2d", "--step", "1d"},
		{"stats", "history", "--metric", "retention"},
		{"stats", "chart", "concurrent", "--since", "2d"},
	} {
		onTerminal(a, strings.NewReader(""))
		a.out.width = func() int { return 30 }
		narrow := a.file(t, "narrow.txt", args...)
		a.out = stream{}
		elsewhere := a.file(t, "elsewhere.txt", args...)
		if narrow != elsewhere || narrow == "" || strings.Contains(narrow, "\x1b") {
			t.Errorf("%v: on a terminal\n%s\nand without\n%s", args, narrow, elsewhere)
		}
	}
}

func TestOut_TheEndingOfTheFileSaysTheForm(t *testing.T) {
	a, _, _ := imported(t)
	chart := []string{"stats", "chart", "concurrent", "--since", "2d"}
	history := []string{"stats", "history", "--metric", "concurrent", "--since", "2d"}
	export := []string{"stats", "export", "--anonymous"}
	for _, c := range []struct {
		args []string
		file string
		want string // the file begins so
	}{
		{chart, "c.png", "\x89PNG"},
		{chart, "c.SVG", "<?xml"},
		{chart, "c.txt", "Peers connected at once (peers)"},
		{chart, "c", "Peers connected at once (peers)"},
		{append(chart, "-o", "svg"), "c.xml", "<?xml"},
		{history, "h.csv", "at,metric,"},
		{history, "h.json", "{\n"},
		{history, "h.parquet", "PAR1"},
		{history, "h.txt", "AT "},
		{append(history, "--json"), "h.csv.new", "{\n"},
		{export, "e.parquet", "PAR1"},
		{export, "e.json", "["},
		{append(export, "--json"), "e", "["},
	} {
		if got := a.file(t, c.file, c.args...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v --out %s: got %.60q, want %q", c.args, c.file, got, c.want)
		}
	}
}

func TestOut_TwoFormsAreAnError(t *testing.T) {
	a, stdout, stderr := imported(t)
	for _, c := range []struct{ args, want string }{
		{"chart concurrent -o svg --out x.png", "stats chart: -o svg and --out x.png are two forms\nhint: leave -o out, or let the file's name end in .svg\n"},
		{"chart concurrent -o txt --out x.svg", "stats chart: -o txt and --out x.svg are two forms\n"},
		{"chart concurrent --out x.gif", "stats chart: --out x.gif: a chart is no .gif\nhint: let the name end in .svg, .png or .txt, or name the form with -o\n"},
		{"history -o parquet --out x.csv", "stats history: -o parquet and --out x.csv are two forms\n"},
		{"history --json --out x.csv", "\"error\":\"stats history: -o json and --out x.csv are two forms\""},
		{"export --anonymous -o csv --out x.parquet", "stats export: -o csv and --out x.parquet are two forms\n"},
	} {
		stdout.Reset()
		stderr.Reset()
		a.globals = globals{}
		code := run(t.Context(), a, append([]string{"stats"}, strings.Fields(c.args)...))
		if code != exitError || stdout.Len() > 0 || !strings.Contains(unwrapped(stderr.String()), c.want) {
			t.Errorf("%s: exit %d, stdout %q\n%s\nwant %s", c.args, code, stdout, stderr, c.want)
		}
	}
	if files, err := filepath.Glob(filepath.Join(a.dir, "x.*")); err != nil || len(files) > 0 {
		t.Errorf("files were made: %v (%v)", files, err)
	}
}

// unwrapped is text without the line breaks of a narrow terminal.
func unwrapped(text string) string { return strings.ReplaceAll(text, "\n  ", " ") }

func TestReplaceFile_AFileThatCannotBeWrittenWholeStaysAsItWas(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "chart.svg")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := replaceFile(file, 0o666, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, full)
	})
	if text, _ := os.ReadFile(file); !errors.Is(err, full) || string(text) != "old" {
		t.Errorf("got %v and %q, want %v and the old file", err, text, full)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v are left (%v), want the old file alone", left, err)
	}
}

func TestReplaceFile_FollowsALinkAndRefusesADirectory(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "new")
		return err
	}
	if err := replaceFile(link, 0o666, write); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is none any more: %v (%v)", info, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "new" {
		t.Errorf("the file of the link: got %q (%v), want new", text, err)
	}
	if err := replaceFile(dir, 0o666, write); err == nil {
		t.Error("a directory was written to")
	}
}
