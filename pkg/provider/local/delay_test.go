package local

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLink_DelaysEveryByteWithoutReordering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, client := net.Pipe()
		far, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			link(near, far, 40*time.Millisecond, nil)
			close(done)
		}()
		begin := time.Now()
		go func() {
			for i := range 50 {
				_, _ = client.Write([]byte{byte(i)})
				<-time.After(time.Millisecond)
			}
		}()
		for i := range 50 {
			b := make([]byte, 1)
			if _, err := io.ReadFull(server, b); err != nil || int(b[0]) != i {
				t.Fatalf("byte %d: got %d, %v", i, b[0], err)
			}
			if took, want := time.Since(begin), time.Duration(i)*time.Millisecond+40*time.Millisecond; took != want {
				t.Fatalf("byte %d: arrived after %s, want %s", i, took, want)
			}
		}
		begin = time.Now()
		go func() { _, _ = server.Write([]byte("back")) }()
		b := make([]byte, 4)
		if _, err := io.ReadFull(client, b); err != nil || string(b) != "back" || time.Since(begin) != 40*time.Millisecond {
			t.Fatalf("the way back: got %q, %v after %s, want it after 40 ms", b, err, time.Since(begin))
		}
		_ = client.Close()
		<-done
		_ = server.Close()
	})
}

func TestLink_EndsWhenItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, client := net.Pipe()
		far, server := net.Pipe()
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			link(near, far, time.Hour, stop)
			close(done)
		}()
		_, _ = client.Write([]byte("under way for an hour"))
		synctest.Wait()
		close(stop)
		<-done
		_, _ = client.Close(), server.Close()
	})
}

func TestLine_FullOneLosesPacketsAndKeepsTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(time.Second, 3)
		for i := range 10 {
			l.offer([]byte{byte(i)})
		}
		stop := make(chan struct{})
		var got []byte
		go func() { _ = l.run(stop, func(b []byte) error { got = append(got, b...); return nil }) }()
		<-time.After(2 * time.Second)
		synctest.Wait()
		close(stop)
		synctest.Wait()
		if !bytes.Equal(got, []byte{0, 1, 2}) {
			t.Errorf("got %v, want the first three", got)
		}
	})
}

func TestSocketPath_IsShortAndOneForEachDirectory(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), strings.Repeat("long", 30)))
	dir, err := runtimeDir()
	must(t, "directory of sockets", err)
	a, b := socketPath(dir, "/home/ann/demo"), socketPath(dir, "/home/ben/demo")
	if len(a) > socketMax || a == b {
		t.Errorf("sockets: got %q and %q, want two of at most %d bytes", a, b, socketMax)
	}
	_ = os.Remove(dir) // unless somebody else uses it
}

func TestRuntimeDir_OthersCouldUseIsRefused(t *testing.T) {
	short, err := os.MkdirTemp("", "ft") // a long one would lead to the directory that fleets use
	must(t, "temporary directory", err)
	t.Cleanup(func() { must(t, "remove it", os.RemoveAll(short)) })
	t.Setenv("TMPDIR", short)
	dir, err := runtimeDir()
	must(t, "directory of sockets", err)
	if filepath.Dir(dir) != short {
		t.Fatalf("directory of sockets: got %s, want one in %s", dir, short)
	}
	must(t, "open it to others", os.Chmod(dir, 0o777))
	if _, err := runtimeDir(); err == nil {
		t.Error("a directory that others can use: got no error")
	}
}

func TestCheckName_RefusesWhatIsNoFileName(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a b", "a\nb", "\x1b[2J", ".new-x", strings.Repeat("a", 121), "\xff"} {
		if checkName("machine", name) == nil {
			t.Errorf("%q: got no error", name)
		}
	}
	for _, name := range []string{"nyc1-1", "Zürich-1", "eu_west-1-01j"} {
		if err := checkName("machine", name); err != nil {
			t.Errorf("%q: got %v", name, err)
		}
	}
}
