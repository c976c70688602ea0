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
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const readme = "../../README.md"

// stage is where the blocks of one section of the README are run.
type stage struct {
	*testFleet
	env    []string
	before func(command string) // nil, or what has to be there when the command runs
	end    func()               // fails unless nothing is left
}

// stages are those of this system's sections, by their heading.
func stages() map[string]func(*testing.T) *stage {
	all := cloudStages()
	all["A fleet on this machine"] = localStage
	all["Records at Cloudflare"] = cloudflareStage
	all["Records at BIND or Knot"] = bindStage
	return all
}

// TestREADME_ItsBlocksPrintWhatTheySay runs the console blocks of the README in order,
// each section on a stage of its own, and compares what they print. -update writes what
// was printed instead.
func TestREADME_ItsBlocksPrintWhatTheySay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	sections := splitSections(string(text))
	ran := 0
	made := stages()
	var all sync.WaitGroup // all at once: they wait most of the time, and parallel tests are as few as processors
	for i, section := range sections {
		heading, _, _ := strings.Cut(section, "\n")
		open, ok := made[strings.TrimPrefix(heading, "## ")]
		if !ok {
			if len(splitReadme(section)) > 1 && everyStage {
				t.Errorf("%s: it has console blocks, and no stage to run them", heading)
			}
			continue
		}
		ran++
		all.Go(func() {
			t.Run(heading, func(t *testing.T) { sections[i] = open(t).play(section) })
		})
	}
	all.Wait()
	if ran != len(made) {
		t.Errorf("%d of %d stages have a section", ran, len(made))
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(readme, []byte(strings.Join(sections, "")), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
	}
}

// localStage is a fleet on this machine.
func localStage(t *testing.T) *stage {
	f := newStageFleet(t, "harbour")
	t.Cleanup(f.testFleet.end)
	var pids []int
	f.before = func(command string) {
		if strings.HasPrefix(command, "fleetctl down") {
			pids = f.pids()
		}
	}
	f.end = func() { f.gone(pids) }
	return f
}

// newStageFleet is a fleet without a fleet.yaml. Its directory is "/home/you" in what is
// printed.
func newStageFleet(t *testing.T, name string) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "ft-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return &stage{testFleet: &testFleet{t: t, dir: dir, state: filepath.Join(dir, "state"), name: name}}
}

// play runs the commands of a section and returns it with what they printed.
func (s *stage) play(section string) string {
	s.t.Helper()
	var out strings.Builder
	for _, part := range splitReadme(section) {
		if part.command == "" {
			out.WriteString(part.text)
			continue
		}
		if s.before != nil {
			s.before(part.command)
		}
		got := s.shell(part.command)
		out.WriteString("$ " + part.command + "\n" + got)
		if diff := cmp.Diff(loosely(part.text), loosely(got)); diff != "" && !*update {
			s.t.Fatalf("%s: -README +printed, lines sorted\n%s\nprinted:\n%s", part.command, diff, got)
		}
	}
	s.end()
	return out.String()
}

// splitSections cuts a text before each heading of the second level.
func splitSections(text string) []string {
	var sections []string
	for rest := text; rest != ""; {
		next := strings.Index(rest[1:], "\n## ") + 2
		if next == 1 {
			next = len(rest)
		}
		sections, rest = append(sections, rest[:next]), rest[next:]
	}
	return sections
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
func (s *stage) shell(line string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := s.command(ctx, s.env)
	c.Args = []string{"sh", "-c", line}
	sh, err := exec.LookPath("sh")
	if err != nil {
		s.t.Fatal(err)
	}
	c.Path = sh
	c.Env = append(c.Env, "PATH="+filepath.Dir(relayBinary(s.t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	var both bytes.Buffer
	c.Stdout, c.Stderr = &both, &both
	var exited *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exited) {
		s.t.Fatalf("%s: %v", line, err)
	}
	return strings.NewReplacer(s.dir, "/home/you", filepath.Dir(relayBinary(s.t)), "/home/you/bin").Replace(both.String())
}

// loosely is the lines of an output without what differs from run to run, sorted: changes
// under way at once end in any order, and records are listed by ports and peer IDs.
func loosely(output string) []string {
	for _, v := range []struct{ pattern, by string }{
		{`12D3KooW[0-9A-Za-z…]+`, "PEER"},
		{`/(tcp|udp)/[0-9]+`, "/$1/PORT"},
		{`127\.0\.0\.1(:| -p )[0-9]+`, "127.0.0.1${1}PORT"},
		{`\b127\.[1-9][0-9]*\.[0-9]+\.[0-9]+\b`, "ADDRESS"},
		{`\b4000000[0-9]{2}\b`, "DROPLET"},
		{`SHA256:[0-9A-Za-z+/]{43}`, "FINGERPRINT"},
		{`ssh-ed25519 [0-9A-Za-z+/]{68}`, "ssh-ed25519 KEY"},
		{`\b[0-9]+ bytes\b`, "SIZE bytes"},
		{`(?m)^… .* [0-9.]+s: .*\n`, ""}, // said on a slow machine
		{`\b([a-z0-9]+-[0-9]+)-[0-9a-z]{26}\b`, "$1-ID"},
		{`\bid: [0-9a-z]{26}\b`, "id: ID"},
		{`\b[0-9a-f]{12}\b`, "DIGEST"},
		{`\b[0-9a-f]{64}\b`, "HASH"},
		{`[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}Z`, "TIME"},
		{`(?m)^(✓ .*) \([0-9a-z.<]+\)$`, "$1"},
		{` <?[0-9.]+m?s `, " TOOK "},
		{`,[0-9]+\.[0-9]{2},`, ",HOURS,"},
		{` +`, " "},
	} {
		output = regexp.MustCompile(v.pattern).ReplaceAllString(output, v.by)
	}
	lines := strings.Split(output, "\n")
	slices.Sort(lines)
	return lines
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
