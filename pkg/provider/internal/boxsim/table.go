package boxsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/pkg/host"
)

// Call is one command that a box was asked to run.
type Call struct {
	Dir    string // of the box
	Jail   *os.Root
	Unit   *Unit
	Args   map[string]string // what stands for the words in capitals
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Command is one row of a table. Words of Argv in capitals stand for arguments, one with
// dots behind it for all that are left, and two apostrophes for an empty word.
type Command struct {
	Argv string
	Run  func(ctx context.Context, c Call) int
}

// Table is all that a box answers.
type Table struct {
	Box      string // what the box is called where it knows no answer: "local box"
	Commands []Command
}

// Run runs what the table has for argv, and nothing else: that is exit code 127. What
// fleetctl wants noted in the box's audit log is. c.Args is set here.
func (t Table) Run(ctx context.Context, argv []string, c Call) int {
	if n, ok := host.ParseNoted(argv); ok {
		return t.noted(ctx, n, c)
	}
	for _, row := range t.Commands {
		if args, ok := match(strings.Fields(row.Argv), argv); ok {
			c.Args = args
			return row.Run(ctx, c)
		}
	}
	_, _ = fmt.Fprintf(c.Stderr, "%s: not found: this %s answers a fixed table of commands\n", Printable(argv[0]), t.Box)
	return 127
}

// noted runs a command that fleetctl wants noted, if the box holds the proof that it asks for.
func (t Table) noted(ctx context.Context, n host.Noted, c Call) int {
	has, _ := c.Jail.ReadFile(Name(n.Proof.File)) // one that is not there says nothing
	if said, code, refused := n.Refused(has); refused {
		_, _ = io.WriteString(c.Stderr, said)
		return code
	}
	code := t.Run(ctx, n.Argv, c)
	if err := c.note(n.Log, n.Line+host.Ended(code)); err != nil {
		return c.Said("sh", n.Log, err)
	}
	return code
}

// note adds a line to a log of the box.
func (c Call) note(log, line string) error {
	f, err := c.Jail.OpenFile(Name(log), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}

// match compares argv with a row of the table.
func match(pattern, argv []string) (map[string]string, bool) {
	args := make(map[string]string)
	if last := len(pattern) - 1; strings.HasSuffix(pattern[last], "...") && len(argv) > last {
		name := strings.TrimSuffix(pattern[last], "...")
		for _, arg := range argv[last:] {
			if !acceptable(name, arg) {
				return nil, false
			}
		}
		args[name] = strings.Join(argv[last:], " ")
		pattern, argv = pattern[:last], argv[:last]
	}
	if len(pattern) != len(argv) {
		return nil, false
	}
	for i, want := range pattern {
		if want == strings.ToUpper(want) && want != strings.ToLower(want) && !strings.HasPrefix(want, "-") {
			if !acceptable(want, argv[i]) {
				return nil, false
			}
			args[want] = argv[i]
			continue
		}
		if want != argv[i] && (want != "''" || argv[i] != "") {
			return nil, false
		}
	}
	return args, true
}

// acceptable refuses what a real box would take for an option, or not take at all.
func acceptable(kind, arg string) bool {
	switch kind {
	case "N":
		return len(arg) > 0 && len(arg) < 8 && strings.Trim(arg, "0123456789") == ""
	case "MODE":
		return len(arg) == 4 && strings.Trim(arg, "01234567") == ""
	case "WORDS": // the command sorts them out
		return arg != "" && len(arg) < 4096 && !strings.ContainsRune(arg, 0)
	case "MULTIADDR":
		_, err := multiaddr.NewMultiaddr(arg)
		return err == nil
	default:
		return arg != "" && len(arg) < 4096 && !strings.HasPrefix(arg, "-") && !strings.ContainsRune(arg, 0)
	}
}

// Printable is a word that is safe to show.
func Printable(word string) string {
	if len(word) > 200 {
		word = word[:200]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, word)
}

// Name turns a path on the box into one below its root. What leads above "/" ends there.
func Name(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if p == "" {
		return "."
	}
	return p
}

// Said prints an error as the command that failed would, and is its exit code.
func (c Call) Said(command, subject string, err error) int {
	_, _ = fmt.Fprintf(c.Stderr, "%s: %s: %v\n", command, Printable(subject), Cause(err))
	return 1
}

// Cause is an error without the names of this computer's files.
func Cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
