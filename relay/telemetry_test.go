package relay

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/stats"
)

// telling is the telemetry as a collector reads it.
func telling(t testing.TB, r *Relay) stats.Telemetry {
	t.Helper()
	w := call(r.handler(), "GET", "/api/telemetry", "127.0.0.1:1", "")
	got, err := stats.ParseTelemetry(w.Body.Bytes())
	if w.Code != 200 || err != nil {
		t.Fatalf("GET /api/telemetry = %d, %v: %s", w.Code, err, w.Body)
	}
	return got
}

func TestTelemetry_CountsWhatUsersDoAndWhyTheyAreRefused(t *testing.T) {
	cfg := loopback(t)
	cfg.Limits.Reservations = 1
	r := start(t, cfg)
	behind, caller := newEcho(t), newEcho(t)
	for range 2 { // the second one is a renewal
		if _, err := reserve(t, behind, r.info()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, err := reserve(t, caller, r.info()); err == nil {
			t.Fatal("two reservations, want one at most")
		}
	}
	if _, err := through(t, behind, r.info(), caller.ID()); err == nil {
		t.Fatal("a circuit to somebody without a reservation")
	}
	connect(t, client(t, stats.ProbeAgent("1")), r.info())
	s, err := through(t, caller, r.info(), behind.ID())
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("relay"), 2000)
	if _, err := s.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s); err != nil {
		t.Fatal(err)
	}
	var got stats.Telemetry
	eventually(t, "all is counted", func() bool {
		got = telling(t, r.Relay)
		c := got.Counters
		return c.Joined == 2 && c.Granted == 1 && c.Renewed == 1 && c.Circuits == 1 && got.Gauges.Probes == 1 &&
			c.RefusedReserve["RESERVATION_REFUSED"]+c.RefusedReserve["RESOURCE_LIMIT_EXCEEDED"] == 3 && c.RefusedCircuit["NO_RESERVATION"] > 0
	})
	c, g := got.Counters, got.Gauges
	if c.BytesRelayed < 2*uint64(len(sent)) {
		t.Errorf("bytes relayed = %d, want at least both directions of %d", c.BytesRelayed, len(sent))
	}
	for name, in := range map[string]map[string]uint64{
		"tcp": c.ByTransport, "ipv4": c.ByFamily, "bitterbot": c.ByAgent, "1": c.ByVersion, "edge": c.ByTier,
	} {
		if in[name] != 2 || len(in) != 1 {
			t.Errorf("joined by group = %v, want 2 of %s", in, name)
		}
	}
	if g.Users != 2 || g.Peak != 2 || g.Reservations != 1 || g.ReservationLimit != 1 || g.NATStatus != "unknown" || g.DiskTotal == 0 || g.DiskFree > g.DiskTotal {
		t.Errorf("gauges = %+v", g)
	}
	if got.PeerID != r.ID().String() || c.PunchesSucceeded != nil || c.PunchesFailed != nil || c.Sessions != 0 {
		t.Errorf("telemetry = %+v, want hole punches unknown and no session ended", got)
	}
	_ = caller.Close()
	eventually(t, "a session ends", func() bool { return telling(t, r.Relay).Counters.Sessions == 1 })
	r.stop()

	again := start(t, cfg)
	after := telling(t, again.Relay)
	if after.Epoch != got.Epoch || after.Registry != got.Registry || after.Counters.Left != 2 || after.Counters.Sessions != 2 || after.Counters.Granted != 1 {
		t.Errorf("after a restart %+v, want the same epoch, all left, both sessions ended", after)
	}
	if after.Counters.BytesRelayed < c.BytesRelayed || after.Gauges.Users != 0 || after.Gauges.Peak != 2 {
		t.Errorf("after a restart %+v, want bytes and peak kept", after)
	}
}

func TestTelemetry_NoCounterFallsWithinAnEpochThroughCrashesAtRandom(t *testing.T) {
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 7))
		dir, now := t.TempDir(), noon()
		d := openDesk(t, dir, now)
		var peers []peer.ID
		for range 6 {
			p, _ := someone(t)
			peers = append(peers, p)
		}
		var told counters
		for range 60 {
			now = now.Add(time.Duration(random.IntN(100)) * time.Second)
			p := peers[random.IntN(len(peers))]
			switch random.IntN(10) {
			case 0, 1:
				d.user(t, p, now)
			case 2:
				d.disconnected(p, now)
			case 3:
				d.granted(p, now.Add(time.Hour), now)
				d.circuitOpened(p, now)
				d.refused(p, connectRequest, "NO_RESERVATION", now)
				d.ledger.bytes.Add(100)
			case 4:
				d.setFleet([]peer.ID{p})
				d.setFleet(nil)
			case 5:
				if err := d.flush(now); err != nil {
					t.Fatal(err)
				}
			case 6, 7:
				d = openDesk(t, dir, now)
			default:
				next := d.told(now)
				if told.Epoch != nil {
					was, is := told.Epoch.Counters, next.Epoch.Counters
					if next.Epoch.ID != told.Epoch.ID || !reflect.DeepEqual(is.Highest(was), is.Plus(stats.Counters{})) {
						t.Fatalf("seed %d: epoch %s after %s, %+v after %+v: a counter fell", seed, next.Epoch.ID, told.Epoch.ID, is, was)
					}
				}
				told = next
			}
		}
	}
}

func TestTelemetry_WhileNothingCanBeWrittenItIsWhatWasWrittenLast(t *testing.T) {
	dir := t.TempDir()
	d := openDesk(t, dir, noon())
	one, _ := someone(t)
	two, _ := someone(t)
	d.user(t, one, noon())
	if got := d.told(noon()).Epoch.Joined; got != 1 {
		t.Fatalf("joined = %d, want 1", got)
	}
	path := filepath.Join(dir, countersFile)
	remove(t, path)
	write(t, filepath.Join(path, "in the way"), "x")
	d.user(t, two, noon())
	if got := d.told(noon()).Epoch.Joined; got != 1 || len(d.complaints()) != 1 {
		t.Errorf("joined = %d, complaints %q; want the 1 that was written, and that writing fails", got, d.complaints())
	}
}

func TestCounters_FilesOfBeforeAreReadWithoutLossAndTheEpochBeginsAtZero(t *testing.T) {
	cfg := loopback(t)
	write(t, filepath.Join(cfg.State, countersFile),
		`{"version":1,"joined":10,"left":9,"peak":4,"forgotten":2,"reservations":7,"circuits":8,"joins_per_minute":[[60,3]],"leaves_per_minute":[]}`)
	r := idle(t, cfg)
	now := r.report(time.Now())
	if now.PeersJoinedTotal != 10 || now.PeersLeftTotal != 10 || now.PeakConcurrentPeers != 4 || now.LifetimeUniquePeerIDs != 2 ||
		now.RelayReservations != 7 || now.RelayCircuits != 8 || len(now.JoinsPerMinute) != 1 {
		t.Errorf("report = %+v, want what the file says", now)
	}
	first := telling(t, r)
	if first.Counters.Joined != 0 || first.Gauges.Peak != 0 || len(first.Damaged) != 0 {
		t.Errorf("telemetry = %+v, want an epoch that begins now: a collector would take old joins for new ones", first)
	}
	if want := (stats.Lifetime{Joined: 10, Left: 10, Granted: 7, Circuits: 8, Peak: 4}); first.Lifetime == nil || *first.Lifetime != want {
		t.Errorf("lifetime = %+v, want %+v: what the file says", first.Lifetime, want)
	}
	// A daemon of before reads what we wrote, keeps its numbers, and drops the epoch.
	c, err := parseCounters([]byte(read(t, filepath.Join(cfg.State, countersFile))))
	if err != nil || c.Version != 1 || c.Joined != 10 || c.Epoch == nil {
		t.Errorf("counters = %+v, %v; want version 1 with an epoch", c, err)
	}
}

func TestCounters_ADamagedFileBeginsAnotherEpoch(t *testing.T) {
	for _, spoil := range []string{"{", `{"version":1,"epoch":{"id":"x"}}`, `{"version":1,"epoch":{"id":"0123456789abcdef0123456789abcdef","session_lengths":[1,2]}}`} {
		dir := t.TempDir()
		d := openDesk(t, dir, noon())
		p, _ := someone(t)
		d.user(t, p, noon())
		before := d.told(noon()).Epoch.ID
		write(t, filepath.Join(dir, countersFile), spoil)
		d = openDesk(t, dir, noon())
		if now := d.told(noon()).Epoch; now.ID == before || now.Joined != 0 || len(d.complaints()) != 1 {
			t.Errorf("%s: epoch %+v, complaints %q; want another one from 0", spoil, now, d.complaints())
		}
	}
}

func TestEpoch_AFleetRelayThatWasTakenForAUserIsOwedNotTakenBack(t *testing.T) {
	d := openDesk(t, t.TempDir(), noon())
	relay, _ := someone(t)
	user, _ := someone(t)
	d.user(t, relay, noon())
	d.setFleet([]peer.ID{relay})
	if c := d.told(noon()).Epoch; c.Joined != 1 {
		t.Errorf("joined = %d, want 1: no counter falls", c.Joined)
	}
	d.user(t, user, noon())
	d.disconnected(relay, noon())
	c := d.told(noon()).Epoch
	if c.Joined != 1 || c.ByTier["edge"] != 1 || c.ByAgent["bitterbot"] != 1 || c.Left != 0 || len(c.Owed) != 0 {
		t.Errorf("epoch = %+v, want the one user, and nothing owed", c)
	}
}

func TestEpoch_WhatAPeerDidBeforeItWasKnownForAUserCounts(t *testing.T) {
	l := newLedger(Default(), noon())
	p, _ := someone(t)
	probe, _ := someone(t)
	for _, p := range []peer.ID{p, probe} {
		l.connected(p, nil, mustAddr(t, "/ip6/2001:db8::1/udp/1/quic-v1"), noon())
		l.granted(p, noon().Add(time.Hour), noon())
		l.granted(p, noon().Add(2*time.Hour), noon())
		l.refused(p, connectRequest, "NO_RESERVATION", noon())
		l.refused(p, otherRequest, "MALFORMED_MESSAGE", noon())
	}
	l.identified(p, "kubo/0.30.0-rc1+x/", nil, noon())
	l.identified(probe, stats.ProbeAgent("1"), nil, noon())
	c := l.counters.Epoch.Counters
	if c.Joined != 1 || c.Granted != 1 || c.Renewed != 1 || c.RefusedCircuit["NO_RESERVATION"] != 1 || len(c.RefusedReserve) != 0 {
		t.Errorf("counters = %+v, want what the user did, and not what the probe did", c)
	}
	if c.ByTransport["quic-v1"] != 1 || c.ByFamily["ipv6"] != 1 || c.ByVersion["0.30.0-rc1+x"] != 1 || c.ByTier[unknownWord] != 1 {
		t.Errorf("counters = %+v, want the groups of the user", c)
	}
}

func TestEpoch_GroupsThatPeersInventAreBounded(t *testing.T) {
	l := newLedger(Default(), noon())
	for i := range 100 {
		p, _ := someone(t)
		l.connected(p, nil, mustAddr(t, "/ip4/8.8.8.8/tcp/1"), noon())
		l.identified(p, fmt.Sprintf("a%d/%d/\x1b[2Jt", i, i), nil, noon())
	}
	c := l.counters.Epoch
	if len(c.ByAgent) != groupsListed+1 || c.ByAgent[otherGroup] != 100-groupsListed || len(c.ByVersion) != groupsListed+1 || c.ByTier[unknownWord] != 100 {
		t.Errorf("%d agents, %d others, tiers %v; want %d and the rest other", len(c.ByAgent), c.ByAgent[otherGroup], c.ByTier, groupsListed)
	}
	if err := c.check(); err != nil {
		t.Errorf("what is written cannot be read again: %v", err)
	}
}

func TestSessions_AreCountedByTheirLengthAlsoThoseThatACrashEnded(t *testing.T) {
	dir := t.TempDir()
	d := openDesk(t, dir, noon())
	for i, length := range []time.Duration{10 * time.Second, 11 * time.Second, time.Hour, 48 * time.Hour} {
		p, _ := someone(t)
		begin := noon().Add(time.Duration(i) * time.Second)
		d.user(t, p, begin)
		d.disconnected(p, begin.Add(length))
	}
	open, _ := someone(t)
	d.user(t, open, noon())
	if err := d.flush(noon().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if c := d.told(noon().Add(5 * time.Minute)).Epoch; c.Sessions != 4 || !slices.Equal(c.SessionLengths, []uint64{1, 1, 0, 0, 1, 0, 0, 1}) || c.SessionSecs != 10+11+3600+48*3600 {
		t.Errorf("sessions %d, lengths %v, seconds %d; want 4 in their ranges", c.Sessions, c.SessionLengths, c.SessionSecs)
	}
	d = openDesk(t, dir, noon().Add(time.Hour))
	if c := d.told(noon()).Epoch; c.Sessions != 5 || c.SessionLengths[2] != 1 || c.SessionSecs != 10+11+3600+48*3600+300 || c.Left != 5 {
		t.Errorf("after a crash: sessions %d, lengths %v, left %d; want the open one as long as it was when written", c.Sessions, c.SessionLengths, c.Left)
	}
}

func TestMinutesOfUsers_AreWholeOnesOfADayAndSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	d := openDesk(t, dir, noon())
	p, _ := someone(t)
	d.user(t, p, noon())
	for i := range 1500 {
		d.minute(noon().Add(time.Duration(i) * time.Minute).Add(3 * time.Millisecond))
	}
	d.minute(noon().Add(1499 * time.Minute)) // again: it replaces
	last := noon().Add(1498 * time.Minute)
	if err := d.flush(last); err != nil {
		t.Fatal(err)
	}
	d = openDesk(t, dir, last)
	got := d.told(last).Epoch.Users
	if len(got) != dayOfMinutes || got[len(got)-1] != [2]int64{last.Unix(), 1} || got[0][0] != last.Add(-1439*time.Minute).Unix() {
		t.Fatalf("%d minutes, from %v to %v; want %d up to %d", len(got), got[0], got[len(got)-1], dayOfMinutes, last.Unix())
	}
	d.minute(last.Add(-10 * time.Minute)) // the clock was set back
	got = d.told(last).Epoch.Users
	if end := got[len(got)-1]; end != [2]int64{last.Add(-11 * time.Minute).Unix(), 0} || !slices.IsSortedFunc(got, func(a, b [2]int64) int { return int(a[0] - b[0]) }) {
		t.Errorf("the last minute is %v, want the one before the clock's now: what lies ahead is untrue", end)
	}
}

func TestMinutesOfUsers_AreCountedAtTheEndOfTheClocksMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(17 * time.Second) // in the bubble
		r := &Relay{ledger: newLedger(Default(), time.Now())}
		p, _ := someone(t)
		desk{ledger: r.ledger}.user(t, p, time.Now())
		begin := time.Now().Truncate(time.Minute)
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.countMinutes(t.Context())
		}()
		time.Sleep(2 * time.Minute) // in the bubble
		r.ledger.mu.Lock()
		got := slices.Clone(r.ledger.counters.Epoch.Users)
		r.ledger.mu.Unlock()
		if want := [][2]int64{{begin.Unix(), 1}, {begin.Unix() + 60, 1}}; !slices.Equal(got, want) {
			t.Errorf("minutes = %v, want %v", got, want)
		}
	})
}

func TestTelemetry_SinceGivesTheMinutesFromThereOn(t *testing.T) {
	r := idle(t, loopback(t))
	for i := range 5 {
		r.ledger.minute(noon().Add(time.Duration(i) * time.Minute))
	}
	for since, want := range map[string]int{"": 5, "0": 5, fmt.Sprint(noon().Unix()): 4, fmt.Sprint(noon().Unix() + 1): 3, "9999999999": 0} {
		w := call(r.handler(), "GET", "/api/telemetry?since="+since, "127.0.0.1:1", "")
		got, err := stats.ParseTelemetry(w.Body.Bytes())
		if err != nil || got.Minutes == nil || len(got.Minutes) != want {
			t.Errorf("since %s: minutes %v, %v; want %d", since, got.Minutes, err, want)
		}
	}
	for _, since := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		if w := call(r.handler(), "GET", "/api/telemetry?since="+since, "127.0.0.1:1", ""); w.Code != 400 {
			t.Errorf("since %s = %d, want 400", since, w.Code)
		}
	}
}

// busy is a relay with so many users of a mixed population.
func busy(t testing.TB, users int) *Relay {
	t.Helper()
	cfg := Default()
	cfg.State, cfg.API = filepath.Join(t.TempDir(), "state"), "127.0.0.1:0"
	r, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	now := time.Now()
	for i := range users {
		p, _ := someone(t)
		addr := fmt.Sprintf("/ip4/8.8.%d.%d/tcp/4001", i/250%250, i%250)
		if i%3 == 0 {
			addr = fmt.Sprintf("/ip6/2001:db8::%x/udp/4001/quic-v1", i+1)
		}
		r.ledger.connected(p, nil, mustAddr(t, addr), now)
		r.ledger.identified(p, fmt.Sprintf("bitterbot-%d/1.%d.%d/%s", i%5, i%7, i%11, []string{"edge", "management"}[i%2]), nil, now)
		r.ledger.granted(p, now.Add(time.Hour), now)
		r.ledger.refused(p, connectRequest, []string{"NO_RESERVATION", "CONNECTION_FAILED"}[i%2], now)
	}
	r.ledger.bytes.Add(1 << 40)
	return r
}

func TestCollecting_NothingNewIsAtMost2KBOnTheWire(t *testing.T) {
	r := busy(t, 200)
	for _, by := range []map[string]uint64{r.ledger.counters.Epoch.ByAgent, r.ledger.counters.Epoch.ByVersion, r.ledger.counters.Epoch.ByTier} {
		for name := range by {
			by[name] += 1_234_567 // as long as the numbers of years
		}
	}
	now := telling(t, r)
	if got := len(now.Counters.ByVersion); got != groupsListed+1 {
		t.Fatalf("%d versions, want as many as are ever listed", got)
	}
	telemetry := wire(t, r, fmt.Sprintf("/api/telemetry?since=%d", time.Now().Unix()))
	delta := wire(t, r, "/api/census/delta?after="+now.Cursor)
	if got := len(telemetry) + len(delta); got > 2000 {
		t.Errorf("telemetry of %d bytes and delta of %d, want at most 2,000 together", len(telemetry), len(delta))
	} else {
		t.Logf("telemetry %d bytes, delta %d bytes", len(telemetry), len(delta))
	}
}

func TestResources_AreReadAsTheSystemWritesThem(t *testing.T) {
	if got := machineMemory([]byte("MemTotal:        1014528 kB\nMemFree: 1 kB\n")); got != 1014528<<10 {
		t.Errorf("MemTotal = %d", got)
	}
	for _, text := range []string{"", "MemTotal: x kB\n", "MemTotal: 5\n"} {
		if got := machineMemory([]byte(text)); got != 0 {
			t.Errorf("%q = %d, want unknown", text, got)
		}
	}
	files := limitFiles([]byte("12:memory:/a/b\n1:name=systemd:/x\n0::/system.slice/../relay.service\nnonsense\n"))
	want := []string{"memory/a/b/memory.limit_in_bytes", "memory/a/memory.limit_in_bytes", "memory/memory.limit_in_bytes", "/relay.service/memory.max", "/memory.max"}
	if !slices.Equal(files, want) {
		t.Errorf("files = %q\nwant %q", files, want)
	}
	if free, total := diskSpace(filepath.Join(t.TempDir(), "none")); free != 0 || total != 0 {
		t.Errorf("disk of nowhere = %d of %d, want unknown", free, total)
	}
}

// BenchmarkStats is one answer of /api/stats under 5,000 connected peers.
func BenchmarkStats(b *testing.B) {
	r := busy(b, 5000)
	size := 0
	for b.Loop() {
		size = call(r.handler(), "GET", "/api/stats", "127.0.0.1:1", "").Body.Len()
	}
	b.ReportMetric(float64(size), "body-B/op")
}

// BenchmarkNothingNew is a collection of a busy relay at which nothing changed.
func BenchmarkNothingNew(b *testing.B) {
	r := busy(b, 5000)
	w := call(r.handler(), "GET", "/api/telemetry", "127.0.0.1:1", "")
	now, err := stats.ParseTelemetry(w.Body.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	size := 0
	for b.Loop() {
		size = len(wire(b, r, fmt.Sprintf("/api/telemetry?since=%d", time.Now().Unix()))) + len(wire(b, r, "/api/census/delta?after="+now.Cursor))
	}
	b.ReportMetric(float64(size), "wire-B/op")
}
