package fleet_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/fleet"
)

// What was taken over runs, but where its makers put it. The plan installs the release
// even if that is the one that runs, and covers the introduction that follows.
func TestDiff_ARelayThatWasTakenOverIsInstalledAndIntroducedByOnePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		st := seen(t, s, func(st *fleet.State) {
			relayOf(st, func(r *fleet.Relay) { r.Installed, r.SHA256, r.Peers = false, s.intent.Release.SHA256, nil })
		})
		p := fleet.Diff(s.spec, st, s.intent)
		wantActions(t, p, "configure ra-1")
		ref := p.Changes()[0].Ref
		if fields := p.Changes()[0].Fields; len(fields) != 1 || fields[0].Name != "release" {
			t.Errorf("fields: got %+v, want the release", fields)
		}
		if !slices.ContainsFunc(p.Deferred, func(d fleet.Deferral) bool { return d.Action == fleet.ActionIntroduce && d.Ref == ref }) {
			t.Errorf("deferred: got %+v, want the introduction of %s", p.Deferred, ref.Node)
		}
	})
}
