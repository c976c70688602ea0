package relay

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
	"github.com/relayfleet/fleetctl/stats"
)

// collecting is fleetctl as it reads a relay over SSH.
type collecting struct {
	t       *testing.T
	hosts   *host.Hosts
	machine fleet.Machine
	box     *sshtest.Box
}

// behindSSH is a box whose state directory is that of cfg, with the API of a relay.
func behindSSH(t *testing.T, root, api string) *collecting {
	t.Helper()
	box := sshtest.Start(t, sshtest.WithDir(root), sshtest.WithTunnel(host.API, api))
	client := sshtest.Client(t, sshx.Config{}, box)
	at := netip.MustParseAddrPort(box.Addr)
	return &collecting{t: t, box: box, hosts: host.New(host.Config{Runner: client, Tunnel: client}), machine: fleet.Machine{
		ID: "1", Node: "nyc1-1", Region: "nyc1", User: "root", Addrs: []netip.Addr{at.Addr()}, Ports: fleet.Ports{SSH: int(at.Port())},
		HostKey: box.HostKey,
	}}
}

func (c *collecting) collect(after string) stats.Reading {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*patience)
	defer cancel()
	return c.hosts.Collect(ctx, c.machine, after)
}

func TestCollect_ReadsARelayOverOneConnectionAndGoesOnWhereItWas(t *testing.T) {
	root := t.TempDir()
	cfg := loopback(t)
	cfg.State = filepath.Join(root, host.StateDir)
	cfg.CensusEvery = time.Hour
	r := start(t, cfg)
	ssh := behindSSH(t, root, r.APIAddr().String())
	one := client(t, "bitterbot/1/edge")
	if _, err := reserve(t, one, r.info()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reservation is counted", func() bool { return telling(t, r.Relay).Counters.Granted == 1 })
	first := ssh.collect("")
	if first.Err != nil || len(first.Warnings) > 0 || first.Old || first.Telemetry == nil || !first.DeltaFull || len(first.Delta) != 1 {
		t.Fatalf("Collect = %+v, want telemetry and a census of one", first)
	}
	if e := first.Delta[0]; first.PeerID != r.ID().String() || e.LastPeerID != one.ID().String() || e.Transport != "tcp" || e.Agent != "bitterbot/1" {
		t.Errorf("Collect = %s with %+v, want the user of %s", first.PeerID, e, r.ID())
	}
	second := ssh.collect(first.Cursor)
	if second.Err != nil || second.DeltaFull || second.Delta == nil || len(second.Delta) != 0 || second.Telemetry.Counters.Granted != 1 {
		t.Errorf("Collect = %+v, want nothing new", second)
	}
	if got := ssh.box.Dials(); got != 1 {
		t.Errorf("%d SSH connections, want 1 for all that is read", got)
	}

	r.stop()
	dead := ssh.collect(second.Cursor)
	if dead.Err == nil || dead.Old || len(dead.Registry) != 1 || dead.Cursor != second.Cursor {
		t.Errorf("Collect of a dead daemon = %+v, want its register and the cursor as it was", dead)
	}

	again := start(t, cfg)
	ssh = behindSSH(t, root, again.APIAddr().String())
	two := client(t, "bitterbot/2/edge")
	connect(t, two, again.info())
	eventually(t, "a user joins", func() bool { return again.now().ConnectedPeers == 1 })
	third := ssh.collect(dead.Cursor)
	if third.Err != nil || third.DeltaFull || third.Telemetry == nil || third.Telemetry.Epoch != first.Telemetry.Epoch {
		t.Fatalf("Collect after a restart = %+v, want what is new, in the same epoch", third)
	}
	// The one that left while it stopped, and the one that came.
	if got := keysIn(third.Delta); len(third.Delta) > 2 || !got[two.ID().String()] {
		t.Errorf("Collect after a restart has %v, want %s", got, two.ID())
	}
	if c := third.Telemetry.Counters; c.Joined != 2 || c.Left != 1 || c.Granted != 1 || c.Sessions != 1 {
		t.Errorf("counters after a restart %+v, want joined 2, left 1, granted 1, one session ended", c)
	}
}

func keysIn(entries []stats.CensusEntry) map[string]bool {
	ids := make(map[string]bool)
	for _, e := range entries {
		ids[e.LastPeerID] = true
	}
	return ids
}
