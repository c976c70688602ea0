package history

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// machine is a reading of the n-th machine, of node nyc1-1 whichever it is.
func machine(n int, at time.Time, users int, bytes uint64, entries ...stats.CensusEntry) stats.Reading {
	r := answer(n, at, users, entries...)
	r.Node = "nyc1-1"
	r.Telemetry.Counters.BytesRelayed = bytes
	return r
}

func TestIngest_TwoMachinesOfANodeCountBothAndNeitherTwice(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	lost := stats.Reading{Node: "nyc1-1", Region: "nyc1", Err: errText("the machine is new")}
	for i, step := range []struct {
		readings []stats.Reading
		bytes    uint64 // in all
		users    string
		events   []EventKind
		unread   []string
		cursor   int // of which machine
	}{
		{[]stats.Reading{machine(1, at, 5, 100, entry(1, at, at))}, 100, "5", []EventKind{EventJoined}, []string{}, 1},
		{[]stats.Reading{machine(1, at, 5, 110), lost}, 110, "5", nil, []string{}, 1},
		{[]stats.Reading{machine(2, at, 2, 30, entry(2, at, at)), machine(1, at, 4, 120)}, 150, "6", nil, []string{}, 1},
		{[]stats.Reading{machine(1, at, 3, 121), machine(2, at, 3, 40)}, 161, "6", nil, []string{}, 1},
		{[]stats.Reading{lost, machine(2, at, 4, 50)}, 171, "4", nil, []string{"nyc1-1"}, 1}, // the first may come back
		{[]stats.Reading{machine(2, at, 4, 50), machine(1, at, 1, 125)}, 175, "5", nil, []string{}, 1},
		{[]stats.Reading{machine(2, at, 6, 60)}, 185, "6", []EventKind{EventRotated, EventReimaged}, []string{}, 2},
		{[]stats.Reading{lost, silent(1, "no route")}, 185, "unknown without nyc1-1", []EventKind{EventUnreachable}, []string{"nyc1-1"}, 2},
	} {
		at = at.Add(10 * time.Minute)
		for j := range step.readings {
			if r := &step.readings[j]; r.Telemetry != nil {
				r.At, r.Telemetry.Now, r.Telemetry.Minutes[0][0] = at, at.Unix(), at.Add(-time.Minute).Unix()
				r.Cursor = "cursor of " + r.Telemetry.Epoch
			}
		}
		sum := ingest(t, s, at, step.readings...)
		if sum.Relays != 1 || !slices.Equal(kinds(sum.Events), step.events) || !slices.Equal(sum.Unread, step.unread) {
			t.Errorf("round %d: got %d relays, events %v and unread %q, want 1, %v and %q", i, sum.Relays, kinds(sum.Events), sum.Unread, step.events, step.unread)
		}
		relays, err := s.Relays(t.Context())
		if err != nil || len(relays) != 1 || relays[0].Totals["bytes_relayed"] != step.bytes {
			t.Errorf("round %d: got %+v %v, want one relay with %d bytes", i, relays, err, step.bytes)
		}
		wantFigure(t, figures(t, s, at), "concurrent_peers", step.users)
		want := map[int]string{1: "cursor of epoch1", 2: "cursor of epoch2"}[step.cursor]
		if got, err := s.Cursor(t.Context(), "nyc1-1"); err != nil || got != want {
			t.Errorf("round %d: got %q %v, want %q", i, got, err, want)
		}
	}
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "at least 2 without nyc1-1")
	wantFigure(t, figures(t, s, at), "bytes_relayed", "at least 85 without nyc1-1")
}

func TestIngest_AMachineThatIsReadTwiceCountsOnce(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	sum := ingest(t, s, at, machine(1, at, 5, 100), machine(1, at, 5, 100))
	wantFigure(t, figures(t, s, at), "concurrent_peers", "5")
	if got := strings.Join(sum.Warnings, "; "); !strings.Contains(got, "a second reading") {
		t.Errorf("got warnings %q, want that one is left out", got)
	}
}

func TestIngest_OldDaemonsThatTakeTurnsOnANodeCountOnce(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	old := func(n int, joined uint64) stats.Reading {
		return stats.Reading{Node: "nyc1-1", Region: "nyc1", PeerID: peerID(-n), At: at, Old: true, Registry: []stats.CensusEntry{},
			Report: &stats.Report{PeerID: peerID(-n), PeersJoinedTotal: joined, UptimeSecs: uint64(at.Sub(monday()).Seconds()) + uint64(3-n)*86400}}
	}
	lost := stats.Reading{Node: "nyc1-1", Region: "nyc1", PeerID: peerID(-1), Err: errText("no route")}
	for i, step := range []struct {
		readings func() []stats.Reading
		joined   uint64
		warned   bool
	}{
		{func() []stats.Reading { return []stats.Reading{old(1, 1000)} }, 1000, false},
		{func() []stats.Reading { return []stats.Reading{lost, old(2, 10)} }, 1000, true},
		{func() []stats.Reading { return []stats.Reading{old(1, 1005), old(2, 12)} }, 1005, true},
		{func() []stats.Reading { return []stats.Reading{old(1, 1007)} }, 1007, false},
		{func() []stats.Reading { return []stats.Reading{old(2, 20)} }, 1027, false}, // from now on it is the relay
	} {
		at = at.Add(10 * time.Minute)
		sum := ingest(t, s, at, step.readings()...)
		relays, err := s.Relays(t.Context())
		if err != nil || len(relays) != 1 || relays[0].Totals["joins"] != step.joined {
			t.Errorf("round %d: got %+v %v, want one relay with %d joins", i, relays, err, step.joined)
		}
		if got := strings.Contains(strings.Join(sum.Warnings, "; "), "old daemon of it is not counted"); got != step.warned {
			t.Errorf("round %d: got warnings %q, want one of a daemon that is not counted: %t", i, sum.Warnings, step.warned)
		}
	}
}

type errText string

func (e errText) Error() string { return string(e) }
