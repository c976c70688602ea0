package cloudflare_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// crossing is a whole fleet that is turned into one of another size.
type crossing struct {
	from, to, regions int
	floor             int
	lag               [2][]time.Duration
	strangers         int
	fault             cftest.Fault // the zero value is none
	killed            int          // the first run dies at this request, 0: it does not
}

func crossings() *rapid.Generator[crossing] {
	return rapid.Custom(func(rt *rapid.T) crossing {
		sizes := rapid.SampledFrom([][2]int{{12, 17}, {16, 17}, {17, 12}, {17, 16}, {12, 16}}).Draw(rt, "sizes")
		c := crossing{
			from: sizes[0], to: sizes[1], regions: rapid.IntRange(1, 4).Draw(rt, "regions"),
			floor: rapid.SampledFrom([]int{10, 9, 3}).Draw(rt, "floor"), strangers: rapid.IntRange(0, 3).Draw(rt, "strangers"),
		}
		for i := range c.lag {
			for _, secs := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 20, 55}), 1, 5).Draw(rt, "lag") {
				c.lag[i] = append(c.lag[i], time.Duration(secs)*time.Second)
			}
		}
		switch rapid.IntRange(0, 2).Draw(rt, "weather") {
		case 1:
			c.fault = cftest.Fault{
				Writes: true, Nth: rapid.IntRange(1, 6).Draw(rt, "fault at write"), Times: rapid.IntRange(1, 3).Draw(rt, "times"),
				How: cftest.How(rapid.IntRange(int(cftest.Busy), int(cftest.Garbled)).Draw(rt, "fault")),
			}
		case 2:
			c.killed = rapid.IntRange(1, 40).Draw(rt, "killed at request")
		}
		return c
	})
}

// A whole fleet that grows or shrinks across the sizes at which its layout changes, beside
// records of others, over name servers that lag, with a fault at any write or a run that
// dies anywhere: at every instant, at every name server, every client that can receive the
// answer finds as many relays that serve as the floor says, nothing of others is written,
// and the next runs finish and then have nothing to do.
func TestProperty_AFleetThatChangesItsLayoutIsFoundAtEveryNameServer(t *testing.T) {
	const most = 10 // whole fleets take a while under -race
	ran, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		c := crossings().Draw(rt, "crossing")
		if ran++; ran > most && !failed || ran > 3*most { // a failure is made smaller for a while
			return
		}
		var broken error
		synctest.Test(t, func(t *testing.T) { broken = c.play(t) })
		if broken != nil {
			failed = true
			rt.Fatal(broken)
		}
	})
	t.Logf("%d fleets", min(ran, most))
}

// nodes spreads n of them over the regions.
func (c crossing) nodes(n int) []fleet.NodeSpec {
	var out []fleet.NodeSpec
	for i := range c.regions {
		out = append(out, fleet.NodeSpec{Region: fmt.Sprintf("r%c", 'a'+i), Count: (n - i + c.regions - 1) / c.regions})
	}
	return out
}

// mostRuns is how often a fleet is run until it has to be as it should.
const mostRuns = 10

// play says which promise was broken.
func (c crossing) play(t *testing.T) error {
	s := stageOf(t, c.nodes(c.from)...)
	s.spec.DNS.MinRelays, s.up.MaxDeletes = c.floor, fleet.MaxNodes
	var put []cftest.Record
	for n := range c.strangers {
		put = append(put, []cftest.Record{
			{Name: entry, Content: stranger}, {Name: entry, Content: "not a record of ours"},
			{Name: "_dnsaddr.ra." + domain, Content: stranger, Comment: dnsaddr.Owner{Fleet: "other", Relay: "ra-1"}.Comment()},
		}[n])
	}
	strangers, err := s.Put(apex, put...)
	if err != nil {
		return err
	}
	for i, lag := range c.lag {
		n := 0
		s.Delay(i, func(cftest.Change) time.Duration {
			n++
			return lag[n%len(lag)]
		})
	}
	time.Sleep(time.Minute) // bubble: the strangers have arrived
	s.begin()
	gone := s.watchRelays()
	s.spec.Nodes = c.nodes(c.to)
	if c.fault.Nth > 0 {
		s.Fail(c.fault)
	}
	c.firstRun(s)
	time.Sleep(6 * time.Minute) // bubble: a rate that was used up is free again
	s.Heal()
	settled := false
	for try := 0; try < mostRuns && !settled; try++ {
		o, err := s.converge(s.up)
		settled = err == nil && o.Settled()
		if try == mostRuns-1 && !settled {
			return fmt.Errorf("the next runs do not finish: %w, %v, %v", err, o.Failures, o.Plan.Deferred)
		}
	}
	s.ResetCalls()
	if o, err := s.converge(s.up); err != nil || !o.Settled() || s.wrote() != 0 {
		return fmt.Errorf("one run more: got %w and %d writes, want none", err, s.wrote())
	}
	time.Sleep(time.Minute) // bubble: the last change arrives
	for i := range s.Servers() {
		if err := s.served(i, c.floor, gone()); err != nil {
			return fmt.Errorf("name server %d: %w", i, err)
		}
	}
	now := s.Cloud.Records(apex)
	for _, stranger := range strangers {
		if !slices.ContainsFunc(now, func(r cftest.Record) bool {
			return r.ID == stranger.ID && r.Content == stranger.Content && r.Comment == stranger.Comment && r.Modified.Equal(stranger.Modified)
		}) {
			return fmt.Errorf("a stranger's record was written: %+v", stranger)
		}
	}
	return s.everyNodeAtItsNames()
}

// firstRun is the one that has bad luck. How it ends is what the next one finds.
func (c crossing) firstRun(s *stage) {
	ctx, kill := context.WithCancelCause(s.t.Context())
	defer kill(nil)
	seen := 0
	s.Around(func(int, *http.Request, func()) bool {
		if seen++; c.killed == 0 || seen < c.killed {
			return true
		}
		kill(errKilled)
		return false
	})
	defer s.Around(nil)
	st, err := fleet.Observe(ctx, s.b, s.spec)
	if err != nil {
		return
	}
	_, _ = fleet.Converge(ctx, s.b, s.spec, s.up, st, fleet.Diff(s.spec, st, s.up), s.tell)
}

// watchRelays notes when a relay that served does so no more.
func (s *stage) watchRelays() (gone func() map[string]time.Time) {
	var mu sync.Mutex
	serving, ended := s.serving(), make(map[string]time.Time)
	s.tell = func(fleet.Event) {
		mu.Lock()
		defer mu.Unlock()
		now := s.serving()
		for peer := range serving {
			if !now[peer] && ended[peer].IsZero() {
				ended[peer] = time.Now()
			}
		}
		for peer := range now {
			serving[peer] = true
		}
	}
	return func() map[string]time.Time {
		s.tell(fleet.Event{})
		return ended
	}
}

// serving are the peer IDs of the relays that serve in the world itself.
func (s *stage) serving() map[string]bool {
	out := make(map[string]bool)
	for _, b := range s.world.Boxes() {
		if b.Relay.Active && !b.Relay.Draining && b.Machine.Status == fleet.StatusRunning {
			out[b.Relay.PeerID] = true
		}
	}
	return out
}

// served checks what one name server answered at the entry name since the play began: after
// every change there, and whenever a relay stopped to serve.
func (s *stage) served(server, floor int, gone map[string]time.Time) error {
	type instant struct {
		at   time.Time
		what string
	}
	history, serving := s.History(server), s.serving()
	var instants []instant
	for _, m := range history[s.from[server]:] {
		instants = append(instants, instant{m.At, fmt.Sprintf("after %+v", m.Change)})
	}
	for peer, at := range gone {
		instants = append(instants, instant{at, "when " + peer + " was gone"})
	}
	for _, in := range instants {
		var values []string
		for _, m := range history {
			if m.Name == entry && !m.At.After(in.at) {
				values = m.Values
			}
		}
		err := resolves(values, floor, func(peer string) bool {
			if at, ended := gone[peer]; ended {
				return in.at.Before(at)
			}
			return serving[peer] // still, now that the play is over
		})
		if err != nil {
			return fmt.Errorf("%s: %w", in.what, err)
		}
	}
	return nil
}

// everyNodeAtItsNames fails unless every node is published where the layout has it, and
// nowhere else.
func (s *stage) everyNodeAtItsNames() error {
	layout := s.spec.Layout()
	got := make(map[string]int) // records of ours by name
	for _, r := range s.Cloud.Records(apex) {
		o, ours := dnsaddr.ParseOwner(r.Comment)
		if !ours || o.Fleet != s.spec.Name {
			continue
		}
		if !layout.Has(o.Relay, r.Name) {
			return fmt.Errorf("%s is published at %s, want %v", o.Relay, r.Name, layout.At(o.Relay))
		}
		got[r.Name]++
	}
	for _, name := range layout.Names() {
		if got[name] < layout.Relays(name) {
			return fmt.Errorf("%d records at %s, want %d relays", got[name], name, layout.Relays(name))
		}
	}
	return nil
}
