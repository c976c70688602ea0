package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// maxCopy bounds a file that is fetched, in bytes: it is held in memory.
const maxCopy = 256 << 20

// send copies a file to a box, where its digest is compared.
func (s *session) send(ctx context.Context, m fleet.Machine, row *copyRow) error {
	f, err := os.Open(row.From)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s: not a regular file", row.From))
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if err := s.hosts.Put(ctx, m, row.From, row.To); err != nil {
		return err
	}
	row.Bytes, row.SHA256 = n, hex.EncodeToString(h.Sum(nil))
	return nil
}

// fetch copies a file from a box, and compares its digest with the box's.
func (s *session) fetch(ctx context.Context, m fleet.Machine, o copyOrder, row *copyRow) error {
	if _, err := os.Lstat(row.To); err == nil && !o.force {
		return overwriting(row.To)
	}
	var text bytes.Buffer
	if err := s.hosts.Get(ctx, m, o.remote, &text, maxCopy); err != nil {
		return err
	}
	sum := sha256.Sum256(text.Bytes())
	got := hex.EncodeToString(sum[:])
	want, err := boxDigest(ctx, s.app.wrapRunner(s.ssh), m, o.remote)
	if err != nil {
		return err
	}
	if got != want {
		err := fmt.Errorf("%s: what arrived is not what the box has now: sha256 %.12s, on the box %.12s", o.remote, got, want)
		return fleet.WithHint(err, "copy a file that nobody writes to; 'fleetctl logs' is for logs")
	}
	if err := placeFile(row.To, text.Bytes(), o.force); err != nil {
		return err
	}
	row.Bytes, row.SHA256 = int64(text.Len()), got
	return nil
}

// boxDigest is the SHA-256 of a file as its box reckons it.
func boxDigest(ctx context.Context, runner sshx.Runner, m fleet.Machine, file string) (string, error) {
	at, err := host.Target(m)
	if err != nil {
		return "", err
	}
	res, err := runner.Run(ctx, at, sshx.Command{Argv: []string{"sha256sum", file}, ReadOnly: true, Timeout: time.Minute, MaxOutput: 4096})
	if err != nil {
		return "", err
	}
	sum, _, _ := strings.Cut(strings.TrimPrefix(string(res.Stdout), `\`), " ")
	if res.ExitCode != 0 || len(sum) != hex.EncodedLen(sha256.Size) {
		return "", fmt.Errorf("sha256sum %s: exit %d: %s", file, res.ExitCode, render.SafeUpTo(string(res.Stderr), 200))
	}
	return sum, nil
}

func overwriting(file string) error {
	return fleet.WithHint(fmt.Errorf("%s is there already", file), "remove it, name another file, or add --force")
}

// placeFile writes a file that only its owner reads, whole or not at all. Without force it
// never takes another's place.
func placeFile(file string, text []byte, force bool) error {
	write := func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
	if force {
		return replaceFile(file, 0o600, write)
	}
	temporary, err := writeBeside(file, 0o600, write)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }() // it is linked to its name, or of no use
	if err := os.Link(temporary, file); errors.Is(err, fs.ErrExist) {
		return overwriting(file)
	} else if err != nil {
		return err
	}
	return nil
}
