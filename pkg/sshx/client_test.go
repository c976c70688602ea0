package sshx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what must not hang.
const soon = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	return ctx
}

// shell is a box's program table for these tests.
func shell(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch argv[0] {
	case "echo":
		_, _ = fmt.Fprintf(stdout, "%q", argv[1:])
	case "cat":
		_, _ = io.Copy(stdout, stdin)
	case "fail":
		_, _ = io.WriteString(stderr, "it went wrong")
		return 3
	case "yes":
		line := bytes.Repeat([]byte("y"), 1024)
		for ctx.Err() == nil {
			if _, err := stdout.Write(line); err != nil {
				break
			}
		}
	case "talk":
		line := bytes.Repeat([]byte("y"), 1024)
		for range 4096 {
			if _, err := stdout.Write(line); err != nil {
				break
			}
		}
	case "sleep":
		_, _ = io.WriteString(stdout, "asleep")
		<-ctx.Done()
	}
	return 0
}

func TestRun_ArgvArrivesAsItWasGiven(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	for _, argv := range [][]string{
		{"echo"},
		{"echo", ""},
		{"echo", "a b", "it's", `"quoted"`, "$HOME", "`id`", "; rm -rf /", "#comment", "new\nline", "tab\t", "ü", "-n", `\`, "*", "~", "&&", "|"},
	} {
		r, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: argv})
		if err != nil {
			t.Fatalf("run %q: %v", argv, err)
		}
		if want := fmt.Sprintf("%q", argv[1:]); string(r.Stdout) != want {
			t.Errorf("argv arrived as %s, want %s", r.Stdout, want)
		}
	}
}

func TestRun_RefusesArgvThatCannotBeSent(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	for _, argv := range [][]string{nil, {""}, {"echo", "nul\x00byte"}} {
		if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: argv}); err == nil {
			t.Errorf("run %q: no error", argv)
		}
	}
	if got := box.Dials(); got != 0 {
		t.Errorf("box was dialed %d times, want 0", got)
	}
}

func TestRun_ExitCodeIsNoError(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	r, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"fail"}})
	if err != nil || r.ExitCode != 3 || string(r.Stderr) != "it went wrong" {
		t.Errorf("fail = %+v, %v; want exit code 3 with its stderr and no error", r, err)
	}
}

func TestRun_StdinReachesTheCommand(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	in := bytes.Repeat([]byte("0123456789"), 20_000)
	r, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"cat"}, Stdin: in})
	if err != nil || !bytes.Equal(r.Stdout, in) {
		t.Errorf("cat returned %d bytes, %v; want the %d sent", len(r.Stdout), err, len(in))
	}
}

func TestRun_OutputIsBounded(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	r, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"talk"}, MaxOutput: 1000})
	if err != nil || len(r.Stdout) != 1000 || !r.Truncated {
		t.Errorf("talk = %d bytes, truncated %v, %v; want 1000, true, nil", len(r.Stdout), r.Truncated, err)
	}
	if sshx.DefaultMaxOutput != 1<<20 || sshx.DefaultRunTimeout != 30*time.Second {
		t.Error("the defaults are not those that Command promises")
	}
}

func TestRun_TimeoutEndsACommandThatTalksWithoutEnd(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); err != nil {
		t.Fatalf("before: %v", err) // it is the command that times out, not the login
	}
	_, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"yes"}, Timeout: 50 * time.Millisecond})
	if !errors.Is(err, sshx.ErrTransport) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("yes: %v, want ErrTransport and DeadlineExceeded", err)
	}
	if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); err != nil {
		t.Errorf("after a timeout: %v", err)
	}
	if got := box.Dials(); got != 1 {
		t.Errorf("%d connections, want 1: a timed-out command costs no connection", got)
	}
}

func TestRun_CancelledCommandEndsOnTheBoxAndLeaksNothing(t *testing.T) {
	ended := make(chan struct{})
	box := sshtest.Start(t, sshtest.WithExec(func(ctx context.Context, argv []string, in io.Reader, out, errs io.Writer) int {
		defer close(ended)
		return shell(ctx, argv, in, out, errs)
	}))
	c := sshtest.Client(t, sshx.Config{}, box)
	if err := c.Remove(within(t), box.Target("nyc1-1"), "/none"); err != nil { // the connection stays open
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	_, err := c.Stream(ctx, box.Target("nyc1-1"), sshx.Command{Argv: []string{"sleep"}}, writerFunc(func(p []byte) (int, error) {
		cancel() // it has started
		return len(p), nil
	}), nil)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, sshx.ErrTransport) {
		t.Errorf("cancelled: %v, want Canceled", err)
	}
	select {
	case <-ended:
	case <-time.After(soon):
		t.Error("the command on the box goes on")
	}
	goleak.VerifyNone(t, before)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestStream_FailingWriterEndsTheCommand(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	broken := errors.New("pipe closed")
	_, err := c.Stream(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"yes"}}, writerFunc(func([]byte) (int, error) { return 0, broken }), nil)
	if !errors.Is(err, broken) || errors.Is(err, sshx.ErrTransport) {
		t.Errorf("stream: %v, want the writer's error and no ErrTransport", err)
	}
}

func TestStream_WritesNothingAfterItReturned(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	ctx, cancel := context.WithCancel(within(t))
	var returned, late atomic.Bool
	_, err := c.Stream(ctx, box.Target("nyc1-1"), sshx.Command{Argv: []string{"yes"}}, writerFunc(func(p []byte) (int, error) {
		cancel()
		if returned.Load() {
			late.Store(true)
		}
		return len(p), nil
	}), nil)
	returned.Store(true)
	if err == nil {
		t.Error("no error of a cancelled stream")
	}
	_ = c.Close()
	if late.Load() {
		t.Error("written after Stream returned")
	}
}

func TestClient_OneConnectionServesAllCallers(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	var wg sync.WaitGroup
	for i := range 40 { // more than a server's sessions
		wg.Go(func() {
			if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); err != nil {
				t.Errorf("run %d: %v", i, err)
			}
			if err := c.WriteFile(within(t), box.Target("nyc1-1"), fmt.Sprintf("/etc/%d", i), nil, 0o600); err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := box.Dials(); got != 1 {
		t.Errorf("%d connections for 40 callers, want 1", got)
	}
}

func TestClient_DialsAgainAfterTheBoxWentAway(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	for i := range 3 {
		if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
		if _, err := c.ReadFile(within(t), box.Target("nyc1-1"), "/none", 1); err == nil || errors.Is(err, sshx.ErrTransport) {
			t.Fatalf("read %d: %v", i, err)
		}
		box.Disconnect()
	}
	if got := box.Dials(); got != 3 {
		t.Errorf("%d connections, want 3", got)
	}
}

func TestClient_KeepaliveNoticesACutCable(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{KeepAlive: 500 * time.Millisecond}, box)
	_, err := c.Stream(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"sleep"}}, writerFunc(func(p []byte) (int, error) {
		box.Freeze()
		return len(p), nil
	}), nil)
	if !errors.Is(err, sshx.ErrTransport) || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "keepalive") {
		t.Errorf("cut cable: %v, want ErrTransport that names the keepalive", err)
	}
	if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); err != nil {
		t.Errorf("after a cut: %v", err)
	}
}

func TestClient_DropMakesANewLogin(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	for range 2 {
		if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); err != nil {
			t.Fatal(err)
		}
		c.Drop(box.Target("nyc1-1"))
	}
	if got := box.Dials(); got != 2 {
		t.Errorf("%d connections, want 2", got)
	}
}

func TestClient_CloseEndsWhatRuns(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	started, failed := make(chan struct{}), make(chan error, 1)
	ctx := within(t)
	go func() {
		_, err := c.Stream(ctx, box.Target("nyc1-1"), sshx.Command{Argv: []string{"sleep"}}, writerFunc(func(p []byte) (int, error) {
			close(started)
			return len(p), nil
		}), nil)
		failed <- err
	}()
	<-started
	_ = c.Close()
	if err := <-failed; !errors.Is(err, sshx.ErrTransport) || !errors.Is(err, sshx.ErrClosed) {
		t.Errorf("a command during Close: %v, want ErrTransport because of ErrClosed", err)
	}
	if _, err := c.Run(ctx, box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); !errors.Is(err, sshx.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}
