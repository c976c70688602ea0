package boxsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/disk"
)

var (
	errNotRegular = errors.New("not a regular file")
	errLeads      = errors.New("leads out of the box")
	errNotRelease = errors.New("only releases can be removed")
)

// Files are the commands on files that every box answers.
func Files() []Command {
	return []Command{
		{"uname -s -m", uname},
		{"sha256sum PATH", File("sha256sum", "PATH", sha256sum)},
		{"mkdir -p PATH", File("mkdir", "PATH", mkdir)},
		{"ln -sfn TARGET PATH", File("ln", "TARGET", symlink)},
		{"mv -T SRC DST", File("mv", "SRC", move)},
		{"readlink PATH", File("readlink", "PATH", readlink)},
		{"ls -1t PATH", File("ls", "PATH", list)},
		{"rm -r -- PATH", File("rm", "PATH", removeRelease)},
		{"cat PATH", File("cat", "PATH", cat)},
		{"df -Pk PATH", df},
	}
}

// File makes a command of a function: its error is printed as the command would print it,
// about the argument that stands for subject.
func File(command, subject string, f func(c Call) error) func(context.Context, Call) int {
	return func(_ context.Context, c Call) int {
		if err := f(c); err != nil {
			return c.Said(command, c.Args[subject], err)
		}
		return 0
	}
}

// uname says what this computer is: the box runs its binaries.
func uname(_ context.Context, c Call) int {
	arch := runtime.GOARCH
	switch {
	case arch == "amd64":
		arch = "x86_64"
	case arch == "arm64" && runtime.GOOS == "linux":
		arch = "aarch64"
	}
	_, _ = fmt.Fprintf(c.Stdout, "%s%s %s\n", strings.ToUpper(runtime.GOOS[:1]), runtime.GOOS[1:], arch)
	return 0
}

// open opens a regular file to be read; a pipe would block.
func open(jail *os.Root, p string) (*os.File, error) {
	info, err := jail.Stat(Name(p))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return jail.Open(Name(p))
}

func sha256sum(c Call) error {
	f, err := open(c.Jail, c.Args["PATH"])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "%x  %s\n", h.Sum(nil), c.Args["PATH"])
	return err
}

func cat(c Call) error {
	f, err := open(c.Jail, c.Args["PATH"])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(c.Stdout, f)
	return err
}

func mkdir(c Call) error { return c.Jail.MkdirAll(Name(c.Args["PATH"]), 0o755) }

// symlink makes a link in one step, over an older link. One that leads out of the box
// could not be followed anyway.
func symlink(c Call) error {
	target, at := c.Args["TARGET"], Name(c.Args["PATH"])
	if path.IsAbs(target) || !fs.ValidPath(path.Join(path.Dir(at), target)) {
		return errLeads
	}
	beside := path.Join(path.Dir(at), ".ln-"+rand.Text())
	if err := c.Jail.Symlink(target, beside); err != nil {
		return err
	}
	if err := c.Jail.Rename(beside, at); err != nil {
		return errors.Join(err, c.Jail.Remove(beside))
	}
	return nil
}

func move(c Call) error { return c.Jail.Rename(Name(c.Args["SRC"]), Name(c.Args["DST"])) }

func readlink(c Call) error {
	target, err := c.Jail.Readlink(Name(c.Args["PATH"]))
	if err == nil {
		_, err = fmt.Fprintln(c.Stdout, target)
	}
	return err
}

// list prints names, the newest first, without those that begin with a dot.
func list(c Call) error {
	d, err := c.Jail.Open(Name(c.Args["PATH"]))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	infos, err := d.Readdir(-1)
	if err != nil {
		return err
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, info := range infos {
		if !strings.HasPrefix(info.Name(), ".") {
			_, _ = fmt.Fprintln(c.Stdout, info.Name())
		}
	}
	return nil
}

// removeRelease removes one release, or something in one, and nothing else.
func removeRelease(c Call) error {
	p := Name(c.Args["PATH"])
	if !strings.HasPrefix(p, Releases+"/") {
		return errNotRelease
	}
	if _, err := c.Jail.Lstat(p); err != nil {
		return err
	}
	return c.Jail.RemoveAll(p)
}

// df says how full the disk is on which the box lies.
func df(ctx context.Context, c Call) int {
	if _, err := c.Jail.Stat(Name(c.Args["PATH"])); err != nil {
		return c.Said("df", c.Args["PATH"], err)
	}
	u, err := disk.UsageWithContext(ctx, c.Dir)
	if err != nil {
		return c.Said("df", c.Args["PATH"], err)
	}
	_, _ = fmt.Fprintf(c.Stdout, "Filesystem 1024-blocks Used Available Capacity Mounted on\nbox %d %d %d %.0f%% /\n",
		u.Total/1024, u.Used/1024, u.Free/1024, u.UsedPercent)
	return 0
}
