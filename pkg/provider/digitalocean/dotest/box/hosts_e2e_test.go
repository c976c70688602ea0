//go:build e2e

package box

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
)

// TestDroplets_KeepThePromisesOfHosts runs the suite that real Debian boxes run, with the
// real relay.
func TestDroplets_KeepThePromisesOfHosts(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "relay")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "github.com/relayfleet/fleetctl/cmd/relay") //nolint:gosec // our own program
	build.Env = append(os.Environ(), "CGO_ENABLED=0")                                                                                                                       // as `make build` does, which has compiled it then
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the relay: %v\n%s", err, out)
	}
	var mu sync.Mutex
	sites := map[string]*site{}
	hosttest.Run(t, binary, func(t testing.TB) hosttest.Box {
		mu.Lock()
		s := sites[t.Name()]
		if s == nil {
			s = newSite(t)
			sites[t.Name()] = s
		}
		mu.Unlock()
		id, m := s.boot(t)
		return hosttest.Box{
			Machine: m, Runner: s.client, Tunnel: s.client, Keys: s.client, System: s.system(),
			Config: func(reservations int) string {
				sp := spec()
				sp.Relay.Limits.Reservations = reservations
				return fleet.RelayConfig(sp, m)
			},
			Kill: func(t testing.TB) {
				pid := s.PID(id)
				must(t, "kill "+strconv.Itoa(pid), syscall.Kill(pid, syscall.SIGKILL))
				eventually(t, "the relay is gone", func() bool { return s.PID(id) != pid })
			},
		}
	})
}
