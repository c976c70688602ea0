package box

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// system are the commands about users, files with owners, packages, time and swap.
func (d *droplet) system() []boxsim.Command {
	return []boxsim.Command{
		{Argv: "true", Run: done},
		{Argv: "getent passwd USER", Run: d.getent},
		{Argv: "/usr/sbin/useradd --system --user-group --no-create-home --home-dir HOME --shell SHELL USER", Run: d.useradd},
		{Argv: "install -d -o USER -g GROUP -m MODE PATH", Run: boxsim.File("install", "PATH", d.makeDir)},
		{Argv: "mkdir -p -m MODE PATH", Run: boxsim.File("mkdir", "PATH", d.makeDir)},
		{Argv: "chown OWNER PATH", Run: boxsim.File("chown", "PATH", d.chown)},
		{Argv: "chown -R -h OWNER PATH", Run: boxsim.File("chown", "PATH", d.chown)},
		{Argv: "chmod MODE PATH", Run: boxsim.File("chmod", "PATH", d.chmod)},
		{Argv: "/usr/sbin/runuser -u USER -- chmod MODE PATH", Run: boxsim.File("chmod", "PATH", d.chmod)},
		{Argv: "rm -rf -- PATH", Run: boxsim.File("rm", "PATH", d.remove)},
		{Argv: "rmdir PATH", Run: boxsim.File("rmdir", "PATH", func(c boxsim.Call) error { return d.jail.Remove(boxsim.Name(c.Args["PATH"])) })},
		{Argv: "rm -f -- PATH", Run: boxsim.File("rm", "PATH", d.remove)},
		{Argv: "ls -1 PATH", Run: boxsim.File("ls", "PATH", d.list)},
		{Argv: "tail -n N PATH", Run: boxsim.File("tail", "PATH", d.tail)},
		{Argv: "dpkg-query -W -f FORMAT PACKAGES...", Run: d.dpkgQuery},
		{Argv: "env DEBIAN_FRONTEND=noninteractive apt-get WORDS...", Run: d.aptGet},
		{Argv: "timedatectl show -p CanNTP -p NTP -p NTPSynchronized", Run: says("CanNTP=yes\nNTP=yes\nNTPSynchronized=yes\n")},
		{Argv: "timedatectl set-ntp true", Run: done},
		{Argv: "date +%s", Run: func(ctx context.Context, c boxsim.Call) int {
			return says(strconv.FormatInt(time.Now().Unix(), 10)+"\n")(ctx, c)
		}},
		{Argv: "/usr/sbin/swapoff -a", Run: boxsim.File("swapoff", "", func(boxsim.Call) error {
			return d.disk().write("proc/swaps", debian()["proc/swaps"], 0o644)
		})},
		{Argv: "/usr/sbin/sysctl -e -p PATH", Run: boxsim.File("sysctl", "PATH", d.sysctl)},
		{Argv: "/usr/sbin/nft -c -f PATH", Run: boxsim.File("nft", "PATH", func(c boxsim.Call) error {
			return d.rules("/usr/sbin/nft -f " + c.Args["PATH"])
		})},
		{Argv: "cloud-init status --wait --format json", Run: d.cloudInitStatus},
	}
}

func says(text string) func(context.Context, boxsim.Call) int {
	return func(_ context.Context, c boxsim.Call) int {
		_, _ = fmt.Fprint(c.Stdout, text)
		return 0
	}
}

func (d *droplet) cloudInitStatus(_ context.Context, c boxsim.Call) int {
	_, _ = fmt.Fprintln(c.Stdout, d.first.status())
	return min(len(d.first.errs), 1)
}

func (d *droplet) getent(_ context.Context, c boxsim.Call) int {
	line, ok := d.disk().user(c.Args["USER"])
	if !ok {
		return 2
	}
	_, _ = fmt.Fprintln(c.Stdout, line)
	return 0
}

func (d *droplet) useradd(_ context.Context, c boxsim.Call) int {
	name := c.Args["USER"]
	if d.disk().hasUser(name) {
		_, _ = fmt.Fprintf(c.Stderr, "useradd: user '%s' already exists\n", boxsim.Printable(name))
		return 9
	}
	if err := d.disk().addUser(name, c.Args["HOME"], c.Args["SHELL"], 100); err != nil {
		return c.Said("useradd", name, err)
	}
	return 0
}

// makeDir makes a directory. For install it sets owner and mode of one that is there, too.
func (d *droplet) makeDir(c boxsim.Call) error {
	mode, err := strconv.ParseUint(c.Args["MODE"], 8, 12)
	if err != nil {
		return err
	}
	p := boxsim.Name(c.Args["PATH"])
	if user, given := c.Args["USER"]; given {
		if err := errors.Join(d.disk().owner(user), d.disk().owner(c.Args["GROUP"])); err != nil {
			return err
		}
	} else if _, err := d.jail.Stat(p); err == nil {
		return nil
	}
	if err := d.jail.MkdirAll(p, 0o755); err != nil {
		return err
	}
	return d.jail.Chmod(p, fs.FileMode(mode)) // #nosec G115 -- twelve bits
}

func (d *droplet) chown(c boxsim.Call) error {
	if err := d.disk().owner(c.Args["OWNER"]); err != nil {
		return err
	}
	_, err := d.jail.Lstat(boxsim.Name(c.Args["PATH"]))
	return err
}

func (d *droplet) chmod(c boxsim.Call) error {
	mode, err := strconv.ParseUint(c.Args["MODE"], 8, 12)
	if err != nil {
		return err
	}
	return d.jail.Chmod(boxsim.Name(c.Args["PATH"]), fs.FileMode(mode)) // #nosec G115 -- twelve bits
}

// remove removes what may be absent, and never "/".
func (d *droplet) remove(c boxsim.Call) error {
	p := boxsim.Name(c.Args["PATH"])
	if p == "." {
		return errors.New("it is dangerous to operate recursively on '/'")
	}
	return d.jail.RemoveAll(p)
}

// list prints names in their order, without those that begin with a dot.
func (d *droplet) list(c boxsim.Call) error {
	entries, err := fs.ReadDir(d.jail.FS(), boxsim.Name(c.Args["PATH"]))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			_, _ = fmt.Fprintln(c.Stdout, e.Name())
		}
	}
	return err
}

// tail prints the last lines of a file.
func (d *droplet) tail(c boxsim.Call) error {
	text, err := d.jail.ReadFile(boxsim.Name(c.Args["PATH"]))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(c.Args["N"])
	if err != nil {
		return err
	}
	lines := slices.Collect(strings.Lines(string(text)))
	_, _ = fmt.Fprint(c.Stdout, strings.Join(lines[max(0, len(lines)-n):], ""))
	return nil
}

// aptGet updates at once, and installs what is asked for: every package is known.
func (d *droplet) aptGet(_ context.Context, c boxsim.Call) int {
	var words []string
	all := strings.Fields(c.Args["WORDS"])
	for i := 0; i < len(all); i++ {
		switch {
		case all[i] == "-o":
			i++ // and its value
		case !strings.HasPrefix(all[i], "-"):
			words = append(words, all[i])
		}
	}
	switch {
	case len(words) == 1 && words[0] == "update":
		return 0
	case len(words) > 1 && words[0] == "install":
		if err := d.disk().install(words[1:]); err != nil {
			return c.Said("apt-get", "install", err)
		}
		return 0
	}
	_, _ = fmt.Fprintf(c.Stderr, "E: Invalid operation %s\n", boxsim.Printable(strings.Join(words, " ")))
	return 100
}

// dpkgQuery says what is installed. One that is not known is an error, after the others.
func (d *droplet) dpkgQuery(_ context.Context, c boxsim.Call) int {
	code := 0
	has := d.disk().packages()
	for name := range strings.FieldsSeq(c.Args["PACKAGES"]) {
		if !slices.Contains(has, name) {
			_, _ = fmt.Fprintf(c.Stderr, "dpkg-query: no packages found matching %s\n", boxsim.Printable(name))
			code = 1
			continue
		}
		_, _ = fmt.Fprint(c.Stdout, strings.NewReplacer("${Package}", name, "${db:Status-Status}", "installed", `\n`, "\n").Replace(c.Args["FORMAT"]))
	}
	return code
}

func (d *droplet) sysctl(c boxsim.Call) error {
	text, err := d.jail.ReadFile(boxsim.Name(c.Args["PATH"]))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("invalid syntax: %s", boxsim.Printable(line))
		}
		_, _ = fmt.Fprintf(c.Stdout, "%s = %s\n", strings.TrimSpace(key), strings.TrimSpace(value))
	}
	return nil
}

// errRules is what nft says of a text that is no set of rules.
var errRules = errors.New("syntax error")

// rules reads a file of rules as nft would, without a kernel to give them to: the tables
// and their braces.
func (d *droplet) rules(command string) error {
	words := strings.Fields(command)
	if len(words) != 3 || words[0] != "/usr/sbin/nft" || words[1] != "-f" {
		return fmt.Errorf("%s: this machine runs nothing but nft -f", boxsim.Printable(command))
	}
	text, err := d.jail.ReadFile(boxsim.Name(words[2]))
	if err != nil {
		return err
	}
	depth := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if first, _, _ := strings.Cut(line, " "); depth == 0 && !slices.Contains([]string{"table", "delete", "flush", "add", "include", "define"}, first) {
			return fmt.Errorf("%s: %w: %s", words[2], errRules, boxsim.Printable(line))
		}
		if depth += strings.Count(line, "{") - strings.Count(line, "}"); depth < 0 {
			return fmt.Errorf("%s: %w: unexpected }", words[2], errRules)
		}
	}
	if depth != 0 {
		return fmt.Errorf("%s: %w: unexpected end of file", words[2], errRules)
	}
	return nil
}
