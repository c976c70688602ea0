package sshserver

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/pkg/sftp"
)

// jail serves SFTP requests inside an os.Root, which refuses whatever leads out of
// it, symbolic links included.
type jail struct{ root *os.Root }

var (
	_ sftp.FileReader           = jail{}
	_ sftp.OpenFileWriter       = jail{}
	_ sftp.PosixRenameFileCmder = jail{}
	_ sftp.LstatFileLister      = jail{}
	_ sftp.ReadlinkFileLister   = jail{}
)

var (
	errNotRegular = errors.New("not a regular file")
	errLinkTarget = errors.New("symbolic link leads out of the box")
)

// local turns the path of a request, absolute and clean, into a name below the root.
func local(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if p == "" {
		return "."
	}
	return p
}

// open opens a regular file; opening a pipe or a device could block or worse.
func (j jail) open(r *sftp.Request, flags int) (*os.File, error) {
	name := local(r.Filepath)
	if info, err := j.root.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	return j.root.OpenFile(name, flags, 0o644) // pkg/sftp drops the mode of an open request; clients chmod
}

// Fileread opens a file to be read.
func (j jail) Fileread(r *sftp.Request) (io.ReaderAt, error) { return j.open(r, os.O_RDONLY) }

// Filewrite opens a file to be written.
func (j jail) Filewrite(r *sftp.Request) (io.WriterAt, error) { return j.OpenFile(r) }

// OpenFile opens a file to be read and written.
func (j jail) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	want := r.Pflags()
	flags := os.O_WRONLY
	if want.Read {
		flags = os.O_RDWR
	}
	if want.Creat {
		flags |= os.O_CREATE
	}
	if want.Trunc {
		flags |= os.O_TRUNC
	}
	if want.Excl {
		flags |= os.O_EXCL
	}
	if want.Append {
		f, err := j.open(r, flags|os.O_APPEND)
		if err != nil {
			return nil, err
		}
		return &appended{File: f}, nil
	}
	return j.open(r, flags)
}

// appended writes at the end, whatever offset the client says, as OpenSSH does.
type appended struct {
	*os.File
	mu sync.Mutex
}

// WriteAt appends b.
func (a *appended) WriteAt(b []byte, _ int64) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Write(b)
}

// Filecmd changes the tree.
func (j jail) Filecmd(r *sftp.Request) error {
	name, target := local(r.Filepath), local(r.Target)
	switch r.Method {
	case "Setstat":
		return j.setstat(r, name)
	case "Rename": // version 3 of the protocol: never over an existing file
		if _, err := j.root.Lstat(target); err == nil {
			return &fs.PathError{Op: "rename", Path: target, Err: fs.ErrExist}
		}
		return j.root.Rename(name, target)
	case "Mkdir":
		return j.root.Mkdir(name, 0o755)
	case "Rmdir", "Remove":
		info, err := j.root.Lstat(name)
		if err != nil {
			return err
		}
		if info.IsDir() != (r.Method == "Rmdir") || name == "." {
			return &fs.PathError{Op: strings.ToLower(r.Method), Path: name, Err: fs.ErrInvalid}
		}
		return j.root.Remove(name)
	case "Link":
		return j.root.Link(name, target)
	case "Symlink": // here Filepath is what the link says, and Target is the link
		says := r.Filepath
		if path.IsAbs(says) || !fs.ValidPath(path.Join(path.Dir(target), says)) {
			return &fs.PathError{Op: "symlink", Path: target, Err: errLinkTarget}
		}
		return j.root.Symlink(says, target)
	default:
		return sftp.ErrSSHFxOpUnsupported
	}
}

// PosixRename renames over whatever is there.
func (j jail) PosixRename(r *sftp.Request) error {
	return j.root.Rename(local(r.Filepath), local(r.Target))
}

// setstat changes mode, size and times. On a handle, setting nothing means: sync (see syncFilter).
func (j jail) setstat(r *sftp.Request, name string) error {
	if r.Flags == 0 {
		f, err := j.open(r, os.O_RDONLY)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	}
	set, attrs := r.AttrFlags(), r.Attributes()
	if set.Size {
		f, err := j.open(r, os.O_WRONLY)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(int64(attrs.Size)), f.Close()); err != nil { // #nosec G115 -- a negative size is refused by the kernel
			return err
		}
	}
	if set.Permissions {
		if err := j.root.Chmod(name, attrs.FileMode().Perm()); err != nil {
			return err
		}
	}
	if set.Acmodtime {
		return j.root.Chtimes(name, attrs.AccessTime(), attrs.ModTime())
	}
	return nil
}

// Filelist lists a directory or stats a file.
func (j jail) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	name := local(r.Filepath)
	if r.Method != "List" {
		info, err := j.root.Stat(name)
		return listing{info}, err
	}
	d, err := j.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	infos, err := d.Readdir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return listing(infos), nil
}

// Lstat stats without following a link.
func (j jail) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	info, err := j.root.Lstat(local(r.Filepath))
	return listing{info}, err
}

// Readlink returns what a link says.
func (j jail) Readlink(p string) (string, error) { return j.root.Readlink(local(p)) }

type listing []fs.FileInfo

// ListAt copies entries from an offset.
func (l listing) ListAt(into []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}
