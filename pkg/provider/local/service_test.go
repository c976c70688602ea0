package local

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
)

// flaky is a service that ends with an error twice, and then lives.
type flaky struct {
	runs  atomic.Int32
	lives chan struct{}
	ended chan struct{}
}

func (f *flaky) Run(ctx context.Context) error {
	if f.runs.Add(1) < 3 {
		return errors.New("port in use")
	}
	close(f.lives)
	<-ctx.Done()
	close(f.ended)
	return nil
}

// supervise runs a supervisor within the test until the function that it returns is called.
func supervise(t *testing.T, cfg SupervisorConfig) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- NewSupervisor(cfg).Run(ctx) }()
	eventually(t, "the supervisor answers", func() bool { _, alive, err := supervised(cfg.Dir); return alive && err == nil })
	return func() error {
		cancel()
		return <-result
	}
}

func TestSupervisor_ServicesLiveBesideTheBoxes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	svc := &flaky{lives: make(chan struct{}), ended: make(chan struct{})}
	stop := supervise(t, SupervisorConfig{Dir: s.dir, Services: []Service{svc}})
	select {
	case <-svc.lives:
	case <-time.After(20 * time.Second):
		t.Fatal("a service that failed twice was not started a third time")
	}
	must(t, "stop", stop())
	<-svc.ended
	if _, alive, err := supervised(s.dir); alive || err != nil {
		t.Errorf("after the end: got alive %v, %v, want none", alive, err)
	}
}

func TestSupervisor_SecondOneIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := supervise(t, SupervisorConfig{Dir: s.dir})
	if err := NewSupervisor(SupervisorConfig{Dir: s.dir}).Run(t.Context()); !errors.Is(err, ErrSupervised) {
		t.Errorf("second supervisor: got %v, want %v", err, ErrSupervised)
	}
	must(t, "stop", stop())
}

func TestSupervisor_StoppedOneLeavesRelaysToTheNext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := supervise(t, SupervisorConfig{Dir: s.dir})
	was, _ := s.serving(t, "nyc1-1", 0)
	must(t, "stop", stop())
	must(t, "Start", s.Start(t.Context(), was.ID))
	if now := s.get(t, was.ID); now.PID != was.PID || now.Status != fleet.StatusRunning {
		t.Errorf("under the next supervisor: got process %d, %s, want %d, running", now.PID, now.Status, was.PID)
	}
}

func TestJournal_IsFollowedOverSSH(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, c := s.serving(t, "nyc1-1", 0)
	sess, err := c.NewSession()
	must(t, "session", err)
	out, err := sess.StdoutPipe()
	must(t, "pipe", err)
	must(t, "follow", sess.Start("journalctl -u relay.service -n 1 --no-pager -o short-iso -f"))
	mustRun(t, c, "systemctl", "stop", "relay.service")
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		var text strings.Builder
		b := make([]byte, 256)
		for !strings.Contains(text.String(), "ended, result success") {
			n, err := out.Read(b)
			if err != nil {
				return
			}
			text.Write(b[:n])
		}
	}()
	select {
	case <-seen:
	case <-time.After(20 * time.Second):
		t.Error("the end of the relay was not seen by who followed the journal")
	}
	if err := sess.Close(); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("close: %v", err)
	}
}
