package main

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/shlex"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
)

const runbooks = "../../docs/runbooks.md"

// TestRunbooks_EachAlertHasItsSection looks for what it means, what to look at, and what to do.
func TestRunbooks_EachAlertHasItsSection(t *testing.T) {
	text, err := os.ReadFile(runbooks)
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, rest, _ := strings.Cut(section, "\n")
		sections[heading] = rest
	}
	names := make(map[string]bool)
	for _, a := range monitoring.Alerts() {
		names[a.Name] = true
		section, there := sections[a.Name]
		if !there {
			t.Errorf("%s has no section for the alert %s", runbooks, a.Name)
		}
		for _, part := range []string{"What it means", "What to look at", "What to do"} {
			_, said, _ := strings.Cut(section, "\n### "+part+"\n")
			said, _, _ = strings.Cut(said, "\n### ")
			if len(strings.TrimSpace(said)) < 40 {
				t.Errorf("%s: %s: %q says %q, which is too little", runbooks, a.Name, part, said)
			}
		}
		row := regexp.MustCompile(`(?m)^\| \[` + a.Name + `\]\(#` + strings.ToLower(a.Name) + `\) \| ` + string(a.Severity) + ` \| (\d+) (min|h) \|`)
		if m := row.FindStringSubmatch(string(text)); m == nil || m[1]+strings.TrimSuffix(m[2], "in") != a.For {
			t.Errorf("%s: the row of %s, %s: got %q, want one that says %s", runbooks, a.Name, a.Severity, m, a.For)
		}
	}
	for heading := range sections {
		if !names[heading] && heading != "Setting it up" {
			t.Errorf("%s: there is no alert %s", runbooks, heading)
		}
	}
}

// TestRunbooks_TheirCommandsAreCommands parses every command line of fleetctl on the page:
// nobody looks up a flag at night.
func TestRunbooks_TheirCommandsAreCommands(t *testing.T) {
	text, err := os.ReadFile(runbooks)
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^\$ (fleetctl .*)$`).FindAllStringSubmatch(string(text), -1)
	lines = append(lines, regexp.MustCompile("`(fleetctl [a-z][^`]*)`").FindAllStringSubmatch(string(text), -1)...)
	if len(lines) < 40 {
		t.Fatalf("got %d command lines, want 40 and more: are they found?", len(lines))
	}
	for _, m := range lines {
		words, err := shlex.Split(m[1])
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		if err := parsed(words[1:]); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}

// parsed reads a command line as run would, and runs nothing. A command that is only named
// may lack its arguments.
func parsed(words []string) error {
	root := newRoot(&app{})
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if !cmd.Runnable() {
		return errors.New("it is no command")
	}
	if err := cmd.ParseFlags(rest); err != nil || len(rest) == 0 {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
