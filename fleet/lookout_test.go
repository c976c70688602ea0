package fleet_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// hoarder is a resolver that keeps what it once saw for a while longer than the zone.
type hoarder struct {
	s     *sim
	seen  []dnsaddr.Record
	until time.Time
	looks int
}

func (l *hoarder) Sightings(ctx context.Context) ([]fleet.Sighting, error) {
	l.looks++
	var out []fleet.Sighting
	if time.Now().Before(l.until) {
		for _, rec := range l.seen {
			if a, err := rec.Addr(); err == nil {
				out = append(out, fleet.Sighting{Addr: a, Server: "192.0.2.53:53", Left: time.Minute})
			}
		}
	}
	return out, ctx.Err()
}

func TestApply_ARelayThatAResolverStillGivesIsNotRetired(t *testing.T) {
	for what, c := range map[string]struct {
		keeps   time.Duration // longer than the TTL
		foreign bool          // somebody publishes the address as well
		gone    bool
	}{
		"forgotten at once":           {0, false, true},
		"forgotten after a while":     {12 * time.Second, false, true},
		"never forgotten":             {time.Hour, false, false},
		"the record of somebody else": {time.Hour, true, true},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := settled(t, func(*sim) {})
				s.spec.Rollout.HealthyDeadline = 30 * time.Second
				look := &hoarder{s: s, seen: s.peek(), until: time.Now().Add(c.keeps)}
				s.b.Lookout = look
				old := s.world.Boxes()[0].Machine
				if c.foreign {
					for _, rec := range look.seen {
						if o, ours := rec.Owner(); ours && o.Relay == old.Node {
							rec.Comment = "a friend's"
							s.zone.Put(s.spec.DNS.RecordName(), rec)
						}
					}
				}
				began := time.Now()
				_, err := s.replace(old.Node)
				gone := true
				for _, b := range s.world.Boxes() {
					gone = gone && b.Machine.ID != old.ID
				}
				if gone != c.gone || (err == nil) != c.gone || look.looks == 0 {
					t.Fatalf("got gone %v, %v after %d looks; want gone %v", gone, err, look.looks, c.gone)
				}
				if c.gone && !c.foreign && time.Since(began) < c.keeps {
					t.Errorf("gone after %s, and given to clients for %s", time.Since(began), c.keeps)
				}
				if err != nil && (!strings.Contains(err.Error(), "192.0.2.53:53 gives") || !strings.Contains(fleet.Hint(err), "dnsaddr verify")) {
					t.Errorf("got %v, hint %q; want the server and the address, and a way to see more", err, fleet.Hint(err))
				}
			})
		})
	}
}

// Machines that go side by side do not ask every server once each.
func TestApply_DownOfManyLooksOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 6)
		must(t, "up", s.up)
		look := &hoarder{s: s}
		s.b.Lookout = look
		must(t, "down", s.down)
		if look.looks != 1 {
			t.Errorf("got %d looks, want one for all", look.looks)
		}
	})
}
