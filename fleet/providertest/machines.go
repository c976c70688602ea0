package providertest

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
)

func emptyFleet(t *testing.T, f *fixture) {
	if ms := f.list(t); ms == nil || len(ms) != 0 {
		t.Fatalf("machines of an empty fleet: got %#v, want an empty list", ms)
	}
}

func completeMachine(t *testing.T, f *fixture) {
	n := order("nyc1-1")
	m := f.create(t, n)
	got := f.get(t, m.ID)
	if got.Node != n.Node || got.Region != n.Region || got.Op != n.Op || got.Fleet != f.Fleet {
		t.Errorf("listed machine: got node %q region %q op %q fleet %q, want %q %q %q %q",
			got.Node, got.Region, got.Op, got.Fleet, n.Node, n.Region, n.Op, f.Fleet)
	}
	if got.Status != fleet.StatusRunning || got.Phase != fleet.PhaseActive {
		t.Errorf("new machine: got status %q phase %q, want running and no phase", got.Status, got.Phase)
	}
	if got.ID == "" || got.Name == "" || got.User == "" || len(got.Addrs) == 0 || got.HostKey == "" || got.Created.IsZero() {
		t.Errorf("new machine lacks a field: %+v", got)
	}
	if m.ID != got.ID || m.HostKey != got.HostKey || m.Ports != got.Ports {
		t.Errorf("Create returned %+v, the list shows %+v", m, got)
	}
}

func createTwice(t *testing.T, f *fixture) {
	n := order("nyc1-1")
	first := f.create(t, n)
	second := f.create(t, n)
	if first.ID != second.ID || first.HostKey != second.HostKey || first.Ports != second.Ports {
		t.Errorf("second Create of one operation: got %+v, want %+v", second, first)
	}
	wantIDs(t, f, first.ID)
	twin := f.create(t, order("nyc1-1")) // another operation is another machine: the core settles twins
	wantIDs(t, f, first.ID, twin.ID)
}

func createAtOnce(t *testing.T, f *fixture) {
	must(t, "EnsureKey", f.p.EnsureKey(f.ctx, f.Key))
	n := order("nyc1-1")
	got := make([]fleet.Machine, 4)
	var g errgroup.Group
	for i := range got {
		g.Go(func() (err error) {
			got[i], err = f.p.Create(f.ctx, n)
			return err
		})
	}
	must(t, "Create", g.Wait())
	for _, m := range got {
		if m.ID != got[0].ID {
			t.Errorf("creates of one operation: got %q", ids(got))
		}
	}
	wantIDs(t, f, got[0].ID)
}

func createMany(t *testing.T, f *fixture) {
	must(t, "EnsureKey", f.p.EnsureKey(f.ctx, f.Key))
	nodes := []string{"ams3-1", "blr1-1", "fra1-1", "nyc1-1"}
	got := make([]fleet.Machine, len(nodes))
	var g errgroup.Group
	for i, node := range nodes {
		g.Go(func() (err error) {
			got[i], err = f.p.Create(f.ctx, order(node))
			return err
		})
	}
	must(t, "Create", g.Wait())
	wantIDs(t, f, ids(got)...)
	type place struct {
		ip   string
		port int
	}
	used := make(map[place]string)
	keys := make(map[string]string)
	for _, m := range got {
		if other, ok := keys[m.HostKey]; ok {
			t.Errorf("%s and %s have one host key", other, m.ID)
		}
		keys[m.HostKey] = m.ID
		for _, port := range []int{m.Ports.SSH, m.Ports.TCP, m.Ports.QUIC, m.Ports.WS} {
			at := place{m.Addrs[0].String(), port}
			if other, ok := used[at]; ok && port != 0 {
				t.Errorf("%s and %s share %v", other, m.ID, at)
			}
			used[at] = m.ID
		}
	}
}

func sortedList(t *testing.T, f *fixture) {
	for _, node := range []string{"sgp1-1", "ams3-1", "nyc1-1"} {
		f.create(t, order(node))
	}
	if got := ids(f.list(t)); !slices.IsSorted(got) || len(got) != 3 {
		t.Errorf("list: got %q, want three IDs, sorted", got)
	}
}

func phases(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	for _, phase := range []fleet.Phase{fleet.PhaseOutgoing, fleet.PhaseDraining, fleet.PhaseDoomed} {
		for range 2 {
			must(t, "Mark", f.p.Mark(f.ctx, m.ID, map[string]string{fleet.MarkPhase: string(phase)}, nil))
		}
		if got := f.get(t, m.ID); got.Phase != phase || got.HostKey != m.HostKey {
			t.Errorf("after the mark: got phase %q, host key %q, want %q, %q", got.Phase, got.HostKey, phase, m.HostKey)
		}
	}
	for range 2 {
		must(t, "Mark", f.p.Mark(f.ctx, m.ID, nil, []string{fleet.MarkPhase}))
	}
	if got := f.get(t, m.ID).Phase; got != fleet.PhaseActive {
		t.Errorf("after unset: got phase %q, want none", got)
	}
}

func hostKeyMark(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK"
	must(t, "Mark", f.p.Mark(f.ctx, m.ID, map[string]string{fleet.MarkHostKey: key}, nil))
	if got := f.get(t, m.ID).HostKey; got != key {
		t.Errorf("after the mark: got host key %q, want %q", got, key)
	}
}

func markCached(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	begin := time.Now().Truncate(time.Second)
	for _, until := range []time.Time{begin.Add(time.Hour), begin.Add(time.Hour), begin.Add(24 * time.Hour)} {
		must(t, "Mark", f.p.Mark(f.ctx, m.ID, map[string]string{fleet.MarkCached: fleet.FormatCached(until)}, nil))
		for what, p := range map[string]fleet.Provider{"this handle": f.p, "another": f.Again(t)} {
			ms, err := p.Machines(f.ctx)
			must(t, "Machines", err)
			i := slices.IndexFunc(ms, func(o fleet.Machine) bool { return o.ID == m.ID })
			if i < 0 || !ms[i].CachedUntil.Equal(until) || ms[i].Phase != m.Phase || ms[i].HostKey != m.HostKey {
				t.Errorf("%s lists %+v, want %s with nothing changed but cached until %s", what, ms, m.ID, until)
			}
		}
	}
	if err := f.p.Mark(f.ctx, m.ID, map[string]string{fleet.MarkCached: "tomorrow"}, nil); err == nil {
		t.Error("Mark with what is no time: got no error")
	}
	must(t, "Mark", f.p.Mark(f.ctx, m.ID, nil, []string{fleet.MarkCached}))
	if got := f.get(t, m.ID).CachedUntil; !got.IsZero() {
		t.Errorf("after unset: got %s, want none", got)
	}
}

func markAbsent(t *testing.T, f *fixture) {
	err := f.p.Mark(f.ctx, "nyc1-1-none", map[string]string{fleet.MarkPhase: string(fleet.PhaseOutgoing)}, nil)
	wantErr(t, "Mark of an absent machine", err, fleet.ErrNoMachine)
}

func markUnknown(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	if err := f.p.Mark(f.ctx, m.ID, map[string]string{"colour": "red"}, nil); err == nil {
		t.Error("Mark with an unknown key: got no error")
	}
}
