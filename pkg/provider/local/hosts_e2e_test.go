//go:build e2e

package local

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// TestLocalBoxes_KeepThePromisesOfHosts runs the suite that real Debian boxes run, with
// the real relay.
func TestLocalBoxes_KeepThePromisesOfHosts(t *testing.T) {
	binary := buildRelay(t)
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

// TestDelayedBox_IsReachedByTCPAndQUIC pings a real relay behind the forwarders from
// another box.
func TestDelayedBox_IsReachedByTCPAndQUIC(t *testing.T) {
	const delay = 30 * time.Millisecond
	r := newRig(t)
	hosts := host.New(host.Config{Runner: r.client, Tunnel: r.client, HealthyDeadline: time.Minute})
	release := hosttest.Release(t, buildRelay(t), 1)
	var boxes []fleet.Machine
	for _, node := range []string{"near-1", "far-1"} {
		m := r.create(t, node, map[string]time.Duration{"far-1": delay}[node])
		must(t, "pin", r.pins.Set(loopback(m.Ports.SSH), m.HostKey))
		must(t, "Configure", hosts.Configure(t.Context(), m, realConfig(m, 64), release))
		boxes = append(boxes, m)
	}
	near, far := boxes[0], boxes[1]
	is, err := hosts.Inspect(t.Context(), far)
	must(t, "Inspect", err)
	for _, format := range []string{"/ip4/127.0.0.1/tcp/%d/p2p/%s", "/ip4/127.0.0.1/udp/%d/quic-v1/p2p/%s"} {
		port := far.Ports.TCP
		if strings.Contains(format, "udp") {
			port = far.Ports.QUIC
		}
		addr, err := dnsaddr.ParseAddr(fmt.Sprintf(format, port, is.PeerID))
		must(t, "address", err)
		begin := time.Now()
		must(t, "Ping "+addr.String(), hosts.Ping(t.Context(), near, addr))
		if took := time.Since(begin); took < 4*delay {
			t.Errorf("ping %s: took %s, want at least two round trips of %s", addr, took, 2*delay)
		}
	}
}

func buildRelay(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "relay")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "github.com/relayfleet/fleetctl/cmd/relay") //nolint:gosec // a test
	build.Env = append(os.Environ(), "CGO_ENABLED=0")                                                                                                                       // as `make build` does, which has compiled it then
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the relay: %v\n%s", err, out)
	}
	return binary
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
