package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// hoarder is a resolver that keeps what it once saw for a while longer than the zone.
type hoarder struct {
	s     *sim
	seen  []dnsaddr.Record
	until time.Time
	looks int
}

func (l *hoarder) Look(ctx context.Context) (fleet.Look, error) {
	l.looks++
	out := fleet.Look{Heard: 1}
	if time.Now().Before(l.until) {
		for _, rec := range l.seen {
			if a, err := rec.Addr(); err == nil {
				out.Seen = append(out.Seen, fleet.Sighting{Addr: a, Server: "192.0.2.53:53", Left: time.Minute})
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

// mute is a set of DNS servers of which one answers, or none does, until it comes back.
type mute struct {
	one  bool
	back time.Time
}

func (l *mute) Look(ctx context.Context) (fleet.Look, error) {
	out := fleet.Look{Unheard: []error{errors.New("ask 192.0.2.53:53: no answer"), errors.New("ask 192.0.2.54:53: no answer")}}
	switch {
	case !time.Now().Before(l.back):
		return fleet.Look{Heard: 2}, ctx.Err()
	case l.one:
		return fleet.Look{Heard: 1, Unheard: out.Unheard[1:]}, ctx.Err()
	}
	return out, ctx.Err()
}

// Unknown is not absent: what nobody could look up may still be given to clients.
func TestApply_ARelayIsNotRetiredWhileNoDNSServerAnswers(t *testing.T) {
	for what, c := range map[string]struct {
		one    bool
		silent time.Duration // longer than the TTL
		gone   bool
		notes  []string // in what is told
	}{
		"none answers":           {false, time.Hour, false, []string{"192.0.2.53:53", "192.0.2.54:53"}},
		"none for a while":       {false, 12 * time.Second, true, []string{"nobody knows", "192.0.2.54:53"}},
		"one of two is silent":   {true, time.Hour, true, []string{"not every DNS server could be asked", "192.0.2.54:53"}},
		"there is nobody to ask": {false, -time.Hour, true, nil},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := settled(t, func(*sim) {})
				s.spec.Rollout.HealthyDeadline = 30 * time.Second
				s.b.Lookout = &mute{c.one, time.Now().Add(c.silent)}
				if c.silent < 0 {
					s.b.Lookout = noServers{}
				}
				old := s.world.Boxes()[0].Machine
				var told strings.Builder
				s.tell = func(e fleet.Event) { told.WriteString(e.Detail + "\n") }
				_, err := s.replace(old.Node)
				gone := !slices.ContainsFunc(s.world.Boxes(), func(b fleettest.Box) bool { return b.Machine.ID == old.ID })
				if gone != c.gone || (err == nil) != c.gone {
					t.Fatalf("got gone %v, %v; want gone %v", gone, err, c.gone)
				}
				text := told.String()
				if err != nil {
					text = err.Error()
					if !strings.Contains(fleet.Hint(err), "dns.resolvers") {
						t.Errorf("got hint %q, want the key that names others", fleet.Hint(err))
					}
				}
				for _, want := range c.notes {
					if !strings.Contains(text, want) {
						t.Errorf("got %q, want it to say %q", text, want)
					}
				}
			})
		})
	}
}

type noServers struct{}

func (noServers) Look(context.Context) (fleet.Look, error) { return fleet.Look{}, nil }

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

// A box that does not say who its relay is has an address all the same.
func TestApply_ASilentBoxIsNotRetiredWhileItsAddressIsGiven(t *testing.T) {
	const keeps = 12 * time.Second // longer than the TTL
	for what, port := range map[string]string{"its address": "9100", "that of a neighbour": "9101"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := settled(t, func(*sim) {})
				s.spec.Rollout.HealthyDeadline = time.Minute
				look := &hoarder{s: s, until: time.Now().Add(keeps)}
				for _, rec := range s.peek() {
					rec.Value = strings.Replace(rec.Value, "/tcp/9100/", "/tcp/"+port+"/", 1)
					look.seen = append(look.seen, rec)
				}
				s.b.Lookout = look
				dead := holder(s, "ra-1").Machine
				s.world.Change(dead.ID, func(b *fleettest.Box) { b.SSHDown, b.Mute = true, true })
				in := s.intent
				in.Abandon, in.Replace = []string{dead.Node}, []string{dead.ID}
				began := time.Now()
				must(t, "replace --abandon", func() (fleet.Outcome, error) { return s.converge(in) })
				if holder(s, dead.Node).Machine.ID == dead.ID || look.looks == 0 {
					t.Fatalf("the dead box still holds its slot, or nobody looked (%d looks)", look.looks)
				}
				if took := time.Since(began); (took >= keeps) != (port == "9100") {
					t.Errorf("gone after %s, with the address given to clients for %s", took, keeps)
				}
			})
		})
	}
}
