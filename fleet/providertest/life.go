package providertest

import (
	"context"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
)

func startRunning(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	must(t, "Start", f.p.Start(f.ctx, m.ID))
	if got := f.get(t, m.ID); got.Status != fleet.StatusRunning || got.Ports != m.Ports || got.HostKey != m.HostKey {
		t.Errorf("after Start: got %+v, want %+v", got, m)
	}
}

func startStopped(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	f.SwitchOff(t, m.ID)
	if got := f.get(t, m.ID); got.Status != fleet.StatusStopped {
		t.Fatalf("switched off: got status %q", got.Status)
	}
	for range 2 {
		must(t, "Start", f.p.Start(f.ctx, m.ID))
	}
	if got := f.get(t, m.ID); got.Status != fleet.StatusRunning || got.Ports != m.Ports || got.HostKey != m.HostKey {
		t.Errorf("after Start: got %+v, want %+v", got, m)
	}
}

func startAbsent(t *testing.T, f *fixture) {
	wantErr(t, "Start of an absent machine", f.p.Start(f.ctx, "nyc1-1-none"), fleet.ErrNoMachine)
}

func deleteOne(t *testing.T, f *fixture) {
	gone, stays := f.create(t, order("nyc1-1")), f.create(t, order("fra1-1"))
	for range 2 {
		must(t, "Delete", f.p.Delete(f.ctx, gone.ID))
		wantIDs(t, f, stays.ID)
	}
	f.SwitchOff(t, stays.ID)
	must(t, "Delete of a stopped machine", f.p.Delete(f.ctx, stays.ID))
	wantIDs(t, f)
}

func deleteAbsent(t *testing.T, f *fixture) {
	must(t, "Delete of an absent machine", f.p.Delete(f.ctx, "nyc1-1-none"))
}

func cleanupRefused(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	if err := f.p.Cleanup(f.ctx); err == nil {
		t.Fatal("Cleanup with a machine: got no error")
	}
	if got := f.get(t, m.ID); got.Status != fleet.StatusRunning {
		t.Errorf("after the refusal: got status %q, want running", got.Status)
	}
}

func (f *fixture) leftovers(t *testing.T) []string {
	t.Helper()
	left, err := f.p.Leftovers(f.ctx)
	must(t, "Leftovers", err)
	return left
}

func cleanup(t *testing.T, f *fixture) {
	if left := f.leftovers(t); len(left) != 0 {
		t.Errorf("leftovers of a fleet that never was: %q", left)
	}
	must(t, "Cleanup of a fleet that never was", f.p.Cleanup(f.ctx))
	must(t, "EnsureFirewall", f.p.EnsureFirewall(f.ctx))
	m := f.create(t, order("nyc1-1"))
	if left := f.leftovers(t); len(left) == 0 {
		t.Error("leftovers of a fleet with a machine: got none")
	}
	must(t, "Delete", f.p.Delete(f.ctx, m.ID))
	for range 2 {
		must(t, "Cleanup", f.p.Cleanup(f.ctx))
	}
	if left := f.leftovers(t); len(left) != 0 {
		t.Errorf("leftovers after Cleanup: %q", left)
	}
	wantIDs(t, f)
}

func afterCleanup(t *testing.T, f *fixture) {
	first := f.create(t, order("nyc1-1"))
	must(t, "Delete", f.p.Delete(f.ctx, first.ID))
	must(t, "Cleanup", f.p.Cleanup(f.ctx))
	second := f.create(t, order("nyc1-1"))
	if second.ID == first.ID {
		t.Errorf("the ID %s was used again", first.ID)
	}
	wantIDs(t, f, second.ID)
}

func cancelled(t *testing.T, f *fixture) {
	m := f.create(t, order("nyc1-1"))
	before := ids(f.list(t))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := f.p.Machines(ctx)
	wantErr(t, "Machines", err, context.Canceled)
	_, err = f.p.Create(ctx, order("fra1-1"))
	wantErr(t, "Create", err, context.Canceled)
	wantErr(t, "Delete", f.p.Delete(ctx, m.ID), context.Canceled)
	wantErr(t, "Mark", f.p.Mark(ctx, m.ID, map[string]string{fleet.MarkPhase: "doomed"}, nil), context.Canceled)
	wantErr(t, "Cleanup", f.p.Cleanup(ctx), context.Canceled)
	if got := f.get(t, m.ID); got.Phase != fleet.PhaseActive {
		t.Errorf("after calls that were cancelled: got phase %q, want none", got.Phase)
	}
	wantIDs(t, f, before...)
}

func twoHandles(t *testing.T, f *fixture) {
	other := f.Again(t)
	m := f.create(t, order("nyc1-1"))
	ms, err := other.Machines(f.ctx)
	must(t, "Machines of the other handle", err)
	if len(ms) != 1 || ms[0].ID != m.ID {
		t.Fatalf("the other handle lists %q, want %q", ids(ms), m.ID)
	}
	again, err := other.Create(f.ctx, fleet.NewMachine{Node: m.Node, Region: m.Region, Op: m.Op})
	must(t, "Create by the other handle", err)
	if again.ID != m.ID {
		t.Errorf("one operation, two handles: got %s, want %s", again.ID, m.ID)
	}
	must(t, "Delete by the other handle", other.Delete(f.ctx, m.ID))
	wantIDs(t, f)
}
