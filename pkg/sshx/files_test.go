package sshx_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// localFile makes a file of n bytes and returns its path and digest.
func localFile(t *testing.T, n int) (file, sum string) {
	t.Helper()
	data := make([]byte, n)
	seeded := rand.NewChaCha8([32]byte{1})
	_, _ = seeded.Read(data)
	file = filepath.Join(t.TempDir(), "relay")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(data)
	return file, hex.EncodeToString(h[:])
}

func TestWriteFile_ReplacesWholeWithModeAndParents(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	for _, data := range [][]byte{[]byte("first"), bytes.Repeat([]byte("second"), 50_000), {}} {
		if err := c.WriteFile(within(t), box.Target("nyc1-1"), "/etc/relay/relay.yaml", data, 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := c.ReadFile(within(t), box.Target("nyc1-1"), "/etc/relay/relay.yaml", 1<<20)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read back %d bytes, %v; want %d", len(got), err, len(data))
		}
	}
	info, err := os.Stat(box.Dir + "/etc/relay/relay.yaml")
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want 0640", info.Mode(), err)
	}
	if left, _ := os.ReadDir(box.Dir + "/etc/relay"); len(left) != 1 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestReadFile_Errors(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	at := box.Target("nyc1-1")
	if err := os.WriteFile(box.Dir+"/big", make([]byte, 100_001), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadFile(within(t), at, "/big", 100_000); !errors.Is(err, sshx.ErrTooLarge) {
		t.Errorf("one byte too long: %v, want ErrTooLarge", err)
	}
	if got, err := c.ReadFile(within(t), at, "/big", 100_001); err != nil || len(got) != 100_001 {
		t.Errorf("exactly the limit: %d bytes, %v", len(got), err)
	}
	if _, err := c.ReadFile(within(t), at, "/none", 1); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, sshx.ErrTransport) {
		t.Errorf("missing: %v, want fs.ErrNotExist", err)
	}
	if _, err := c.ReadFile(within(t), at, "relative", 1); err == nil {
		t.Error("a relative path is no error")
	}
	if _, err := c.ReadFile(within(t), at, "/", 1); err == nil {
		t.Error("a directory is no error")
	}
}

func TestReadFile_OfAPipeEndsAndHoldsNothingUp(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	at := box.Target("nyc1-1")
	if err := syscall.Mkfifo(box.Dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(box.Dir+"/dir", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/pipe", "/dir"} {
		if err := os.WriteFile(box.Dir+"/file", []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadFile(within(t), at, name, 10); !errors.Is(err, sshx.ErrNotRegular) {
			t.Errorf("%s: got error %v, want ErrNotRegular", name, err)
		}
		if got, err := c.ReadFile(within(t), at, "/file", 10); err != nil || string(got) != name {
			t.Errorf("after %s: got %q, %v; want the next file", name, got, err)
		}
	}
}

func TestAppendFile_AddsAtTheEnd(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	long := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	var want []byte
	for _, part := range [][]byte{[]byte("one\n"), []byte("two\n"), long, []byte("end")} {
		if err := c.AppendFile(within(t), box.Target("nyc1-1"), "/var/lib/relay/audit.log", part, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, part...)
	}
	got, err := os.ReadFile(box.Dir + "/var/lib/relay/audit.log")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("file has %d bytes, %v; want %d in order", len(got), err, len(want))
	}
	if info, _ := os.Stat(box.Dir + "/var/lib/relay/audit.log"); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestRemove_GoneIsSuccessAndDirectoriesAreNot(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	at := box.Target("nyc1-1")
	if err := c.WriteFile(within(t), at, "/d/f", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Remove(within(t), at, "/d/f"); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	if err := c.Remove(within(t), at, "/d"); err == nil {
		t.Error("a directory was removed")
	}
}

func TestUpload_MovesOnceAndChecksTheDigest(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	at := box.Target("nyc1-1")
	local, sum := localFile(t, 3<<20)
	const name = "/opt/relay/releases/x/relay"
	if err := c.Upload(within(t), at, local, name, sum, 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(box.Dir + name)
	if err != nil || first.Mode().Perm() != 0o755 || first.Size() != 3<<20 {
		t.Fatalf("uploaded: %v, %v; want 3 MiB with mode 0755", first, err)
	}
	if err := c.Upload(within(t), at, local, name, sum, 0o755); err != nil {
		t.Fatal(err)
	}
	second, err := os.Stat(box.Dir + name)
	if err != nil || !os.SameFile(first, second) || !first.ModTime().Equal(second.ModTime()) {
		t.Error("the same digest was moved again")
	}
	if err := c.Upload(within(t), at, local, name, hexOf("another"), 0o755); !errors.Is(err, sshx.ErrDigest) {
		t.Errorf("a local file that is not what was announced: %v, want ErrDigest", err)
	}
	third, _ := os.Stat(box.Dir + name)
	if !os.SameFile(first, third) {
		t.Error("a failed upload replaced the file")
	}
	if left, _ := os.ReadDir(filepath.Dir(box.Dir + name)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func hexOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func TestUpload_RefusesWhatIsNotAFileOrDigest(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	local, sum := localFile(t, 10)
	for name, args := range map[string][3]string{
		"no digest":     {local, "/x", "12ab"},
		"missing":       {local + "-none", "/x", sum},
		"directory":     {filepath.Dir(local), "/x", sum},
		"relative path": {local, "x", sum},
	} {
		if err := c.Upload(within(t), box.Target("nyc1-1"), args[0], args[1], args[2], 0o755); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if box.Dials() != 0 {
		t.Error("the box was dialed")
	}
}

func TestUpload_SweepsWhatAKilledOneLeftLongAgo(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	local, sum := localFile(t, 10)
	old, young := "relay.fleetctl-0011223344556677", "relay.fleetctl-8899aabbccddeeff"
	for _, n := range []string{old, young, "relay.other"} {
		if err := os.WriteFile(filepath.Join(box.Dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{old, "relay.other"} {
		past := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(filepath.Join(box.Dir, n), past, past); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Upload(within(t), box.Target("nyc1-1"), local, "/relay", sum, 0o755); err != nil {
		t.Fatal(err)
	}
	var names []string
	left, _ := os.ReadDir(box.Dir)
	for _, e := range left {
		names = append(names, e.Name())
	}
	if want := []string{"relay", young, "relay.other"}; !slices.Equal(names, want) {
		t.Errorf("left %q, want %q", names, want)
	}
}

func TestFiles_CutCableEndsAtTheDeadline(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{FileTimeout: time.Second, KeepAlive: -1}, box)
	at := box.Target("nyc1-1")
	if err := c.WriteFile(within(t), at, "/f", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	box.Freeze()
	local, sum := localFile(t, 10)
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, op := range map[string]func() error{
		"read":   func() error { _, err := c.ReadFile(within(t), at, "/f", 10); return err },
		"write":  func() error { return c.WriteFile(within(t), at, "/f", nil, 0o600) },
		"append": func() error { return c.AppendFile(within(t), at, "/f", []byte("y"), 0o600) },
		"remove": func() error { return c.Remove(within(t), at, "/f") },
		"upload": func() error { return c.Upload(within(t), at, local, "/g", sum, 0o600) },
	} {
		wg.Go(func() {
			if err := op(); !errors.Is(err, sshx.ErrTransport) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s over a cut cable: %v, want ErrTransport and DeadlineExceeded", name, err)
			}
		})
	}
}

func TestUpload_CancelledOneCleansUp(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithDelay(10*time.Millisecond))
	c := sshtest.Client(t, sshx.Config{}, box)
	local, sum := localFile(t, 32<<20)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Upload(ctx, box.Target("nyc1-1"), local, "/relay", sum, 0o755) }()
	entries := func() int {
		left, err := os.ReadDir(box.Dir)
		if err != nil {
			t.Error(err)
		}
		return len(left)
	}
	deadline := time.After(soon)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	until := func(n int) {
		for entries() != n {
			select {
			case <-poll.C:
			case <-deadline:
				t.Fatalf("%d entries on the box, want %d", entries(), n)
			}
		}
	}
	until(1) // it has begun
	cancel()
	if err := <-done; !errors.Is(err, sshx.ErrTransport) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrTransport and Canceled", err)
	}
	until(0)
}
