package hosttest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func freshBox(t *testing.T, r *rig) {
	got := r.inspect(t)
	if got.Installed || got.Active || got.Ready || got.PeerID != "" || got.Reason == "" {
		t.Errorf("Inspect of a fresh box = %+v, want nothing installed and a reason", got)
	}
	if n := r.writes.Load(); n != 0 {
		t.Errorf("Inspect wrote %d times, want 0", n)
	}
}

func bringsUp(t *testing.T, r *rig) {
	rel, config := r.release(t, 1), r.Config(64)
	r.configure(t, config, rel)
	got := r.inspect(t)
	if !got.Installed || !got.Active || !got.Ready || got.PeerID == "" {
		t.Errorf("Inspect = %+v, want installed, active, ready, with a peer ID", got)
	}
	if got.SHA256 != rel.SHA256 || got.Config != config {
		t.Errorf("Inspect = SHA-256 %s and configuration %q, want %s and %q", got.SHA256, got.Config, rel.SHA256, config)
	}
	if !got.Restarted.IsZero() {
		t.Errorf("Restarted = %s after the first start, want never", got.Restarted)
	}
	if got.Reservations != 0 {
		t.Errorf("Reservations = %d, want 0", got.Reservations)
	}
	log := host.AuditLog
	if r.System != nil {
		log = host.SystemAudit
	}
	audit, err := r.Runner.ReadFile(t.Context(), r.target(t), log, 1<<20)
	if err != nil || !strings.Contains(string(audit), "hosttest") {
		t.Errorf("audit log = %q, %v; want a line of hosttest", audit, err)
	}
}

func (r *rig) target(t *testing.T) sshx.Target {
	t.Helper()
	at, err := host.Target(r.Machine)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func writesNothing(t *testing.T, r *rig) {
	rel, config := r.release(t, 1), r.Config(64)
	r.configure(t, config, rel)
	before := r.writes.Load()
	r.configure(t, config, rel)
	r.configure(t, config, fleet.Release{})
	if n := r.writes.Load() - before; n != 0 {
		t.Errorf("Configure of a box that is as it should be wrote %d times, want 0", n)
	}
}

func restarts(t *testing.T, r *rig) {
	rel := r.release(t, 1)
	r.configure(t, r.Config(64), rel)
	before := r.inspect(t)
	r.configure(t, r.Config(65), rel)
	got := r.inspect(t)
	if got.Config != r.Config(65) || !got.Ready {
		t.Errorf("Inspect = %+v, want the new configuration, ready", got)
	}
	if got.PeerID != before.PeerID {
		t.Errorf("peer ID = %s after the restart, want %s", got.PeerID, before.PeerID)
	}
	if got.Restarted.IsZero() {
		t.Error("Restarted is zero after a restart by fleetctl")
	}
}

func badConfig(t *testing.T, r *rig) {
	rel := r.release(t, 1)
	err := r.hosts.Configure(t.Context(), r.Machine, "broken: [\n", rel)
	var not *host.NotServing
	if !errors.As(err, &not) {
		t.Fatalf("Configure with a broken configuration = %v, want *host.NotServing", err)
	}
	if not.Unit == "" || len(not.Journal) == 0 {
		t.Errorf("NotServing = %+v, want the unit's state and its last words", not)
	}
	r.configure(t, r.Config(64), rel)
	if got := r.inspect(t); !got.Ready {
		t.Errorf("Inspect after the repair = %+v, want ready", got)
	}
}

func keepsFive(t *testing.T, r *rig) {
	config := r.Config(64)
	var all []fleet.Release
	for n := range 7 {
		rel := r.release(t, n)
		all = append(all, rel)
		r.configure(t, config, rel)
		if got := r.inspect(t); got.SHA256 != rel.SHA256 {
			t.Fatalf("release %d: the box runs %s, want %s", n, got.SHA256, rel.SHA256)
		}
	}
	kept := r.releases(t)
	if len(kept) != host.Kept {
		t.Fatalf("%d releases are kept, want %d", len(kept), host.Kept)
	}
	for _, rel := range all[2:] {
		if !slices.Contains(kept, rel.SHA256) {
			t.Errorf("release %s is gone, want the last five", rel.SHA256)
		}
	}
	before := fleet.Release{SHA256: all[5].SHA256} // nothing to send: it is there
	r.configure(t, config, before)
	if got := r.inspect(t); got.SHA256 != before.SHA256 || !got.Ready {
		t.Errorf("after the rollback the box runs %s, want %s", got.SHA256, before.SHA256)
	}
}

func (r *rig) releases(t *testing.T) []string {
	t.Helper()
	res, err := r.Runner.Run(t.Context(), r.target(t), sshx.Command{Argv: []string{"ls", "-1t", host.Releases}, ReadOnly: true})
	if err != nil || res.ExitCode != 0 {
		t.Fatalf("ls: %+v, %v", res, err)
	}
	return strings.Fields(string(res.Stdout))
}

func deadDaemon(t *testing.T, r *rig) {
	rel := r.release(t, 1)
	r.configure(t, r.Config(64), rel)
	before := r.inspect(t)
	r.Kill(t)
	got := r.inspect(t)
	if got.Active || got.Ready || got.Reason == "" {
		t.Errorf("Inspect of a dead daemon = %+v, want not active, with a reason", got)
	}
	if got.PeerID != before.PeerID || got.SHA256 != rel.SHA256 {
		t.Errorf("a dead daemon = %s, %s; want its peer ID %s and release %s", got.PeerID, got.SHA256, before.PeerID, rel.SHA256)
	}
	r.configure(t, r.Config(64), fleet.Release{})
	if got := r.inspect(t); !got.Ready || got.PeerID != before.PeerID {
		t.Errorf("after the next configure = %+v, want ready with the same peer ID", got)
	}
}

func drains(t *testing.T, r *rig) {
	r.configure(t, r.Config(64), r.release(t, 1))
	if err := r.hosts.Drain(t.Context(), r.Machine); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the relay says that it drains", func() bool {
		got := r.inspect(t)
		return got.Draining && !got.Ready && got.Active
	})
	before := r.writes.Load()
	if err := r.hosts.Drain(t.Context(), r.Machine); err != nil || r.writes.Load() != before {
		t.Errorf("a second Drain = %v with %d writes, want none", err, r.writes.Load()-before)
	}
}

func introduces(t *testing.T, r *rig) {
	r.configure(t, r.Config(64), r.release(t, 1))
	a := "/ip4/127.0.0.1/tcp/9/p2p/" + fakePeers[1]
	b := "/ip4/127.0.0.1/tcp/9/p2p/" + fakePeers[2]
	restarted := r.inspect(t).Restarted
	if err := r.hosts.Introduce(t.Context(), r.Machine, []string{b, a, b}); err != nil {
		t.Fatal(err)
	}
	want := []string{a, b}
	slices.Sort(want)
	got := r.inspect(t)
	if !slices.Equal(got.Peers, want) || got.Restarted != restarted || !got.Ready {
		t.Errorf("Inspect = %+v, want peers %q and no restart", got, want)
	}
	before := r.writes.Load()
	if err := r.hosts.Introduce(t.Context(), r.Machine, want); err != nil || r.writes.Load() != before {
		t.Errorf("a second Introduce = %v with %d writes, want none", err, r.writes.Load()-before)
	}
}

func stops(t *testing.T, r *rig) {
	if err := r.hosts.Stop(t.Context(), r.Machine); err != nil {
		t.Errorf("Stop of a fresh box: %v", err)
	}
	r.configure(t, r.Config(64), r.release(t, 1))
	for range 2 {
		if err := r.hosts.Stop(t.Context(), r.Machine); err != nil {
			t.Fatalf("Stop: %v", err)
		}
	}
	if got := r.inspect(t); got.Active || got.Ready {
		t.Errorf("Inspect after Stop = %+v, want not active", got)
	}
}
