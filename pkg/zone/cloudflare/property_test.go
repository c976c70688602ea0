package cloudflare_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// story is one fleet being turned into another.
type story struct {
	before, after []dnsaddr.Record
	strangers     int
	lag           [2][]time.Duration // of the changes, one after the other, at each name server
	fault         cftest.Fault       // the zero value is none
	page          int
	byName        bool
}

func stories() *rapid.Generator[story] {
	return rapid.Custom(func(rt *rapid.T) story {
		fleet := func(name string) (out []dnsaddr.Record) {
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 12), 0, 8, rapid.ID).Draw(rt, name) {
				out = append(out, ours(n))
			}
			return out
		}
		s := story{
			before: fleet("before"), after: fleet("after"), strangers: rapid.IntRange(0, 3).Draw(rt, "strangers"),
			page: rapid.SampledFrom([]int{2, 100}).Draw(rt, "page"), byName: rapid.Bool().Draw(rt, "by name"),
		}
		for i := range s.lag {
			for _, secs := range rapid.SliceOfN(rapid.IntRange(0, 40), 1, 5).Draw(rt, "lag") {
				s.lag[i] = append(s.lag[i], time.Duration(secs)*time.Second)
			}
		}
		if nth := rapid.IntRange(0, 8).Draw(rt, "fault at request"); nth > 0 {
			s.fault = cftest.Fault{
				Nth: nth, Times: rapid.IntRange(1, 3).Draw(rt, "times"), How: cftest.How(rapid.IntRange(int(cftest.Busy), int(cftest.Garbled)).Draw(rt, "fault")),
			}
		}
		return s
	})
}

// Whatever fleet is turned into whatever other, beside strangers, with name servers that
// lag and a fault anywhere: at every instant every name server has at least as many of the
// fleet's addresses as the smaller of both fleets, every client that can receive its answer
// finds as many relays in it, no stranger's record is written, and the next runs finish and
// then have nothing to do.
func TestProperty_NoNameServerEverHasFewer(t *testing.T) {
	cases, faulty := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		s := stories().Draw(rt, "story")
		if cases++; s.fault.Nth > 0 {
			faulty++
		}
		var broken error
		synctest.Test(t, func(t *testing.T) { broken = s.play(t) })
		if broken != nil {
			rt.Fatal(broken)
		}
	})
	t.Logf("%d cases, %d of them with a fault", cases, faulty)
}

// play says which promise was broken.
func (s story) play(t *testing.T) error {
	r := newRig(t, cftest.Config{})
	var put []cftest.Record
	for n := range s.strangers {
		put = append(put, cftest.Record{Name: entry, Content: fmt.Sprintf("stranger %d", n), Comment: "not yours"})
	}
	strangers, err := r.Put(apex, put...)
	if err != nil {
		return err
	}
	if err := converge(t.Context(), r.zone(nil), s.before); err != nil {
		return fmt.Errorf("the first fleet: %w", err)
	}
	var since [2]int // moments of the name servers before this
	for i, lag := range s.lag {
		since[i] = len(r.History(i))
		n := 0
		r.Delay(i, func(cftest.Change) time.Duration {
			n++
			return lag[n%len(lag)]
		})
	}
	if s.fault.Nth > 0 {
		r.Fail(s.fault)
	}
	run := func() error {
		z := r.zone(func(c *cloudflare.Config) {
			if s.byName {
				byName(c)
			}
		})
		cloudflare.SetPerPage(z, s.page)
		return converge(t.Context(), z, s.after)
	}
	_ = run() // whether it gets over the fault is another test's
	r.Heal()
	if err := run(); err != nil {
		return fmt.Errorf("the next run: %w", err)
	}
	r.ResetCalls()
	if err := run(); err != nil {
		return fmt.Errorf("the run after that: %w", err)
	}
	if got := r.wrote(); got != 0 {
		return fmt.Errorf("the run after that: got %d writes, want none", got)
	}
	time.Sleep(time.Minute) // bubble: the last change arrives
	if err := s.wasServed(r, since); err != nil {
		return err
	}
	for _, stranger := range strangers {
		all := r.Cloud.Records(apex)
		i := slices.IndexFunc(all, func(rec cftest.Record) bool { return rec.ID == stranger.ID })
		if i < 0 || all[i].Content != stranger.Content || all[i].Comment != stranger.Comment || !all[i].Modified.Equal(stranger.Modified) {
			return fmt.Errorf("a stranger's record was written: %+v", stranger)
		}
	}
	return nil
}

// wasServed checks what the name servers answered after so many moments.
func (s story) wasServed(r *rig, since [2]int) error {
	least := min(len(s.before), len(s.after))
	for i := range r.Servers() {
		for _, m := range r.History(i)[since[i]:] {
			if m.Name != entry {
				continue
			}
			if got := addresses(m.Values); got < least {
				return fmt.Errorf("name server %d: got %d of the fleet's texts after %+v, want at least %d", i, got, m.Change, least)
			}
			if err := resolves(m.Values, least, anybody); err != nil {
				return fmt.Errorf("name server %d: after %+v: %w", i, m.Change, err)
			}
		}
		if got := addresses(r.Resolve(i, entry)); got != len(s.after) {
			return fmt.Errorf("name server %d: got %d of the fleet's texts in the end, want %d", i, got, len(s.after))
		}
	}
	return nil
}

// anybody counts for a relay.
func anybody(string) bool { return true }

// resolves names a client that can receive the answer and finds fewer relays in it, of
// those whose peer IDs count.
func resolves(values []string, least int, counts func(peer string) bool) error {
	var held []dnsaddr.Record
	for _, v := range values {
		held = append(held, dnsaddr.Record{Name: entry, Value: v})
	}
	clients := dnsaddr.NewClients(dnsaddr.AnswersOf(held))
	for _, family := range dnsaddr.Families() {
		for _, network := range dnsaddr.Networks() {
			if !family.LargeAnswers() || network.NoTCP {
				continue
			}
			got := clients.Resolve(family, network, domain, "")
			found := 0
			for _, peer := range got.Relays {
				if counts(peer) {
					found++
				}
			}
			if found < least {
				return fmt.Errorf("%s over %s finds %d relays (%v), want at least %d", family, network, found, got.Losses, least)
			}
		}
	}
	return nil
}

func addresses(values []string) int {
	n := 0
	for _, v := range values {
		if dnsaddr.IsDNSAddr(v) {
			n++
		}
	}
	return n
}
