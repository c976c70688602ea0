package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// reprobe changes what was found at every address of a state.
func reprobe(st *fleet.State, change func(p *fleet.Observed[fleet.Probe])) {
	for a, p := range st.Probes {
		change(&p)
		st.Probes[a] = p
	}
}

func TestPublishedServing_ListsThePublishedRelaysThatMayServeAllTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		change           func(st *fleet.State)
		verified, unsure int
	}{
		"all serve": {func(*fleet.State) {}, 3, 0},
		"our network is cut off": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict = fleet.Unreachable })
		}, 0, 3},
		"other boxes reach none of them either": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict, p.Value.Via = fleet.Unreachable, "ra-1" })
		}, 0, 0},
		"one is silent, and another one serves": {func(st *fleet.State) {
			of := st.Relays[st.Machines.Value[0].ID].Value.PeerID
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) {
				if p.Value.Addr.PeerID() == of {
					p.Value.Verdict = fleet.Unreachable
				}
			})
		}, 2, 0},
		"another box reaches them": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict, p.Value.Via = fleet.Elsewhere, "ra-1" })
		}, 0, 3},
		"the look took too long": {func(st *fleet.State) { st.At = st.At.Add(time.Hour) }, 0, 3},
		"nothing could be probed": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { *p = fleet.Observed[fleet.Probe]{Err: fleettest.ErrBroken} })
		}, 0, 3},
		"cut off, and one box says that its relay does not run": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict = fleet.Unreachable })
			id := st.Machines.Value[0].ID
			r := st.Relays[id]
			r.Value.Active = false
			st.Relays[id] = r
		}, 0, 2},
		"cut off, and one machine is switched off": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict = fleet.Unreachable })
			st.Machines.Value[0].Status = fleet.StatusStopped
			delete(st.Relays, st.Machines.Value[0].ID)
		}, 0, 2},
		"cut off from the boxes, too": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict = fleet.Unreachable })
			for id := range st.Relays {
				st.Relays[id] = fleet.Observed[fleet.Relay]{Err: fleettest.ErrBroken}
			}
		}, 0, 3},
		"they drain": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict = fleet.Draining })
		}, 0, 0},
		"somebody else answers there": {func(st *fleet.State) {
			reprobe(st, func(p *fleet.Observed[fleet.Probe]) { p.Value.Verdict = fleet.WrongPeer })
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 3)
				st := seen(t, s, c.change)
				if v, u := fleet.PublishedServing(s.spec, st); len(v) != c.verified || len(u) != c.unsure || len(v) != fleet.VerifiedPublished(s.spec, st) {
					t.Errorf("verified %q, unsure %q, want %d and %d", v, u, c.verified, c.unsure)
				}
			})
		})
	}
}

// slowPing is a world's Hosts whose boxes are asked with ping.
type slowPing struct {
	fleet.Hosts
	ping func(ctx context.Context) error
}

func (h slowPing) Ping(ctx context.Context, _ fleet.Machine, _ dnsaddr.Addr) error {
	return h.ping(ctx)
}

func TestObserve_OtherBoxesAreAskedForAsLongAsOneReadingTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 26)
		must(t, "up", s.up)
		for _, b := range s.world.Boxes() {
			s.world.Change(b.Machine.ID, func(b *fleettest.Box) { b.Mute = true })
		}
		var asked atomic.Int64
		s.b.Hosts = slowPing{s.b.Hosts, func(ctx context.Context) error {
			asked.Add(1)
			<-ctx.Done()
			return fmt.Errorf("%w: %w", fleet.ErrNotAsked, ctx.Err())
		}}
		began := time.Now()
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if took := time.Since(began); err != nil || took > 30*time.Second || asked.Load() == 0 {
			t.Errorf("26 silent relays and boxes that hang: %v after %s, %d asked, want an end after 30s", err, took, asked.Load())
		}
		for a, p := range st.Probes {
			if p.Value.Verdict != fleet.Unreachable || p.Value.Via != fleet.Here {
				t.Fatalf("%s: %s by %s, want unreachable from here alone: no box said anything", a, p.Value.Verdict, p.Value.Via)
			}
		}
	})
}

func TestObserve_ABoxThatCouldNotBeAskedIsNoVantage(t *testing.T) {
	for said, via := range map[error]string{fleet.ErrNotAsked: fleet.Here, fleettest.ErrBroken: "r"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSim(t, 3)
			must(t, "up", s.up)
			for _, b := range s.world.Boxes() {
				s.world.Change(b.Machine.ID, func(b *fleettest.Box) { b.Mute = true })
			}
			s.b.Hosts = slowPing{s.b.Hosts, func(context.Context) error { return said }}
			st, err := fleet.Observe(context.Background(), s.b, s.spec)
			if err != nil {
				t.Fatal(err)
			}
			for a, p := range st.Probes {
				if !strings.HasPrefix(p.Value.Via, via) {
					t.Errorf("ping says %v: %s is unreachable by %s, want %s", said, a, p.Value.Via, via)
				}
			}
		})
	}
}
