package history

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/stats"
)

// model is the history as maps: what the store has to say the same as.
type model struct {
	peers map[int]*modelPeer
	gone  map[int]bool // forgotten
	own   map[int]bool
	lives map[string]uint64
	users map[int64]map[int]int64 // minute -> relay -> users
	read  map[int]time.Time       // relay -> when its census was read last
}

type modelPeer struct {
	first, last int64
	relays      map[int]bool
	seen        []int64
}

func newModel() *model {
	return &model{
		peers: make(map[int]*modelPeer), gone: make(map[int]bool), own: make(map[int]bool), lives: make(map[string]uint64),
		users: make(map[int64]map[int]int64), read: make(map[int]time.Time),
	}
}

func (m *model) see(relay, n int, e stats.CensusEntry) {
	if m.gone[n] {
		return
	}
	p := m.peers[n]
	if p == nil {
		p = &modelPeer{first: e.FirstSeenAt, relays: make(map[int]bool)}
		m.peers[n] = p
	}
	p.first, p.last = min(p.first, e.FirstSeenAt), max(p.last, e.LastSeenAt)
	p.relays[relay] = true
	p.seen = append(p.seen, e.FirstSeenAt, e.LastSeenAt)
}

// count counts the users for which f is true.
func (m *model) count(f func(*modelPeer) bool) int {
	n := 0
	for id, p := range m.peers {
		if !m.own[id] && f(p) {
			n++
		}
	}
	return n
}

func (p *modelPeer) in(from, to int64) bool {
	return slices.ContainsFunc(p.seen, func(t int64) bool { return t >= from && t < to })
}

// TestIngest_AnswersAsASimpleModelDoes drives a fleet of three relays through collections
// with relays that are silent, re-imaged and read twice, and through peers that come back,
// are forgotten and turn out to be the fleet's own.
func TestIngest_AnswersAsASimpleModelDoes(t *testing.T) {
	empty := t.TempDir() // to copy is quicker than to make
	s, err := Open(t.Context(), empty+"/"+FileName, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const enough = 12 // each takes a while under the race detector
	passed, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		if passed >= enough && !failed {
			return
		}
		defer func() {
			if failed = failed || rt.Failed(); !failed {
				passed++
			}
		}()
		dir, err := os.MkdirTemp("", "history")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		copyStore(t, empty, dir)
		s, err := Open(t.Context(), dir+"/"+FileName, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		quicken(rt, s)
		m := newModel()
		at := monday()
		lives := map[int]int{}
		for round := range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			at = at.Add(time.Duration(rapid.IntRange(1, 10*24*60).Draw(rt, "minutes")) * time.Minute)
			readings := m.round(rt, at, round, lives)
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				if _, err := s.Ingest(t.Context(), at, readings); err != nil {
					rt.Fatal(err)
				}
			}
			if n := rapid.IntRange(0, 30).Draw(rt, "forget"); n < 12 && !m.own[n] {
				delete(m.peers, n)
				m.gone[n] = true
				if _, err := s.Forget(t.Context(), at, peerID(n)); err != nil {
					rt.Fatal(err)
				}
				if _, err := s.Ingest(t.Context(), at, readings); err != nil {
					rt.Fatal(err)
				}
			}
			m.check(rt, s, at)
		}
	})
}

// round makes the readings of one collection, and notes them in the model.
func (m *model) round(rt *rapid.T, at time.Time, round int, lives map[int]int) []stats.Reading {
	var readings []stats.Reading
	for relay := range 3 {
		id := -1 - relay
		m.own[id] = true
		if rapid.IntRange(0, 4).Draw(rt, "silent") == 0 {
			readings = append(readings, silent(relay+1, "no route"))
			continue
		}
		if rapid.IntRange(0, 5).Draw(rt, "reimaged") == 0 {
			lives[relay]++
		}
		r := answer(relay+1, at, rapid.IntRange(0, 9).Draw(rt, "users"))
		r.Telemetry.Epoch = fmt.Sprintf("relay %d life %d", relay, lives[relay])
		m.lives[r.Telemetry.Epoch] += uint64(rapid.IntRange(0, 5).Draw(rt, "joined"))
		r.Telemetry.Counters.Joined = m.lives[r.Telemetry.Epoch]
		m.read[relay] = at
		minute := r.Telemetry.Minutes[0][0]
		if m.users[minute] == nil {
			m.users[minute] = make(map[int]int64)
		}
		m.users[minute][relay] = r.Telemetry.Minutes[0][1]
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(-3, 11), 0, 6, rapid.ID).Draw(rt, "peers") {
			last := at.Add(-time.Duration(rapid.IntRange(0, 3*24*60).Draw(rt, "ago")) * time.Minute)
			first := last.Add(-time.Duration(rapid.IntRange(0, 20*24*60).Draw(rt, "before")) * time.Minute)
			e := entry(n, first, last)
			e.Tier = fmt.Sprint("tier", n%3)
			m.see(relay, n, e)
			r.Delta = append(r.Delta, e)
		}
		readings = append(readings, r)
	}
	return readings
}

func (m *model) check(rt *rapid.T, s *Store, at time.Time) {
	f, err := s.Figures(rt.Context(), at)
	if err != nil {
		rt.Fatal(err)
	}
	now := at.Unix()
	want := map[string]int{
		"lifetime_unique_peers": m.count(func(*modelPeer) bool { return true }),
		"active_peers_24h":      m.count(func(p *modelPeer) bool { return p.last >= now-daySecs }),
		"active_peers_7d":       m.count(func(p *modelPeer) bool { return p.last >= now-7*daySecs }),
		"active_peers_30d":      m.count(func(p *modelPeer) bool { return p.last >= now-30*daySecs }),
		"new_peers":             m.count(func(p *modelPeer) bool { return p.first >= now-daySecs }),
		"returning_peers":       m.count(func(p *modelPeer) bool { return p.last >= now-daySecs && p.first < now-daySecs }),
		"relay_overlap":         m.count(func(*modelPeer) bool { return true }),
		"peers_by_tier":         m.count(func(p *modelPeer) bool { return p.last >= now-7*daySecs }),
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if f.Values[name].Value == nil {
			rt.Errorf("%s at %s: got unknown, want %d", name, at, want[name])
			continue
		}
		if got := *f.Values[name].Value; got != float64(want[name]) {
			rt.Errorf("%s at %s: got %g, want %d", name, at, got, want[name])
		}
	}
	overlap, err := s.Overlap(rt.Context())
	if err != nil {
		rt.Fatal(err)
	}
	for k := range 4 {
		n := m.count(func(p *modelPeer) bool { return len(p.relays) == k && k > 0 })
		i := slices.IndexFunc(overlap, func(o Overlap) bool { return o.Relays == k })
		if i < 0 && n > 0 || i >= 0 && overlap[i].Peers != uint64(n) {
			rt.Errorf("known to %d relays: got %v, want %d", k, overlap, n)
		}
	}
	m.checkSeries(rt, s, at)
	m.checkTotals(rt, s)
}

func (m *model) checkSeries(rt *rapid.T, s *Store, at time.Time) {
	for _, c := range []struct {
		metric string
		want   func(from, to int64) (float64, bool)
	}{
		{"lifetime", func(_, to int64) (float64, bool) {
			return float64(m.count(func(p *modelPeer) bool { return p.first < to })), true
		}},
		{"new", func(from, to int64) (float64, bool) {
			return float64(m.count(func(p *modelPeer) bool { return p.first >= from && p.first < to })), true
		}},
		{"returning", func(from, to int64) (float64, bool) {
			return float64(m.count(func(p *modelPeer) bool { return p.first < from && p.in(from, to) })), true
		}},
		{"peak", func(from, to int64) (float64, bool) {
			most, some := int64(0), false
			for minute, relays := range m.users {
				if sum := int64(0); minute >= from && minute < to {
					for _, n := range relays {
						sum += n
					}
					most, some = max(most, sum), true
				}
			}
			return float64(most), some
		}},
	} {
		all, err := s.Series(rt.Context(), c.metric, Query{Step: StepDay, Since: at.Add(-8 * daySecs * time.Second)})
		if err != nil {
			rt.Fatal(err)
		}
		for _, p := range all[0].Points {
			want, known := c.want(p.At.Unix(), p.At.Add(daySecs*time.Second).Unix())
			if p.Value != nil && (!known || *p.Value != want) {
				rt.Errorf("%s of %s: got %g, want %g (%t)", c.metric, p.At, *p.Value, want, known)
			}
			if p.Value == nil && known && c.metric != "returning" { // a day without a collection
				rt.Errorf("%s of %s: got unknown, want %g", c.metric, p.At, want)
			}
		}
	}
	cohorts, err := s.Cohorts(rt.Context(), at, 0)
	if err != nil {
		rt.Fatal(err)
	}
	for _, c := range cohorts {
		week := func(k int) int64 { return c.Week.AddDate(0, 0, 7*k).Unix() }
		for k, f := range c.Active {
			want := m.count(func(p *modelPeer) bool { return p.first >= week(0) && p.first < week(1) && p.in(week(k), week(k+1)) })
			if f.Value != nil && *f.Value != float64(want) {
				rt.Errorf("cohort of %s after %d weeks: got %g, want %d", c.Week, k, *f.Value, want)
			}
		}
	}
}

func (m *model) checkTotals(rt *rapid.T, s *Store) {
	relays, err := s.Relays(rt.Context())
	if err != nil {
		rt.Fatal(err)
	}
	got, want := uint64(0), uint64(0)
	for i, r := range relays {
		got += r.Totals["joins"]
		if n := m.count(func(p *modelPeer) bool { return p.relays[i] }); r.Peers != uint64(n) {
			rt.Errorf("%s: got %d peers, want %d", r.Node, r.Peers, n)
		}
	}
	for _, joined := range m.lives {
		want += joined
	}
	if got != want {
		rt.Errorf("joins: got %d, want %d", got, want)
	}
}
