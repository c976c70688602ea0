package box

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// listener is a Runner that notes which commands a machine does not know.
type listener struct {
	sshx.Runner
	mu      sync.Mutex
	unknown []string
}

func (l *listener) note(c sshx.Command, code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if code == 127 {
		l.unknown = append(l.unknown, strings.Join(c.Argv, " "))
	}
}

func (l *listener) Run(ctx context.Context, at sshx.Target, c sshx.Command) (sshx.Result, error) {
	res, err := l.Runner.Run(ctx, at, c)
	l.note(c, res.ExitCode)
	return res, err
}

func (l *listener) Stream(ctx context.Context, at sshx.Target, c sshx.Command, stdout, stderr io.Writer) (int, error) {
	code, err := l.Runner.Stream(ctx, at, c, stdout, stderr)
	l.note(c, code)
	return code, err
}

// TestHosts_SetUpAMachineAndTakeTheRelayOff is the life of a machine as a fleet lives it,
// with the relay of these tests. Nothing that is said to it may be unknown to it.
func TestHosts_SetUpAMachineAndTakeTheRelayOff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.boot(t)
	heard := &listener{Runner: s.client}
	h := host.New(host.Config{
		Runner: heard, Tunnel: s.client, Keys: s.client, System: s.system(), HealthyDeadline: 30 * time.Second, Actor: "box", Command: "test",
	})
	bootstrap := m.HostKey
	must(t, "Await", h.Await(t.Context(), m, nil))
	var trusted []string
	must(t, "Rekey", h.Rekey(t.Context(), m, func(_ context.Context, keys string) error {
		trusted = append(trusted, keys)
		return s.pins.Set(s.at(t, m).Addr, strings.Split(keys, "\n")...)
	}))
	if len(trusted) != 2 || trusted[0] != bootstrap+"\n"+trusted[1] || trusted[1] == bootstrap {
		t.Fatalf("trusted: got %q, want the old and the new key, then the new one", trusted)
	}
	m.HostKey = trusted[1]
	if shown, err := login(t, m, "nobody", newSigner(t)); err == nil || shown != m.HostKey {
		t.Errorf("host key: got %q, want the one that was made on the machine", shown)
	}
	if _, err := os.Lstat(filepath.Join(s.Root(id), bootHostKey)); !os.IsNotExist(err) {
		t.Errorf("bootstrap key on the machine: got %v, want it gone", err)
	}
	self, err := os.Executable()
	must(t, "find the test program", err)
	release, err := host.FindRelease(self, "")
	must(t, "release", err)
	must(t, "Configure", h.Configure(t.Context(), m, fleet.RelayConfig(spec(), m), release))
	got, err := h.Inspect(t.Context(), m)
	must(t, "Inspect", err)
	if !got.Ready || got.Bootstrap || len(got.Drift) > 0 || len(got.Warnings) > 0 || got.SHA256 != release.SHA256 {
		t.Errorf("Inspect: got %+v, want release %s, ready, without drift and warnings", got, release.SHA256)
	}
	must(t, "Logs", h.Logs(t.Context(), m, 10, false, io.Discard))
	must(t, "PowerOff", s.PowerOff(t.Context(), id))
	must(t, "PowerOn", s.PowerOn(t.Context(), id))
	eventually(t, "the relay serves again", func() bool {
		got, err := h.Inspect(t.Context(), m)
		return err == nil && got.Ready && !got.Bootstrap
	})
	must(t, "Uninstall", h.Uninstall(t.Context(), m))
	if got, err := h.Inspect(t.Context(), m); err != nil || got.Installed || got.Active {
		t.Errorf("after Uninstall: got %+v, %v, want no relay", got, err)
	}
	if len(heard.unknown) > 0 {
		t.Errorf("commands that the machine does not know: %s", fmt.Sprintf("%q", heard.unknown))
	}
}
