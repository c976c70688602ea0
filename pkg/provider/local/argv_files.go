package local

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

// simple wraps a function of files: what it returns is printed as the command's error.
func simple(f func(c call, jail *os.Root) (command, subject string, err error)) func(context.Context, call) int {
	return func(_ context.Context, c call) int {
		command, subject, err := f(c, c.box.jail)
		if err != nil {
			return c.said(command, subject, err)
		}
		return 0
	}
}

// uname says what this computer is: the box runs its binaries.
func uname(_ context.Context, c call) int {
	arch := runtime.GOARCH
	switch {
	case arch == "amd64":
		arch = "x86_64"
	case arch == "arm64" && runtime.GOOS == "linux":
		arch = "aarch64"
	}
	_, _ = fmt.Fprintf(c.stdout, "%s%s %s\n", strings.ToUpper(runtime.GOOS[:1]), runtime.GOOS[1:], arch)
	return 0
}

// open opens a regular file to be read; a pipe would block.
func open(jail *os.Root, p string) (*os.File, error) {
	info, err := jail.Stat(name(p))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return jail.Open(name(p))
}

func sha256sum(c call, jail *os.Root) (string, string, error) {
	f, err := open(jail, c.args["PATH"])
	if err != nil {
		return "sha256sum", c.args["PATH"], err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "sha256sum", c.args["PATH"], err
	}
	_, err = fmt.Fprintf(c.stdout, "%x  %s\n", h.Sum(nil), c.args["PATH"])
	return "sha256sum", c.args["PATH"], err
}

func cat(c call, jail *os.Root) (string, string, error) {
	f, err := open(jail, c.args["PATH"])
	if err != nil {
		return "cat", c.args["PATH"], err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(c.stdout, f)
	return "cat", c.args["PATH"], err
}

func mkdir(c call, jail *os.Root) (string, string, error) {
	return "mkdir", c.args["PATH"], jail.MkdirAll(name(c.args["PATH"]), 0o755)
}

// symlink makes a link in one step, over an older link. One that leads out of the box
// could not be followed anyway.
func symlink(c call, jail *os.Root) (string, string, error) {
	target, at := c.args["TARGET"], name(c.args["PATH"])
	if path.IsAbs(target) || !fs.ValidPath(path.Join(path.Dir(at), target)) {
		return "ln", target, errLeads
	}
	beside := path.Join(path.Dir(at), ".ln-"+rand.Text())
	if err := jail.Symlink(target, beside); err != nil {
		return "ln", c.args["PATH"], err
	}
	if err := jail.Rename(beside, at); err != nil {
		return "ln", c.args["PATH"], errors.Join(err, jail.Remove(beside))
	}
	return "", "", nil
}

func move(c call, jail *os.Root) (string, string, error) {
	return "mv", c.args["SRC"], jail.Rename(name(c.args["SRC"]), name(c.args["DST"]))
}

func readlink(c call, jail *os.Root) (string, string, error) {
	target, err := jail.Readlink(name(c.args["PATH"]))
	if err == nil {
		_, err = fmt.Fprintln(c.stdout, target)
	}
	return "readlink", c.args["PATH"], err
}

// list prints names, the newest first, without those that begin with a dot.
func list(c call, jail *os.Root) (string, string, error) {
	d, err := jail.Open(name(c.args["PATH"]))
	if err != nil {
		return "ls", c.args["PATH"], err
	}
	defer func() { _ = d.Close() }()
	infos, err := d.Readdir(-1)
	if err != nil {
		return "ls", c.args["PATH"], err
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, info := range infos {
		if !strings.HasPrefix(info.Name(), ".") {
			_, _ = fmt.Fprintln(c.stdout, info.Name())
		}
	}
	return "", "", nil
}

// removeRelease removes one release, or something in one, and nothing else.
func removeRelease(_ context.Context, c call) int {
	p := name(c.args["PATH"])
	if !strings.HasPrefix(p, releases+"/") {
		return c.said("rm", c.args["PATH"], errNotRelease)
	}
	if _, err := c.box.jail.Lstat(p); err != nil {
		return c.said("rm", c.args["PATH"], err)
	}
	if err := c.box.jail.RemoveAll(p); err != nil {
		return c.said("rm", c.args["PATH"], err)
	}
	return 0
}

// df says how full the disk is on which the box lies.
func df(ctx context.Context, c call) int {
	if _, err := c.box.jail.Stat(name(c.args["PATH"])); err != nil {
		return c.said("df", c.args["PATH"], err)
	}
	u, err := disk.UsageWithContext(ctx, c.box.dir)
	if err != nil {
		return c.said("df", c.args["PATH"], err)
	}
	_, _ = fmt.Fprintf(c.stdout, "Filesystem 1024-blocks Used Available Capacity Mounted on\nbox %d %d %d %.0f%% /\n",
		u.Total/1024, u.Used/1024, u.Free/1024, u.UsedPercent)
	return 0
}
