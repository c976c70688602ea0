package fleet_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

const longTTL = 24 * time.Hour

// longLived is a fleet of three that has been published with a TTL of a day.
func longLived(t *testing.T) *sim {
	t.Helper()
	s := newSim(t, 3)
	s.spec.DNS.TTL = longTTL
	must(t, "up", s.up)
	return s
}

// waits lists how long the machines of a plan are waited for.
func waits(p fleet.Plan) []string {
	var out []string
	for _, c := range p.Changes() {
		if c.Action == fleet.ActionWait {
			out = append(out, c.Fields[0].To)
		}
	}
	return slices.Compact(out)
}

// A resolver that asked a moment before the TTL was lowered keeps the answer for the TTL
// that it had then, whatever the zone says now.
func TestApply_ALoweredTTLIsWaitedForAsLongAsResolversKeepTheOldOne(t *testing.T) {
	for what, leave := range map[string]func(*sim) (fleet.Outcome, error){
		"replace": func(s *sim) (fleet.Outcome, error) { return s.replace("ra-1") },
		"down":    (*sim).down,
	} {
		for _, later := range []time.Duration{0, time.Hour, 2 * longTTL} {
			t.Run(what+" after "+later.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := longLived(t)
					s.spec.DNS.TTL = time.Minute
					must(t, "up with another TTL", s.up)
					lowered := time.Now()
					old := holder(s, "ra-1").Machine.ID
					<-time.After(later)
					var told strings.Builder
					s.tell = func(e fleet.Event) { told.WriteString(e.Detail + "\n") }
					began := time.Now()
					must(t, what, func() (fleet.Outcome, error) { return leave(s) })
					if slices.ContainsFunc(s.world.Boxes(), func(b fleettest.Box) bool { return b.Machine.ID == old }) {
						t.Fatal("the old machine is still there")
					}
					if got := time.Since(lowered); got < longTTL {
						t.Errorf("gone %s after the TTL was lowered from %s", got, longTTL)
					}
					if got, want := strings.Contains(told.String(), "before dns.ttl was lowered"), later < longTTL; got != want {
						t.Errorf("told of the earlier TTL: got %v, want %v: %s", got, want, told.String())
					}
					if got, most := time.Since(began), max(longTTL-later, 0)+time.Hour; got > most {
						t.Errorf("took %s, want no more than %s", got, most)
					}
				})
			})
		}
	}
}

// Of what was withdrawn under the old TTL the zone says nothing any more, and neither does
// it of the TTL, if other records have a lower one since.
func TestApply_ALoweredTTLIsKnownToTheRunAfterOneThatWasKilled(t *testing.T) {
	for left := range 12 {
		synctest.Test(t, func(t *testing.T) {
			s := longLived(t)
			s.spec.DNS.TTL = time.Minute
			k := &killer{left: left}
			k.watch(s)
			_, err := s.up()
			s.world.Fault = nil
			s.zone.Hook(nil)
			if err != nil && !k.dead {
				t.Fatalf("after %d effects: %v", left, err)
			}
			lowered := time.Now()
			must(t, "down", s.down)
			if got := time.Since(lowered); got < longTTL-time.Hour {
				t.Errorf("killed after %d effects: gone %s after the TTL was lowered from %s", left, got, longTTL)
			}
		})
	}
}

// Where the last record goes nothing in the zone says any more for how long resolvers keep it,
// and fleet.yaml may say less at the next run.
func TestApply_ATTLLoweredAfterTheLastRecordWentIsKnownToTheNextDown(t *testing.T) {
	for _, ttl := range []time.Duration{time.Minute, longTTL} {
		for _, after := range []time.Duration{time.Second, time.Hour, 23 * time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				s := longLived(t)
				old := holder(s, "ra-1").Machine.ID
				in := fleet.Intent{Down: true}
				shown := s.plan(t, in)
				ctx, kill := context.WithTimeout(t.Context(), after)
				defer kill()
				st, err := fleet.Observe(ctx, s.b, s.spec)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if _, err := fleet.Converge(ctx, s.b, s.spec, in, st, shown, nil); ctx.Err() == nil {
					t.Fatalf("got %v, want it killed in its wait", err)
				}
				left := s.plan(t, in)
				for _, c := range left.Changes() {
					if c.Action == fleet.ActionWithdraw {
						t.Fatalf("killed after %s: %s is still there", after, c.Ref.ID)
					}
				}
				s.spec.DNS.TTL = ttl
				for _, c := range s.plan(t, in).Changes() {
					if c.Action == fleet.ActionWait && ttl < longTTL && !strings.Contains(c.Reason, "which was withdrawn before, until ") {
						t.Errorf("got the reason %q, want the withdrawal named", c.Reason)
					}
				}
				again := time.Now()
				must(t, "down", s.down)
				if slices.ContainsFunc(s.world.Boxes(), func(b fleettest.Box) bool { return b.Machine.ID == old }) {
					t.Fatal("the old machine is still there")
				}
				if got := time.Since(began); got < longTTL {
					t.Errorf("killed after %s, then a TTL of %s: gone %s after the last record, whose TTL was %s", after, ttl, got, longTTL)
				}
				if got, most := time.Since(again), max(ttl, longTTL-after)+time.Hour; got > most {
					t.Errorf("killed after %s, then a TTL of %s: took %s, want no more than %s", after, ttl, got, most)
				}
			})
		}
	}
}

// The records of relays whose boxes take no note go all the same: this run waits anyway.
func TestApply_TheLastRecordsGoWhereNoMachineCanBeMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := longLived(t)
		s.b.Provider = unmarkable{s.b.Provider, []string{"ra-1", "rb-1", "rc-1"}}
		_, _ = s.down() // which cannot mark that they drain either
		if got := s.peek(); slices.ContainsFunc(got, func(r dnsaddr.Record) bool { _, is := r.OwnedBy("demo"); return is }) {
			t.Errorf("got %v, want none of ours", got)
		}
	})
}

// A zone may write late: an API that takes no more requests for a while, name servers that
// follow slowly.
func TestApply_ALoweredTTLCountsFromTheEndOfTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := longLived(t)
		s.spec.DNS.TTL = time.Minute
		s.zone.Hook(func(_ context.Context, c zonetest.Call) error {
			if c.Op == zonetest.OpApply {
				<-time.After(15 * time.Minute)
			}
			return nil
		})
		must(t, "up with another TTL", s.up)
		lowered := time.Now()
		s.zone.Hook(nil)
		must(t, "down", s.down)
		if got := time.Since(lowered); got < longTTL {
			t.Errorf("gone %s after the TTL was lowered from %s", got, longTTL)
		}
	})
}

// Whoever is cut off in such a write notes nothing more, so the first note covers what it takes.
func TestApply_ALoweredTTLCountsFromTheLastChangeOfAWriteThatWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := longLived(t)
		s.spec.DNS.TTL = time.Minute
		var lowered time.Time
		s.zone.Hook(func(_ context.Context, c zonetest.Call) error {
			if c.Op == zonetest.OpUpdate {
				<-time.After(3 * time.Minute)
				lowered = time.Now()
				s.world.Fault = func(string, bool) error { return errKilled }
			}
			return nil
		})
		if _, err := s.up(); lowered.IsZero() {
			t.Fatalf("no TTL was lowered: %v", err)
		}
		s.world.Fault = nil
		s.zone.Hook(nil)
		must(t, "down", s.down)
		if got := time.Since(lowered); got < longTTL {
			t.Errorf("gone %s after the last TTL was lowered from %s", got, longTTL)
		}
	})
}

// The write that makes a record ours gives it our TTL, and resolvers keep the one that it had.
func TestApply_TheTTLOfAnAdoptedRecordIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stays = 30 * 24 * time.Hour // nobody waits for it
		for _, ttl := range []time.Duration{longTTL, 7 * longTTL} {
			s := newSim(t, 3)
			s.spec.DNS.TTL = time.Minute
			must(t, "up", s.up)
			s.zone.Edit(s.spec.DNS.RecordName(), func(r *dnsaddr.Record) {
				if _, ours := r.Owner(); ours {
					r.Comment, r.TTL = "made by hand", ttl
				} else {
					r.TTL = stays
				}
			})
			must(t, "sync", func() (fleet.Outcome, error) { return s.converge(fleet.Intent{RecordsOnly: true, Adopt: true}) })
			adopted, old := time.Now(), holder(s, "ra-1").Machine.ID
			must(t, "replace", func() (fleet.Outcome, error) { return s.replace("ra-1") })
			if slices.ContainsFunc(s.world.Boxes(), func(b fleettest.Box) bool { return b.Machine.ID == old }) {
				t.Fatal("the old machine is still there")
			}
			if got := time.Since(adopted); got < ttl || got > ttl+time.Hour {
				t.Errorf("gone %s after a record with a TTL of %s was adopted, want that and less than an hour more", got, ttl)
			}
		}
	})
}

// Cloudflare's API says 1 for a TTL that it chooses, which is five minutes.
func TestDiff_AnAutomaticTTLIsWaitedForAsItIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for zone, want := range map[string]string{fleet.ZoneCloudflare: "5m0s", fleet.ZoneLocal: "1m0s"} {
			s, st := settled(t, func(*sim) {})
			s.spec.DNS.Zone, s.spec.DNS.TTL = zone, time.Minute
			for i := range st.Records.Value {
				st.Records.Value[i].TTL = time.Second
			}
			if got := waits(fleet.Diff(s.spec, st, fleet.Intent{Down: true})); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: got %q, want every machine waited for %s", zone, got, want)
			}
		}
	})
}

// The note is on the boxes of hosts, on two of them at least: where as many cannot be read, it may be there.
func TestDiff_ANoteThatCannotBeReadIsNotTakenForNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			unread int
			given  bool
			want   string
		}{
			{1, true, "2s"},
			{2, true, "25h0m0s"},
			{3, false, "2s"}, // the tags of droplets are read wherever they stand
		} {
			s, st := settledOf(t, 5, func(*sim) {})
			for i := range st.Machines.Value {
				m := &st.Machines.Value[i]
				m.Given = c.given
				if i < c.unread {
					m.Problem = "connection refused"
				}
			}
			if got := waits(fleet.Diff(s.spec, st, fleet.Intent{Down: true})); len(got) == 0 || got[0] != c.want {
				t.Errorf("%d of 5 unread, given %v: got %q, want %s", c.unread, c.given, got, c.want)
			}
		}
	})
}

// A machine that was never told of another TTL, or of one that has passed, changes nothing.
func TestDiff_TheWaitIsTheLongestThatAResolverMayKeepARecord(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct {
		note time.Time
		ttl  time.Duration // of the records that are there
		want string
	}{
		"the spec's":       {time.Time{}, time.Second, "2s"},
		"a record's":       {time.Time{}, time.Minute, "1m0s"},
		"what passed":      {now.Add(-time.Hour), time.Second, "2s"},
		"what was noted":   {now.Add(90*time.Minute + time.Millisecond), time.Minute, "1h30m1s"},
		"less than a TTL":  {now.Add(30 * time.Second), time.Minute, "1m0s"},
		"a TTL's most":     {now.Add(24*time.Hour + 10*time.Minute), time.Second, "24h10m0s"},
		"a stranger's":     {now.Add(7*24*time.Hour + 10*time.Minute), time.Second, "168h10m0s"},
		"nobody keeps it":  {now.Add(8 * 24 * time.Hour), time.Second, "25h0m0s"},
		"a record's month": {time.Time{}, 30 * 24 * time.Hour, "168h0m0s"},
		"the end of time":  {now.AddDate(1000, 0, 0), time.Second, "25h0m0s"},
		"a part of a time": {now.Add(2100 * time.Millisecond), time.Second, "3s"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, st := settled(t, func(*sim) {})
				st.At = now
				for i := range st.Records.Value {
					st.Records.Value[i].TTL = c.ttl
				}
				st.Machines.Value[0].CachedUntil = c.note // whoever it is that is asked
				p := fleet.Diff(s.spec, st, fleet.Intent{Down: true})
				if got := waits(p); !slices.Equal(got, []string{c.want}) {
					t.Errorf("got %q, want every machine waited for %s", got, c.want)
				}
			})
		})
	}
}

// The plan says why it waits for longer than the TTL that the operator reads in fleet.yaml.
func TestDiff_AWaitForAnEarlierTTLSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(*sim) {})
		st.Machines.Value[0].CachedUntil = st.At.Add(time.Hour)
		for _, c := range fleet.Diff(s.spec, st, fleet.Intent{Down: true}).Changes() {
			if c.Action == fleet.ActionWait && !strings.Contains(c.Reason, "before dns.ttl was lowered") {
				t.Errorf("got %q, want the earlier TTL named", c.Reason)
			}
		}
	})
}

// A note that is cut short is not passed off as one that is believed.
func TestDiff_AWaitForANoteThatNoTTLExplainsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(*sim) {})
		m := &st.Machines.Value[0]
		for until, want := range map[time.Time]string{
			st.At.AddDate(1, 0, 0): " says until " + st.At.AddDate(1, 0, 0).UTC().Format(time.RFC3339) + ", longer than any TTL",
			fleet.UnreadCached():   " is no time that can be read",
		} {
			m.CachedUntil = until
			for _, c := range fleet.Diff(s.spec, st, fleet.Intent{Down: true}).Changes() {
				if c.Action == fleet.ActionWait && !strings.Contains(c.Reason, "the mark cached of "+m.ID+want) {
					t.Errorf("got %q, want the mark that %q", c.Reason, want)
				}
			}
		}
	})
}
