//go:build e2e

package local

import (
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// TestLocalBoxes_KeepThePromisesOfHosts runs the suite that real Debian boxes run, with
// the real relay.
func TestLocalBoxes_KeepThePromisesOfHosts(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "relay")
	build := exec.Command("go", "build", "-o", binary, "github.com/relayfleet/fleetctl/cmd/relay") //nolint:gosec // a test
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the relay: %v\n%s", err, out)
	}
	var mu sync.Mutex
	sites := map[string]*rig{}
	hosttest.Run(t, binary, func(tb testing.TB) hosttest.Box {
		t := tb.(*testing.T)
		mu.Lock()
		s, ok := sites[t.Name()]
		if !ok {
			s = newRig(t)
			sites[t.Name()] = s
		}
		mu.Unlock()
		m := s.create(t, "nyc1-1", 0)
		must(t, "pin", s.pins.Set(loopback(m.Ports.SSH), m.HostKey))
		return hosttest.Box{
			Machine: m, Runner: s.client, Tunnel: s.client,
			Config: func(reservations int) string { return realConfig(m, reservations) },
			Kill: func(testing.TB) {
				pid := s.get(t, m.ID).PID
				must(t, "kill", syscall.Kill(pid, syscall.SIGKILL))
				eventually(t, "the relay is gone", func() bool { return s.get(t, m.ID).PID == 0 })
			},
		}
	})
}

// rig is a site with a client that reaches its boxes.
type rig struct {
	*site
	pins   *sshx.Pins
	client *sshx.Client
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := newSite(t)
	pins, err := sshx.OpenPins(filepath.Join(t.TempDir(), "known_hosts"))
	must(t, "pins", err)
	client, err := sshx.New(sshx.Config{Pins: pins, Auth: sshx.Auth{Signers: []ssh.Signer{s.signer}}})
	must(t, "ssh client", err)
	t.Cleanup(func() { _ = client.Close() })
	return &rig{site: s, pins: pins, client: client}
}

func realConfig(m fleet.Machine, reservations int) string {
	return fleet.RelayConfig(fleet.Spec{
		Name: "demo",
		Relay: fleet.RelaySpec{Port: 9100, QUICPort: 9101, Network: "/demo", Name: "demo", Tier: "management",
			Limits: fleet.Limits{
				Reservations: reservations, ReservationsIP: 32, Circuits: 16, CircuitsPerPeer: 4,
				CircuitDuration: 2 * time.Minute, CircuitData: 1 << 17, Connections: 128, Memory: 128 << 20,
			}},
	}, m)
}
