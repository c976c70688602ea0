package sshx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
)

// staleUpload is how old a temporary file must be to be taken for the rest of a killed upload.
const staleUpload = 24 * time.Hour

// Upload copies a local file: temporary name, sync, digest computed on the box (sha256sum),
// rename. A file there that has the digest already is left alone and nothing is sent. On a
// wrong digest the temporary file is removed and the error is ErrDigest.
func (c *Client) Upload(ctx context.Context, at Target, local, name, sha256 string, mode fs.FileMode) error {
	fail := func(err error) error { return fmt.Errorf("%s: upload %s: %w", subject(at.Name, at.Addr), name, err) }
	sha256 = strings.ToLower(sha256)
	if !isDigest(sha256) {
		return fail(fmt.Errorf("%q is not a SHA-256 digest", sha256))
	}
	if err := checkPath(name); err != nil {
		return fail(err)
	}
	f, err := os.Open(local) // #nosec G304 -- the operator's file
	if err != nil {
		return fail(err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fail(errors.Join(err, fmt.Errorf("%s is not a regular file", local)))
	}
	got, err := c.digest(ctx, at, name)
	if err != nil {
		return err
	}
	if got == sha256 {
		return nil
	}
	tmp, err := c.send(ctx, at, f, name, mode)
	if err != nil {
		return err
	}
	got, err = c.digest(ctx, at, tmp)
	if err == nil && got == sha256 {
		return c.withFiles(ctx, at, "upload", name, func(_ context.Context, fc *sftp.Client) error {
			return moveInto(fc, tmp, name)
		})
	}
	if err == nil {
		err = &DigestError{Node: at.Name, Addr: at.Addr, Path: name, Want: sha256, Got: got}
	}
	// Also after ctx has ended: FileTimeout bounds it.
	return errors.Join(err, c.Remove(context.WithoutCancel(ctx), at, tmp))
}

// send streams a file to a temporary name. It has no deadline of its own, but fails when the
// box takes nothing for FileTimeout.
func (c *Client) send(ctx context.Context, at Target, f io.Reader, name string, mode fs.FileMode) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(c.cfg.FileTimeout, func() {
		cancel(fmt.Errorf("box took nothing for %v: %w", c.cfg.FileTimeout, context.DeadlineExceeded))
	})
	defer stalled.Stop()
	var tmp string
	err := c.withoutLimit(ctx, at, "upload", name, func(ctx context.Context, fc *sftp.Client) error {
		sweep(fc, name)
		var err error
		tmp, err = writeTemporary(ctx, fc, name, progress{f, func() { stalled.Reset(c.cfg.FileTimeout) }}, mode)
		if err == nil && ctx.Err() != nil { // nobody waits for it any more
			return errors.Join(context.Cause(ctx), fc.Remove(tmp))
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return tmp, nil
}

// sweep removes what killed uploads of the same file left long ago. It is a courtesy: errors do not matter.
func sweep(fc *sftp.Client, name string) {
	dir := path.Dir(name)
	infos, err := fc.ReadDir(dir)
	if err != nil {
		return
	}
	for _, i := range infos {
		if strings.HasPrefix(i.Name(), path.Base(name)+tempInfix) && i.Mode().IsRegular() && time.Since(i.ModTime()) > staleUpload {
			_ = fc.Remove(path.Join(dir, i.Name()))
		}
	}
}

// progress tells of each read.
type progress struct {
	from io.Reader
	tell func()
}

// Read reads.
func (p progress) Read(b []byte) (int, error) {
	p.tell()
	return p.from.Read(b)
}

// digest is the SHA-256 of a file as the box computes it; "" if there is none to compute.
func (c *Client) digest(ctx context.Context, at Target, name string) (string, error) {
	r, err := c.Run(ctx, at, Command{Argv: []string{"sha256sum", name}, ReadOnly: true, MaxOutput: 4096, Timeout: c.cfg.FileTimeout})
	if err != nil || r.ExitCode != 0 {
		return "", err
	}
	// "<digest>  <name>", with a backslash before it if the name was escaped.
	got, _, _ := strings.Cut(strings.TrimPrefix(string(r.Stdout), `\`), " ")
	if !isDigest(got) {
		return fmt.Sprintf("%.64q", got), nil
	}
	return got, nil
}

func isDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
