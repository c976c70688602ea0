//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const readme = "../../README.md"

// TestREADME_ItsBlocksPrintWhatTheySay runs the console blocks of the README in order, on
// a real fleet, and compares what they print. -update writes what was printed instead.
func TestREADME_ItsBlocksPrintWhatTheySay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ft-")
	if err != nil {
		t.Fatal(err)
	}
	f := &testFleet{t: t, dir: dir, state: filepath.Join(dir, "state"), name: "harbour"}
	t.Cleanup(func() {
		f.end()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	var out strings.Builder
	var pids []int
	ran := 0
	for _, part := range splitReadme(string(text)) {
		if part.command == "" {
			out.WriteString(part.text)
			continue
		}
		if strings.HasPrefix(part.command, "fleetctl down") {
			pids = f.pids()
		}
		ran++
		got := f.shell(part.command)
		out.WriteString("$ " + part.command + "\n" + got)
		if diff := cmp.Diff(loosely(part.text), loosely(got)); diff != "" && !*update {
			t.Fatalf("%s: -README +printed, lines sorted\n%s\nprinted:\n%s", part.command, diff, got)
		}
	}
	if ran == 0 {
		t.Fatal("the README has no console block")
	}
	f.gone(pids)
	if *update {
		if err := os.WriteFile(readme, []byte(out.String()), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
	}
}

// readmePart is a command with its output, or other text as it stands.
type readmePart struct{ command, text string }

// splitReadme finds the commands in fenced console blocks: lines after "$ ".
func splitReadme(text string) []readmePart {
	parts := []readmePart{{}}
	inside := false
	for line := range strings.Lines(text) {
		switch {
		case !inside && line == "```console\n":
			inside = true
		case inside && line == "```\n":
			inside = false
			parts = append(parts, readmePart{})
		case inside && strings.HasPrefix(line, "$ "):
			parts = append(parts, readmePart{command: strings.TrimSpace(line[2:])})
			continue
		}
		parts[len(parts)-1].text += line
	}
	return parts
}

// shell runs a line as an operator types it, and returns what appears: stdout and stderr.
func (f *testFleet) shell(line string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := f.command(ctx, nil)
	c.Args = []string{"sh", "-c", line}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.t.Fatal(err)
	}
	c.Path = sh
	c.Env = append(c.Env, "PATH="+filepath.Dir(relayBinary(f.t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	var both bytes.Buffer
	c.Stdout, c.Stderr = &both, &both
	var exited *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exited) {
		f.t.Fatalf("%s: %v", line, err)
	}
	return both.String()
}

// loosely is the lines of an output without what differs from run to run, sorted: changes
// under way at once end in any order, and records are listed by ports and peer IDs.
func loosely(output string) []string {
	for _, v := range []struct{ pattern, by string }{
		{`12D3KooW[0-9A-Za-z…]+`, "PEER"},
		{`/(tcp|udp)/[0-9]+`, "/$1/PORT"},
		{`127\.0\.0\.1(:| -p )[0-9]+`, "127.0.0.1${1}PORT"},
		{`\b([a-z0-9]+-[0-9]+)-[0-9a-z]{26}\b`, "$1-ID"},
		{`\bid: [0-9a-z]{26}\b`, "id: ID"},
		{`\b[0-9a-f]{12}\b`, "DIGEST"},
		{`[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}Z`, "TIME"},
		{`(?m)^(✓ .*) \([0-9a-z.<]+\)$`, "$1"},
		{` [0-9.]+m?s `, " TOOK "},
		{`,[0-9]+\.[0-9]{2},`, ",HOURS,"},
		{` +`, " "},
	} {
		output = regexp.MustCompile(v.pattern).ReplaceAllString(output, v.by)
	}
	lines := strings.Split(output, "\n")
	slices.Sort(lines)
	return lines
}
