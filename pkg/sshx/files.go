package sshx

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/pkg/sftp"
)

const (
	appendChunk = 32 << 10 // bytes; one SFTP packet
	fsyncName   = "fsync@openssh.com"
	renameName  = "posix-rename@openssh.com"
	tempInfix   = ".fleetctl-" // temporary files are <name>.fleetctl-<16 hex digits>
)

// ReadFile reads a file of at most limit bytes; a longer one is ErrTooLarge, a missing
// one fs.ErrNotExist, and what is no file ErrNotRegular: to open a pipe would hold up
// everything that the box's server does for us. What the box says of the length is not
// believed.
func (c *Client) ReadFile(ctx context.Context, at Target, name string, limit int64) ([]byte, error) {
	var data []byte
	err := c.withFiles(ctx, at, "read", name, func(_ context.Context, fc *sftp.Client) error {
		info, err := fc.Stat(name)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return ErrNotRegular
		}
		f, err := fc.Open(name)
		if err != nil {
			return err
		}
		w := &limited{left: limit}
		if info.Size() <= appendChunk {
			_, err = io.Copy(w, struct{ io.Reader }{f}) // without asking for its length once more
		} else {
			_, err = f.WriteTo(w)
		}
		err = errors.Join(err, f.Close())
		if w.over {
			return ErrTooLarge
		}
		data = w.buf.Bytes()
		return err
	})
	if err != nil {
		return nil, err
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// limited keeps up to left bytes and fails on the next.
type limited struct {
	buf  bytes.Buffer
	left int64
	over bool
}

// Write fails with ErrTooLarge beyond the limit.
func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		l.over = true
		return 0, ErrTooLarge
	}
	l.left -= int64(len(p))
	return l.buf.Write(p)
}

// WriteFile replaces a file: temporary name beside it, sync, rename. Parents that are not
// there are made 0755.
func (c *Client) WriteFile(ctx context.Context, at Target, name string, data []byte, mode fs.FileMode) error {
	return c.withFiles(ctx, at, "write", name, func(ctx context.Context, fc *sftp.Client) error {
		tmp, err := writeTemporary(ctx, fc, name, bytes.NewReader(data), mode)
		if err != nil {
			return err
		}
		if ctx.Err() != nil { // the caller has gone and was told so
			return errors.Join(context.Cause(ctx), fc.Remove(tmp))
		}
		return moveInto(fc, tmp, name)
	})
}

// AppendFile adds to the end of a file, making it with mode if it is not there. It is
// one write up to 32 KiB.
func (c *Client) AppendFile(ctx context.Context, at Target, name string, data []byte, mode fs.FileMode) error {
	return c.withFiles(ctx, at, "append", name, func(ctx context.Context, fc *sftp.Client) error {
		f, err := fc.OpenFile(name, os.O_WRONLY|os.O_APPEND)
		if errors.Is(err, fs.ErrNotExist) {
			if f, err = create(fc, name, os.O_APPEND); err == nil {
				err = f.Chmod(mode.Perm())
			}
		}
		if err != nil {
			return closing(f, err)
		}
		for len(data) > 0 && err == nil {
			n := min(len(data), appendChunk)
			_, err = f.Write(data[:n])
			data = data[n:]
			if err == nil {
				err = ctx.Err()
			}
		}
		if err == nil {
			err = syncFile(fc, f)
		}
		return explained(fc, name, closing(f, err))
	})
}

// Remove deletes one file; one that is gone is success. A directory is an error.
func (c *Client) Remove(ctx context.Context, at Target, name string) error {
	return c.withFiles(ctx, at, "remove", name, func(_ context.Context, fc *sftp.Client) error {
		info, err := fc.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && info.IsDir() {
			return errors.New("is a directory")
		}
		if err == nil {
			err = fc.Remove(name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone in between
		}
		return err
	})
}

// writeTemporary writes a file beside name, synced, and returns its path. Nothing is left after an error.
func writeTemporary(ctx context.Context, fc *sftp.Client, name string, from io.Reader, mode fs.FileMode) (string, error) {
	tmp := tempName(name)
	f, err := create(fc, tmp, os.O_EXCL)
	if err != nil {
		return "", explained(fc, tmp, err)
	}
	err = f.Chmod(mode.Perm())
	if err == nil {
		_, err = f.ReadFromWithConcurrency(ctxReader{ctx, from}, 0)
	}
	if err == nil {
		err = syncFile(fc, f)
	}
	if err = closing(f, err); err != nil {
		return "", errors.Join(explained(fc, tmp, err), quiet(fc.Remove(tmp)))
	}
	return tmp, nil
}

// create opens a new file for writing, making its parents only where they are missing.
func create(fc *sftp.Client, name string, flags int) (*sftp.File, error) {
	flags |= os.O_WRONLY | os.O_CREATE
	f, err := fc.OpenFile(name, flags)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := fc.MkdirAll(path.Dir(name)); err != nil {
		return nil, err
	}
	return fc.OpenFile(name, flags)
}

// moveInto renames over whatever is there; after a failure nothing is left.
func moveInto(fc *sftp.Client, tmp, name string) error {
	if _, ok := fc.HasExtension(renameName); !ok {
		return errors.Join(errors.New("server cannot replace a file (no "+renameName+")"), quiet(fc.Remove(tmp)))
	}
	if err := fc.PosixRename(tmp, name); err != nil {
		return errors.Join(err, quiet(fc.Remove(tmp)))
	}
	return nil
}

// syncFile flushes a file to the disk where the server can.
func syncFile(fc *sftp.Client, f *sftp.File) error {
	if v, ok := fc.HasExtension(fsyncName); !ok || v != "1" {
		return nil
	}
	return f.Sync()
}

func closing(f *sftp.File, err error) error {
	if f == nil {
		return err
	}
	return errors.Join(err, f.Close())
}

// quiet drops "it is gone", which is what a cleanup wants.
func quiet(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func tempName(name string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return name + tempInfix + hex.EncodeToString(b[:])
}

// ctxReader ends a copy when its context ends.
type ctxReader struct {
	ctx  context.Context // of the one call that reads
	from io.Reader
}

// Read fails once the context has ended.
func (r ctxReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.from.Read(p)
}

// checkPath refuses what Runner does not promise to handle.
func checkPath(name string) error {
	if !path.IsAbs(name) || name == "/" {
		return fmt.Errorf("%q is not the absolute path of a file", name)
	}
	return nil
}
