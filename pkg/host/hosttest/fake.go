package hosttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Fake is a data centre in memory: a Runner and a Tunnel to boxes that are made when
// they are first spoken to. It has no network, no processes and no clock of its own.
type Fake struct {
	mu    sync.Mutex
	boxes map[string]*FakeBox
}

var (
	_ sshx.Runner = (*Fake)(nil)
	_ sshx.Tunnel = (*Fake)(nil)
)

// NewFake returns a data centre without boxes.
func NewFake() *Fake { return &Fake{boxes: make(map[string]*FakeBox)} }

// Box is the box at addr (host:port).
func (f *Fake) Box(addr string) *FakeBox {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.boxes[addr]
	if !ok {
		b = newFakeBox(len(f.boxes))
		f.boxes[addr] = b
	}
	return b
}

// Run answers the fixed table of commands of a box.
func (f *Fake) Run(ctx context.Context, at sshx.Target, c sshx.Command) (sshx.Result, error) {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return sshx.Result{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out, code := b.command(c.Argv)
	if code != 0 {
		return sshx.Result{Stderr: []byte(out), ExitCode: code}, nil
	}
	return sshx.Result{Stdout: []byte(out)}, nil
}

// Stream runs the command and copies what it said.
func (f *Fake) Stream(ctx context.Context, at sshx.Target, c sshx.Command, stdout, stderr io.Writer) (int, error) {
	res, err := f.Run(ctx, at, c)
	if err != nil {
		return 0, err
	}
	if _, err := stdout.Write(res.Stdout); err != nil {
		return 0, err
	}
	if _, err := stderr.Write(res.Stderr); err != nil {
		return 0, err
	}
	return res.ExitCode, nil
}

// ReadFile reads a file of the box.
func (f *Fake) ReadFile(ctx context.Context, at sshx.Target, name string, limit int64) ([]byte, error) {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.files[b.resolve(name)]
	switch {
	case !ok:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("read %s: %w", name, sshx.ErrTooLarge)
	}
	return slices.Clone(data), nil
}

// WriteFile replaces a file of the box.
func (f *Fake) WriteFile(ctx context.Context, at sshx.Target, name string, data []byte, _ fs.FileMode) error {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(name, slices.Clone(data))
	return nil
}

// AppendFile adds to a file of the box.
func (f *Fake) AppendFile(ctx context.Context, at sshx.Target, name string, data []byte, _ fs.FileMode) error {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(name, append(b.files[b.resolve(name)], data...))
	return nil
}

// Upload copies a local file to the box and checks its digest.
func (f *Fake) Upload(ctx context.Context, at sshx.Target, local, name, digest string, _ fs.FileMode) error {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return err
	}
	data, err := os.ReadFile(local)
	if err != nil {
		return err
	}
	if hexDigest(data) != digest {
		return fmt.Errorf("upload %s: digest differs", local)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(name, data)
	return nil
}

// Remove deletes a file of the box.
func (f *Fake) Remove(ctx context.Context, at sshx.Target, name string) error {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.links[name] != "" {
		delete(b.links, name)
		return nil
	}
	delete(b.files, b.resolve(name))
	return nil
}

// Dial connects to the API of the box.
func (f *Fake) Dial(ctx context.Context, at sshx.Target, remote string) (net.Conn, error) {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if remote != host.API || b.pid == 0 && (b.sys == nil || b.sys.listener == "") {
		return nil, fmt.Errorf("dial %s from the box: connection refused", remote)
	}
	near, far := net.Pipe()
	go b.serve(far)
	return near, nil
}

func hexDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// resolve follows the one link that a box has.
func (b *FakeBox) resolve(name string) string {
	if rest, ok := strings.CutPrefix(name, host.Current+"/"); ok {
		return path.Join(host.Base, b.links[host.Current], rest)
	}
	return name
}

func (b *FakeBox) put(name string, data []byte) {
	name = b.resolve(name)
	b.files[name] = data
	if dir := path.Dir(name); path.Dir(dir) == host.Releases {
		b.touch(path.Base(dir))
	}
}

// touch makes a release the newest one.
func (b *FakeBox) touch(release string) {
	if !slices.Contains(b.releases, release) {
		b.releases = append([]string{release}, b.releases...)
	}
}

// Files lists the paths on the box, sorted.
func (b *FakeBox) Files() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.files))
}
