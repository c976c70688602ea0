package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/multiformats/go-multiaddr"
)

// call is one command that a box was asked to run.
type call struct {
	box    *box
	args   map[string]string // what stands for the words in capitals
	stdout io.Writer
	stderr io.Writer
}

// command is one row of the table. Words in capitals stand for arguments.
type command struct {
	argv string
	run  func(ctx context.Context, c call) int
}

// commands is all that a local box answers. Nothing here runs a program of this
// computer's; the box's own relay is the only one that is started.
func commands() []command {
	return []command{
		{"uname -s -m", uname},
		{"sha256sum PATH", simple(sha256sum)},
		{"mkdir -p PATH", simple(mkdir)},
		{"ln -sfn TARGET PATH", simple(symlink)},
		{"mv -T SRC DST", simple(move)},
		{"readlink PATH", simple(readlink)},
		{"ls -1t PATH", simple(list)},
		{"rm -r -- PATH", removeRelease},
		{"cat PATH", simple(cat)},
		{"df -Pk PATH", df},
		{"systemctl daemon-reload", func(context.Context, call) int { return 0 }},
		{"systemctl enable relay.service", control((*unit).enableNow)},
		{"systemctl disable relay.service", control((*unit).disableNow)},
		{"systemctl start relay.service", control((*unit).start)},
		{"systemctl stop relay.service", control((*unit).stop)},
		{"systemctl restart relay.service", control((*unit).restart)},
		{"systemctl is-active relay.service", isActive},
		{"systemctl show -p ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus relay.service", show},
		{"journalctl -u relay.service -n N --no-pager -o short-iso", journalctl(false)},
		{"journalctl -u relay.service -n N --no-pager -o short-iso -f", journalctl(true)},
		{"/opt/relay/current/relay ping MULTIADDR -o json", relayCommand("ping", "MULTIADDR", "-o", "json")},
		{"/opt/relay/current/relay version -o json", relayCommand("version", "-o", "json")},
		{"/opt/relay/current/relay id --state /var/lib/relay", relayCommand("id", "--state", "STATE")},
	}
}

// exec runs what the table has for argv, and nothing else.
func (b *box) exec(ctx context.Context, argv []string, _ io.Reader, stdout, stderr io.Writer) int {
	for _, c := range commands() {
		if args, ok := match(strings.Fields(c.argv), argv); ok {
			return c.run(ctx, call{box: b, args: args, stdout: stdout, stderr: stderr})
		}
	}
	_, _ = fmt.Fprintf(stderr, "%s: not found: this local box answers a fixed table of commands\n", printable(argv[0]))
	return 127
}

// match compares argv with a row of the table.
func match(pattern, argv []string) (map[string]string, bool) {
	if len(pattern) != len(argv) {
		return nil, false
	}
	args := make(map[string]string)
	for i, want := range pattern {
		if want == strings.ToUpper(want) && want != strings.ToLower(want) && !strings.HasPrefix(want, "-") {
			if !acceptable(want, argv[i]) {
				return nil, false
			}
			args[want] = argv[i]
			continue
		}
		if want != argv[i] {
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
	case "MULTIADDR":
		_, err := multiaddr.NewMultiaddr(arg)
		return err == nil
	default:
		return arg != "" && len(arg) < 4096 && !strings.HasPrefix(arg, "-") && !strings.ContainsRune(arg, 0)
	}
}

// printable is a word that is safe to show.
func printable(word string) string {
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

// name turns a path on the box into one below its root. What leads above "/" ends there.
func name(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if p == "" {
		return "."
	}
	return p
}

// said prints an error as the command that failed would, and is its exit code.
func (c call) said(command, subject string, err error) int {
	_, _ = fmt.Fprintf(c.stderr, "%s: %s: %v\n", command, printable(subject), cause(err))
	return 1
}

// cause is an error without the names of this computer's files.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
