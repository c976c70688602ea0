package fleet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// BenchmarkDiff compares a fleet of n relays, a tenth of them being replaced, with its spec.
func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		b.Run(fmt.Sprintf("relays=%d", n), func(b *testing.B) {
			s, st := benchState(b, n)
			b.ReportAllocs()
			for b.Loop() {
				fleet.Diff(s, st, fleet.Intent{})
			}
		})
	}
}

func benchState(b *testing.B, n int) (fleet.Spec, fleet.State) {
	sim := newSim(b, 1)
	sim.spec.Nodes = []fleet.NodeSpec{{Region: "ra", Count: n}}
	st := fleet.State{At: time.Unix(1_800_000_000, 0), Relays: map[string]fleet.Observed[fleet.Relay]{}, Probes: map[dnsaddr.Addr]fleet.Observed[fleet.Probe]{}}
	w := fleettest.NewWorld("demo")
	p := w.Backends(nil).Provider
	for i, slot := range sim.spec.Slots() {
		m, err := p.Create(context.Background(), fleet.NewMachine{Node: slot.Node, Region: slot.Region, Op: fmt.Sprintf("%026d", i)})
		if err != nil {
			b.Fatal(err)
		}
		if i%10 == 0 {
			m.Phase = fleet.PhaseOutgoing
		}
		peer := fleettest.PeerID(m.ID)
		records, err := fleet.Published(sim.spec, m, peer)
		if err != nil {
			b.Fatal(err)
		}
		st.Machines.Value = append(st.Machines.Value, m)
		st.Relays[m.ID] = fleet.Observed[fleet.Relay]{Value: fleet.Relay{Installed: true, Active: true, Ready: true, PeerID: peer, Config: fleet.RelayConfig(sim.spec, m)}}
		for j, rec := range records {
			rec.ID = fmt.Sprint(i, "-", j)
			addr, err := rec.Addr()
			if err != nil {
				b.Fatal(err)
			}
			st.Records.Value = append(st.Records.Value, rec)
			st.Probes[addr] = fleet.Observed[fleet.Probe]{Value: fleet.Probe{At: st.At, Verdict: fleet.Serving}}
		}
	}
	return sim.spec, st
}
