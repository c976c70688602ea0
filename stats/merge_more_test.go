package stats

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func telemetry(id string, users int) *Telemetry {
	return &Telemetry{
		PeerID: id, Now: at.Unix(), StartedAt: at.Unix() - 3600, Epoch: strings.Repeat("0", 32),
		Counters: Counters{Granted: 11, Renewed: 99, Circuits: 5},
		Gauges:   Gauges{Users: users, FleetRelays: 2, Probes: 1, Peak: users + 1, NATStatus: "public"},
	}
}

func TestMerge_SaysHowManyRelaysKnowAPeer(t *testing.T) {
	readings := []Reading{
		{Node: "a-1", Region: "a", Report: report("a", 1, 1), Registry: append(peers(0, 10), peers(0, 10)...)},
		{Node: "b-1", Region: "b", Report: report("b", 1, 1), Registry: peers(5, 20)},
		{Node: "c-1", Region: "c", Report: report("c", 1, 1), Registry: peers(8, 9)},
		{Node: "d-1", Region: "d", Report: report("d", 1, 1), Registry: peers(0, 0)},
	}
	if got, want := Merge(at, readings).Overlap, []uint64{15, 4, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	text, err := json.Marshal(Merge(at, []Reading{{Node: "a-1"}}))
	if err != nil || !strings.Contains(string(text), `"relay_overlap":[]`) || !strings.Contains(string(text), `"active_peers_24h":null`) {
		t.Errorf("no registry: got %s, %v, want an empty list and null", text, err)
	}
}

func TestMerge_SaysWhoWasSeenLately(t *testing.T) {
	registry := peers(0, 5)
	for i, age := range []time.Duration{0, 24 * time.Hour, 25 * time.Hour, 8 * 24 * time.Hour, 31 * 24 * time.Hour} {
		registry[i].LastSeenAt = at.Add(-age).Unix()
	}
	older := slices.Clone(registry[:1]) // another relay saw it long ago
	older[0].LastSeenAt = 1_700_000_001
	s := Merge(at, []Reading{{Node: "a-1", Registry: registry}, {Node: "b-1", Registry: older}})
	equal(t, "24 hours", s.Active24h, 2)
	equal(t, "7 days", s.Active7d, 3)
	equal(t, "30 days", s.Active30d, 4)
}

func TestMerge_CountsTheFleetsOwnApart(t *testing.T) {
	own := CensusEntry{PeerPubkey: someKey, FirstSeenAt: 1, LastSeenAt: 2}
	s := Merge(at, []Reading{
		{Node: "a-1", Region: "a", Telemetry: telemetry(somePeer, 5), DeltaFull: true, Delta: append(peers(0, 3), own)},
		{Node: "b-1", Region: "b", Telemetry: telemetry("b", 6), DeltaFull: true, Delta: append(peers(0, 3), own)},
		{Node: "c-1", Region: "c", Report: report("c", 7, 8), Registry: peers(0, 3)},
	})
	equal(t, "lifetime", s.LifetimeUniquePeers, 3)
	equal(t, "relays of ours in registries", s.OwnKnown, 1)
	equal(t, "relays of ours that are connected", s.FleetRelays, 4)
	equal(t, "probes", s.Probes, 2)
	equal(t, "users", s.Connected, 18)
	unknown(t, "probes at an old daemon", s.Relays[2].Probes)
}

func TestMerge_ReadsTelemetryAsItReadsAReport(t *testing.T) {
	r := Reading{Node: "a-1", Region: "a", Telemetry: telemetry("a", 5), DeltaFull: true, Delta: peers(0, 3)}
	row := Merge(at, []Reading{r}).Relays[0]
	if row.Status != StatusOK || row.PeerID != "a" || *row.NATStatus != "public" {
		t.Errorf("got %+v, want a row that is ok", row)
	}
	equal(t, "connected", row.Connected, 5)
	equal(t, "peak", row.Peak, 6)
	equal(t, "reservations", row.Reservations, 11)
	equal(t, "circuits", row.Circuits, 5)
	equal(t, "uptime", row.UptimeSecs, 3600)
	equal(t, "peers", row.LifetimeUniquePeers, 3)
	unknown(t, "hole punches", row.HolePunches.Succeeded)

	r.Telemetry.Counters.PunchesSucceeded = ptr[uint64](0)
	equal(t, "hole punches that clients reported", Merge(at, []Reading{r}).Relays[0].HolePunches.Succeeded, 0)

	r.DeltaFull = false
	s := Merge(at, []Reading{r})
	unknown(t, "peers, of whom only the changes were read", s.LifetimeUniquePeers)
	if s.Relays[0].Status != StatusPartial || !s.Partial {
		t.Errorf("got %+v, want that the registry is missing", s.Relays[0])
	}
	r.PeerID = somePeer
	if s = Merge(at, []Reading{r}); !slices.Equal(s.Unreachable, []string{"a-1"}) {
		t.Errorf("another relay's telemetry: got unreachable %q, want a-1", s.Unreachable)
	}
}

func TestMerge_MarksOldRelaysAndIsWholeWithThem(t *testing.T) {
	r := healthy()
	r[0].Old = true
	s := Merge(at, r)
	if row := s.Relays[1]; row.Status != StatusOld || row.Old == nil || !*row.Old || s.Partial || s.CSVRows()[1][10] != "old" {
		t.Errorf("got %s, old %v, partial %t, %v; want old and all there", row.Status, row.Old, s.Partial, s.CSVRows()[1])
	}
	if row := s.Relays[0]; row.Status != StatusOK || row.Old == nil || *row.Old {
		t.Errorf("got %s, old %v of a relay with telemetry", row.Status, row.Old)
	}
	r[0].Registry, r[1].Report = nil, nil
	s = Merge(at, r)
	if row := s.Relays[1]; row.Status != StatusPartial || row.Old == nil || !*row.Old || !s.Partial {
		t.Errorf("without a registry: got %s, old %v, partial %t; want an old one of which a part is missing", row.Status, row.Old, s.Partial)
	}
	if row := s.Relays[0]; row.Old != nil {
		t.Errorf("a relay that did not answer is said to be old: %t", *row.Old)
	}
}

func TestMerge_TellsOfWrongClocks(t *testing.T) {
	for _, c := range []struct {
		now     int64
		ahead   int64
		warning string
	}{
		{at.Unix(), 0, ""},
		{at.Unix() + 9, 0, ""}, // within the time that the reading took
		{at.Unix() + 30, 19, ""},
		{at.Unix() + 7211, 7200, "its clock is 2h0m0s ahead of ours"},
		{at.Unix() - 601, -600, "its clock is 10m0s behind ours"},
		{1 << 60, 1<<60 - at.Unix() - 11, "its clock is 876000h0m0s ahead of ours"},
	} {
		r := Reading{Node: "a-1", Telemetry: telemetry("a", 5), DeltaFull: true, Delta: peers(0, 0), At: at, Took: 10 * time.Second}
		r.Telemetry.Now = c.now
		row := Merge(at, []Reading{r}).Relays[0]
		if row.ClockAheadSecs == nil || *row.ClockAheadSecs != c.ahead || strings.Join(row.Warnings, "") != c.warning || row.Status != StatusOK {
			t.Errorf("%d: got %v, %q, %s, want %d and %q", c.now, row.ClockAheadSecs, row.Warnings, row.Status, c.ahead, c.warning)
		}
	}
	slow := Reading{Node: "a-1", Telemetry: telemetry("a", 5), DeltaFull: true, Delta: peers(0, 0), At: at, Took: 10 * time.Minute, Answered: at.Add(time.Second)}
	slow.Telemetry.Now = at.Unix() + 302
	if row := Merge(at, []Reading{slow}).Relays[0]; row.ClockAheadSecs == nil || *row.ClockAheadSecs != 300 {
		t.Errorf("with a census of 10 minutes: got %v, want 300: the telemetry was there at once", row.ClockAheadSecs)
	}
	if row := Merge(at, []Reading{{Node: "a-1", Report: report("a", 1, 1)}}).Relays[0]; row.ClockAheadSecs != nil {
		t.Errorf("an old daemon's clock: got %d, want unknown", *row.ClockAheadSecs)
	}
}

// A thousand relays with a thousand peers each, which neighbours share half of.
func BenchmarkMergeRelays(b *testing.B) {
	readings := make([]Reading, 1000)
	for i := range readings {
		node := "r" + string(rune('a'+i%26)) + "-" + time.Duration(i).String()
		readings[i] = Reading{Node: node, Region: node, Report: report(node, 1, 1), Registry: peers(500*i, 500*i+1000)}
	}
	b.ReportAllocs()
	for b.Loop() {
		if s := Merge(at, readings); *s.LifetimeUniquePeers != 500*1001 || len(s.Overlap) != 2 {
			b.Fatalf("got %d peers and %v", *s.LifetimeUniquePeers, s.Overlap)
		}
	}
}
