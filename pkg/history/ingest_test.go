package history

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestIngest_APeerOfTwoRelaysCountsOnce(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	sum := ingest(t, s, at,
		answer(1, at, 2, entry(1, at.Add(-time.Hour), at), entry(2, at.Add(-time.Hour), at)),
		answer(2, at, 3, entry(2, at.Add(-2*time.Hour), at), entry(3, at.Add(-26*time.Hour), at.Add(-25*time.Hour))))
	if sum.New != 3 || sum.Changed != 1 || sum.Own != 2 || sum.Answered != 2 || len(sum.Missing) != 0 {
		t.Errorf("got %+v, want 3 new, 1 changed, 2 own, 2 answered", sum)
	}
	f := figures(t, s, at)
	for metric, want := range map[string]string{
		"lifetime_unique_peers": "3", "active_peers_24h": "2", "active_peers_7d": "3", "new_peers": "2", "returning_peers": "0",
		"concurrent_peers": "5", "peak_concurrent_peers": "5", "relays_answering": "2", "joins": "unknown", "hole_punches": "unknown",
		"retention_weekly": "unknown",
	} {
		wantFigure(t, f, metric, want)
	}
	overlap, err := s.Overlap(t.Context())
	if want := []Overlap{{1, 2}, {2, 1}}; err != nil || !slices.Equal(overlap, want) {
		t.Errorf("overlap: got %v %v, want %v", overlap, err, want)
	}
	if got := text(f.Parts["peers_by_tier"]["edge"]); got != "3" {
		t.Errorf("tier edge: got %s, want 3", got)
	}
	for _, m := range stats.Metrics() {
		if f, ok := f.Values[m.Name]; !ok || f.Missing == nil {
			t.Errorf("%s: got %+v %v, want a figure with a list of who is missing", m.Name, f, ok)
		}
	}
}

func TestIngest_TheSameAgainChangesNothing(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 2))
	at = at.Add(time.Minute)
	r := answer(1, at, 2, entry(1, at, at))
	r.Telemetry.Counters = stats.Counters{Joined: 7, BytesRelayed: 100}
	ingest(t, s, at, r)
	before := figures(t, s, at)
	if sum := ingest(t, s, at, r); sum.New != 0 || sum.Changed != 0 || len(sum.Events) != 0 {
		t.Errorf("got %+v, want nothing new", sum)
	}
	after := figures(t, s, at)
	for name, f := range before.Values {
		if got, want := text(after.Values[name]), text(f); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	wantFigure(t, after, "joins", "at least 7")
}

func TestIngest_WhoDoesNotAnswerIsNamedAndNothingIsLost(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 2, entry(1, at, at)), answer(2, at, 3, entry(2, at, at)), answer(3, at, 1, entry(3, at, at)))
	next := at.Add(time.Hour)
	broken := answer(3, next, 1, entry(4, next, next))
	broken.Telemetry.Damaged = []string{"bootnode-peers.json: not JSON"}
	sum := ingest(t, s, next, answer(1, next, 4), silent(2, "dial: timed out"), broken)
	if want := []string{"nyc1-2"}; !slices.Equal(sum.Missing, want) {
		t.Errorf("missing: got %v, want %v", sum.Missing, want)
	}
	if want := []EventKind{EventUnreachable, EventDamaged}; !slices.Equal(kinds(sum.Events), want) {
		t.Errorf("events: got %v, want %v", kinds(sum.Events), want)
	}
	f := figures(t, s, next)
	wantFigure(t, f, "lifetime_unique_peers", "at least 4 without nyc1-2 nyc1-3")
	wantFigure(t, f, "active_peers_24h", "at least 4 without nyc1-2 nyc1-3")
	wantFigure(t, f, "concurrent_peers", "at least 5 without nyc1-2")
	wantFigure(t, f, "joins", "at least 0 without nyc1-2")
	if got := f.Values["lifetime_unique_peers"].Since; !got.Equal(at) {
		t.Errorf("since: got %s, want %s: the oldest answer in it", got, at)
	}
	later := next.Add(time.Hour)
	sum = ingest(t, s, later, answer(1, later, 4), answer(2, later, 3, entry(5, next, later)), answer(3, later, 1))
	if want := []EventKind{EventReturned, EventRepaired}; !slices.Equal(kinds(sum.Events), want) {
		t.Errorf("events: got %v, want %v", kinds(sum.Events), want)
	}
	wantFigure(t, figures(t, s, later), "lifetime_unique_peers", "5")
	want := []string{"11-02 12:00 3", "11-02 13:00 5", "11-02 14:00 5"}
	if got := points(t, s, "lifetime", Query{Step: StepHour}); !slices.Equal(got, want) {
		t.Errorf("lifetime: got %q, want %q: what was known late stands where it happened", got, want)
	}
}

func TestIngest_DamagedCountersMakeNoCensusUnread(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	r := answer(1, at, 1, entry(1, at, at))
	r.Telemetry.Damaged = []string{"relay-counters.json was damaged before this start and is kept as relay-counters.json.damaged-1"}
	sum := ingest(t, s, at, r)
	if len(sum.Unread) != 0 || !slices.Equal(kinds(sum.Events), []EventKind{EventJoined, EventDamaged}) {
		t.Errorf("got unread %q and events %v, want none unread, and the damage told", sum.Unread, kinds(sum.Events))
	}
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "1")
}

func TestIngest_ACensusThatDidNotArriveIsUnreadAndNotDamaged(t *testing.T) {
	slow := errText("no answer within 30s: GET /api/census/delta: context deadline exceeded")
	broken := &stats.BrokenError{Err: errText("bootnode-peers.json: registry: the text is cut off")}
	for name, c := range map[string]struct {
		spoil  func(*stats.Reading)
		events []EventKind
	}{
		"slow":                 {func(r *stats.Reading) { r.Err = slow }, nil},
		"slow at once":         {func(r *stats.Reading) { r.Err, r.Delta = slow, nil }, nil},
		"no census":            {func(r *stats.Reading) { r.Err, r.Broken = broken, broken }, []EventKind{EventDamaged}},
		"slow, then no census": {func(r *stats.Reading) { r.Err, r.Broken, r.Delta = slow, broken, nil }, []EventKind{EventDamaged}},
	} {
		s := open(t, Options{})
		at := monday()
		ingest(t, s, at, answer(1, at, 1, entry(1, at, at)))
		at = at.Add(time.Minute)
		r := answer(1, at, 1, entry(2, at, at))
		c.spoil(&r)
		sum := ingest(t, s, at, r)
		if !slices.Equal(sum.Unread, []string{"nyc1-1"}) || !slices.Equal(kinds(sum.Events), c.events) {
			t.Errorf("%s: got unread %q and events %v, want nyc1-1 and %v", name, sum.Unread, kinds(sum.Events), c.events)
		}
		relays, err := s.Relays(t.Context())
		if err != nil || (len(relays[0].Damaged) > 0) != (len(c.events) > 0) {
			t.Errorf("%s: got damage %q and %v, want some: %t", name, relays[0].Damaged, err, len(c.events) > 0)
		}
	}
}

func TestIngest_DamageThatCouldNotBeLookedAtIsNotRepaired(t *testing.T) {
	broken := &stats.BrokenError{Err: errText("bootnode-peers.json: registry: the text is cut off")}
	const counters = "relay-counters.json was damaged before this start and is kept as relay-counters.json.damaged-1"
	s := open(t, Options{})
	at := monday()
	for _, c := range []struct {
		name    string
		spoil   func(*stats.Reading)
		events  []EventKind
		damaged []string
	}{
		{"whole", func(*stats.Reading) {}, []EventKind{EventJoined}, nil},
		{"damaged", func(r *stats.Reading) {
			r.Err, r.Broken, r.Telemetry.Damaged = broken, broken, []string{counters}
		}, []EventKind{EventDamaged}, []string{counters, broken.Error()}},
		{"slow, and no word of the counters", func(r *stats.Reading) { r.Err = errText("no answer within 30s") }, []EventKind{EventDamaged}, []string{broken.Error()}},
		{"slow at once", func(r *stats.Reading) { r.Err, r.Delta = errText("no answer within 30s"), nil }, nil, []string{broken.Error()}},
		{"no census", func(r *stats.Reading) { r.Delta = nil }, nil, []string{broken.Error()}},
		{"damaged still", func(r *stats.Reading) { r.Err, r.Broken = broken, broken }, nil, []string{broken.Error()}},
		{"whole again", func(*stats.Reading) {}, []EventKind{EventRepaired}, nil},
	} {
		at = at.Add(time.Minute)
		r := answer(1, at, 1, entry(1, at, at))
		c.spoil(&r)
		if got := kinds(ingest(t, s, at, r).Events); !slices.Equal(got, c.events) {
			t.Errorf("%s: got events %v, want %v", c.name, got, c.events)
		}
		if relays, err := s.Relays(t.Context()); err != nil || !slices.Equal(relays[0].Damaged, c.damaged) {
			t.Errorf("%s: got %+v (%v), want the damage %q", c.name, relays, err, c.damaged)
		}
	}
}

func TestIngest_ACensusOfWhichEntriesWereLeftOutWasNotReadWhole(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	torn := answer(1, at, 1, entry(1, at, at))
	torn.LeftOut = 2
	sum := ingest(t, s, at, torn, answer(2, at, 1, entry(2, at, at)))
	if want := []string{"nyc1-1"}; !slices.Equal(sum.Unread, want) || len(sum.Missing) != 0 {
		t.Errorf("unread %q, missing %q; want %q and none", sum.Unread, sum.Missing, want)
	}
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "at least 2 without nyc1-1")
}

func TestIngest_TotalsNeverFallAndNeverDouble(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	tell := func(epoch string, joined uint64, id int) Summary {
		t.Helper()
		at = at.Add(time.Hour)
		r := answer(1, at, 1)
		r.PeerID, r.Telemetry.PeerID, r.Telemetry.Epoch, r.Telemetry.Counters.Joined = "", peerID(id), epoch, joined
		return ingest(t, s, at, r)
	}
	total := func() uint64 {
		t.Helper()
		relays, err := s.Relays(t.Context())
		if err != nil || len(relays) != 1 {
			t.Fatalf("got %d relays, %v", len(relays), err)
		}
		return relays[0].Totals["joins"]
	}
	for _, step := range []struct {
		epoch  string
		joined uint64
		id     int
		want   uint64
		event  EventKind
	}{
		{"a", 10, -1, 10, EventJoined},
		{"a", 15, -1, 15, ""},
		{"a", 12, -1, 15, EventCounterFell}, // a file from yesterday
		{"a", 16, -1, 16, ""},
		{"b", 5, -1, 21, EventReimaged},
		{"a", 16, -1, 21, EventReimaged}, // and back
		{"a", 20, -9, 25, EventRotated},
	} {
		sum := tell(step.epoch, step.joined, step.id)
		if got := total(); got != step.want {
			t.Errorf("epoch %s, %d joined: got %d in all, want %d", step.epoch, step.joined, got, step.want)
		}
		if got := kinds(sum.Events); step.event != "" && !slices.Contains(got, step.event) || step.event == "" && len(got) > 0 {
			t.Errorf("epoch %s, %d joined: got events %v, want %q", step.epoch, step.joined, got, step.event)
		}
	}
}

func TestIngest_ADaemonThatTellsOfSomethingNoMoreCountedNoLessOfIt(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	for _, step := range []struct {
		own   *uint64
		event EventKind
		want  uint64 // in all
	}{
		{new(uint64(9)), EventJoined, 9},
		{nil, "", 9}, // an earlier version
		{nil, "", 9},
		{new(uint64(12)), "", 12},
		{new(uint64(3)), EventCounterFell, 12},
	} {
		at = at.Add(time.Hour)
		r := answer(1, at, 1)
		r.Telemetry.Counters.OwnBytes = step.own
		got := kinds(ingest(t, s, at, r).Events)
		if step.event != "" && !slices.Contains(got, step.event) || step.event == "" && len(got) > 0 {
			t.Errorf("at %s: got events %v, want %q", at, got, step.event)
		}
		if relays, err := s.Relays(t.Context()); err != nil || relays[0].Totals[countOwnBytes] != step.want {
			t.Errorf("at %s: got totals %v %v, want %d", at, relays[0].Totals, err, step.want)
		}
	}
}

func TestIngest_AnOldDaemonIsAddedUpOverItsStarts(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	tell := func(uptime, joined uint64) {
		t.Helper()
		ingest(t, s, at, stats.Reading{
			Node: "nyc1-1", Region: "nyc1", Old: true, Registry: []stats.CensusEntry{entry(1, at, at)},
			Report: &stats.Report{PeerID: peerID(-1), UptimeSecs: uptime, PeersJoinedTotal: joined, ConnectedPeers: 3, HolePunchesSucceeded: new(uint64)},
		})
	}
	tell(7200, 10)
	at = at.Add(time.Hour)
	tell(10800, 12)
	at = at.Add(time.Hour)
	tell(60, 1) // it started again
	f := figures(t, s, at)
	wantFigure(t, f, "joins", "at least 3") // the first 10 were before
	wantFigure(t, f, "reservations_granted", "unknown without nyc1-1")
	wantFigure(t, f, "circuits_opened", "unknown without nyc1-1")
	wantFigure(t, f, "bytes_relayed", "unknown without nyc1-1")
	wantFigure(t, f, "hole_punches", "unknown without nyc1-1")
	wantFigure(t, f, "concurrent_peers", "3")
	wantFigure(t, f, "lifetime_unique_peers", "1")
}

// contract.md section 7, row 11.
func TestContract11_WhatAnOldDaemonTellsAsZeroIsUnknownThenAndLater(t *testing.T) {
	s := open(t, Options{})
	start := monday()
	old := func(at time.Time, granted, circuits uint64) stats.Reading {
		return stats.Reading{
			Node: "nyc1-1", Region: "nyc1", Old: true, Registry: []stats.CensusEntry{}, At: at,
			Report: &stats.Report{PeerID: peerID(-1), UptimeSecs: uint64(at.Sub(start).Seconds()), RelayReservations: granted, RelayCircuits: circuits},
		}
	}
	grown := func(n int, at time.Time, granted uint64) stats.Reading {
		r := answer(n, at, 1)
		r.Telemetry.Counters.Granted = granted
		return r
	}
	series := func(metric string, by bool, want ...string) {
		t.Helper()
		if got := points(t, s, metric, Query{Step: StepHour, Since: start.Add(time.Hour), By: by}); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", metric, got, want)
		}
	}
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	ingest(t, s, start, old(start, 0, 0), grown(2, start, 10))
	ingest(t, s, hour(1), old(hour(1), 0, 0), grown(2, hour(1), 10))
	series("reservations", false, "11-02 13:00 at least 0 without nyc1-1")
	series("reservations", true, "nyc1-1 11-02 13:00 unknown without nyc1-1", "nyc1-2 11-02 13:00 0")
	ingest(t, s, hour(2), old(hour(2), 3, 0), grown(2, hour(2), 14))
	series("reservations", false, "11-02 13:00 0", "11-02 14:00 7") // this one does count them
	series("circuits", false, "11-02 13:00 at least 0 without nyc1-1", "11-02 14:00 at least 0 without nyc1-1")
	ingest(t, s, hour(3), old(hour(3), 3, 0), grown(2, hour(3), 14))
	counts := func(at time.Time, circuits uint64) stats.Reading {
		r := grown(1, at, 2)
		r.Telemetry.Counters.Circuits = circuits
		return r
	}
	ingest(t, s, hour(4), counts(hour(4), 5), grown(2, hour(4), 14)) // it is replaced by one of now
	ingest(t, s, hour(5), counts(hour(5), 5), grown(2, hour(5), 14))
	series("circuits", false, "11-02 13:00 at least 0 without nyc1-1", "11-02 14:00 at least 0 without nyc1-1", "11-02 15:00 at least 0 without nyc1-1",
		"11-02 16:00 5", "11-02 17:00 0")
	series("reservations", false, "11-02 13:00 0", "11-02 14:00 7", "11-02 15:00 0", "11-02 16:00 2", "11-02 17:00 0") // what it did count stays
	series("bytes", true, "nyc1-1 11-02 13:00 unknown without nyc1-1", "nyc1-1 11-02 14:00 unknown without nyc1-1", "nyc1-1 11-02 15:00 unknown without nyc1-1",
		"nyc1-1 11-02 16:00 0", "nyc1-1 11-02 17:00 0",
		"nyc1-2 11-02 13:00 0", "nyc1-2 11-02 14:00 0", "nyc1-2 11-02 15:00 0", "nyc1-2 11-02 16:00 0", "nyc1-2 11-02 17:00 0")
}

func TestIngest_TheFleetsOwnKeysCountApartAlsoWhenLearntLate(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	probe := entry(7, at, at)
	probe.Tier = stats.ProbeName // all that a daemon of old remembers of its agent string
	ingest(t, s, at, answer(1, at, 2, entry(1, at, at), entry(-2, at, at), entry(-1, at, at), probe))
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "2") // the second relay is not known yet
	at = at.Add(time.Minute)
	sum := ingest(t, s, at, answer(1, at, 2), answer(2, at, 0, entry(-1, at, at)))
	f := figures(t, s, at)
	wantFigure(t, f, "lifetime_unique_peers", "1")
	wantFigure(t, f, "active_peers_24h", "1")
	wantFigure(t, f, "new_peers", "1")
	if f.Own != 3 || sum.Own != 3 {
		t.Errorf("own: got %d and %d, want 3: two relays and a probe", f.Own, sum.Own)
	}
	relays, err := s.Relays(t.Context())
	if err != nil || relays[0].Peers != 1 || relays[1].Peers != 0 {
		t.Errorf("peers of the relays: got %+v %v, want 1 and 0", relays, err)
	}
	if got := strings.Join(sum.Warnings, "; "); !strings.Contains(got, "was counted as a peer") {
		t.Errorf("warnings: got %q, want that a relay was counted as a peer", got)
	}
}

func TestIngest_AStrangerInThePlaceOfARelayIsNotCounted(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	stranger := answer(2, at, 50, entry(1, at, at))
	stranger.Telemetry.PeerID = peerID(-1)
	sum := ingest(t, s, at, answer(1, at, 2), stranger)
	if want := []string{"nyc1-2"}; !slices.Equal(sum.Missing, want) {
		t.Errorf("missing: got %v, want %v", sum.Missing, want)
	}
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "at least 0 without nyc1-2")
}

func TestIngest_AnOldDaemonIsOfWhenItsReportArrived(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	tell := func(uptime, joined uint64, took time.Duration) {
		t.Helper()
		ingest(t, s, at.Add(took), stats.Reading{
			Node: "nyc1-1", Region: "nyc1", Old: true, Registry: []stats.CensusEntry{}, At: at, Answered: at.Add(time.Second), Took: took,
			Report: &stats.Report{PeerID: peerID(-1), UptimeSecs: uptime, PeersJoinedTotal: joined},
		})
	}
	tell(10, 10, time.Second)
	at = at.Add(time.Minute)
	tell(70, 12, 5*time.Minute)                                                // its register came slowly
	wantFigure(t, figures(t, s, at.Add(5*time.Minute)), "joins", "at least 2") // the first 10 were before
}

func TestIngest_HostileTextsAreCleanAndBounded(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	evil := entry(1, at, at)
	evil.Tier, evil.Agent = "=cmd|' /C calc'!A0", "x\x1b[31m\u202e'; DROP TABLE peers; --/"+strings.Repeat("9", 5000)
	none := entry(2, at, at)
	none.PeerPubkey = "no key"
	r := answer(1, at, 1, evil, none)
	r.Telemetry.Epoch = strings.Repeat("e", 1<<16)
	sum := ingest(t, s, at, r)
	if sum.New != 1 || len(sum.Warnings) != 1 {
		t.Errorf("got %d new and warnings %q, want 1 and one of a missing key", sum.New, sum.Warnings)
	}
	at = at.Add(time.Minute)
	r.Telemetry.Counters.RefusedCircuit = map[string]uint64{"\x00\n\u202eREASON": 3}
	ingest(t, s, at, r)
	f := figures(t, s, at)
	for metric, groups := range f.Parts {
		for label := range groups {
			if clean(label, 128) != label {
				t.Errorf("%s: got the label %q, want it clean", metric, label)
			}
		}
	}
	if got := text(f.Parts["circuits_refused"][" REASON"]); got != "at least 3" {
		t.Errorf("refused: got %s of %v, want 3", got, f.Parts["circuits_refused"])
	}
	wantFigure(t, f, "lifetime_unique_peers", "1")
}
