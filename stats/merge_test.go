package stats

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 5, 1, 12, 0, 0, 987, time.UTC)

// The peer ID of an Ed25519 key, and the key.
const (
	somePeer = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"
	someKey  = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
)

func peers(from, to int) []CensusEntry {
	out := []CensusEntry{}
	for i := from; i < to; i++ {
		var key [32]byte
		binary.BigEndian.PutUint64(key[:], uint64(i)+1)
		out = append(out, CensusEntry{
			PeerPubkey: base64.StdEncoding.EncodeToString(key[:]), LastPeerID: somePeer, FirstSeenAt: 1_700_000_000 + int64(i),
			LastSeenAt: 1_700_001_000 + int64(i), Tier: "edge", AddressType: "ipv4_public", ConnectionCount: 1,
		})
	}
	return out
}

func report(id string, connected, peak int) *Report {
	return &Report{PeerID: id, ConnectedPeers: connected, PeakConcurrentPeers: peak, UptimeSecs: 5400, NATStatus: "public", RelayReservations: 10, RelayCircuits: 4}
}

func healthy() []Reading {
	return []Reading{
		{Node: "nyc1-1", Region: "nyc1", Report: report("12D3KooWnyc", 5, 9), Registry: peers(0, 10)},
		{Node: "fra1-1", Region: "fra1", Report: report("12D3KooWfra", 7, 8), Registry: peers(5, 20)},
	}
}

func equal(t *testing.T, what string, got *uint64, want uint64) {
	t.Helper()
	if got == nil || *got != want {
		g, _ := json.Marshal(got)
		t.Errorf("%s: got %s, want %d", what, g, want)
	}
}

func unknown(t *testing.T, what string, got *uint64) {
	t.Helper()
	if got != nil {
		t.Errorf("%s: got %d, want unknown", what, *got)
	}
}

func TestMerge_CountsEveryPeerOnce(t *testing.T) {
	s := Merge(at, healthy())
	equal(t, "lifetime", s.LifetimeUniquePeers, 20)
	equal(t, "connected", s.Connected, 12)
	equal(t, "peak", s.Peak, 9)
	equal(t, "reservations", s.Reservations, 20)
	equal(t, "circuits", s.Circuits, 8)
	if s.Partial || len(s.Unreachable) != 0 {
		t.Errorf("a healthy fleet: got partial %v, unreachable %q", s.Partial, s.Unreachable)
	}
	if got := []string{s.Relays[0].Node, s.Relays[1].Node}; !slices.Equal(got, []string{"fra1-1", "nyc1-1"}) {
		t.Errorf("rows: got %q, want them by region", got)
	}
	equal(t, "lifetime of fra1-1", s.Relays[0].LifetimeUniquePeers, 15)
}

func TestMerge_OrderOfReadingsDoesNotMatter(t *testing.T) {
	readings := append(healthy(), Reading{Node: "sgp1-1", Region: "sgp1", Err: errors.New("timeout")},
		Reading{Node: "nyc1-10", Region: "nyc1"}, Reading{Node: "nyc1-2", Region: "nyc1"})
	want := Merge(at, readings)
	for range 20 {
		rand.Shuffle(len(readings), func(i, j int) { readings[i], readings[j] = readings[j], readings[i] })
		if got := Merge(at, readings); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	if want.Relays[2].Node != "nyc1-2" || want.Relays[3].Node != "nyc1-10" {
		t.Errorf("rows: got %s before %s, want nyc1-2 before nyc1-10", want.Relays[2].Node, want.Relays[3].Node)
	}
}

// contract.md, section 7, row 7.
func TestContract07_UnreachableRelayIsNamedAndNotZero(t *testing.T) {
	readings := append(healthy(), Reading{Node: "sgp1-1", Region: "sgp1", PeerID: somePeer, Err: errors.New("dial: \x1b[31mtimeout\n")})
	s := Merge(at, readings)
	if !slices.Equal(s.Unreachable, []string{"sgp1-1"}) || !s.Partial {
		t.Errorf("got unreachable %q, partial %v, want sgp1-1 named", s.Unreachable, s.Partial)
	}
	row := s.Relays[2]
	if row.Status != StatusUnreachable || row.PeerID != somePeer || row.Error != "dial: [31mtimeout " {
		t.Errorf("row of the silent relay: got %+v", row)
	}
	unknown(t, "its peers", row.Connected)
	equal(t, "sum of the others", s.Connected, 12)

	s = Merge(at, []Reading{{Node: "a-1", Region: "a", Err: errors.New("down")}, {Node: "b-1", Region: "b"}})
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"lifetime_unique_peers":null`, `"sum_connected_across_relays":null`, `"peak_concurrent_per_relay_max":null`,
		`"hole_punches":{"succeeded":null,"failed":null}`, `"relay_reservations_accepted":null`,
		`"relay_circuits_established":null`, `"unreachable":["a-1","b-1"]`, `"partial":true`, `"generated_at":"2026-05-01T12:00:00Z"`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("a fleet that is down: want %s in %s", part, text)
		}
	}
}

// contract.md, section 7, row 8: the daemon is dead, SSH and the files still answer.
func TestContract08_DeadDaemonIsNotOKAndEndsNoTable(t *testing.T) {
	readings := append(healthy(), Reading{Node: "ams3-1", Region: "ams3", Registry: peers(0, 3), Err: errors.New("GET /api/stats: connection refused")})
	rows := Merge(at, readings).CSVRows()
	if len(rows) != 3 {
		t.Fatalf("got %d rows, want 3", len(rows))
	}
	want := []string{"2026-05-01T12:00:00Z", "ams3", "", "", "", "", "", "", "", "ams3-1", "unreachable"}
	if !slices.Equal(rows[0], want) {
		t.Errorf("row of the dead daemon: got %q, want %q", rows[0], want)
	}
	want = []string{"2026-05-01T12:00:00Z", "fra1", "7", "8", "public", "", "", "1.50", "12D3KooWfra", "fra1-1", "ok"}
	if !slices.Equal(rows[1], want) {
		t.Errorf("row after it: got %q, want %q", rows[1], want)
	}
}

// contract.md, section 6.
func TestCSVHeader_BeginsAsTheOldScriptsDid(t *testing.T) {
	if got := strings.Join(CSVHeader(), ","); !strings.HasPrefix(got, "timestamp,region,connected,peak,nat,hp_ok,hp_no,uptime_h,peer_id,") {
		t.Errorf("got %s", got)
	}
}

func TestCSVRows_HoldNoFormulas(t *testing.T) {
	r := report("=HYPERLINK(1)", 1, 1)
	r.NATStatus = "@public"
	for _, region := range []string{"=1+1", "+1", "-1", "@a", "\t=1", "\u202e=1", "a\r\n=b"} {
		for _, text := range Merge(at, []Reading{{Node: region + "-1", Region: region, Report: r}}).CSVRows()[0] {
			if text != "" && (strings.ContainsAny(text[:1], "=+-@") || strings.ContainsAny(text, "\r\n\t\u202e")) {
				t.Errorf("region %q: got the cell %q", region, text)
			}
		}
	}
}

// contract.md, section 7, row 9.
func TestContract09_CorruptRegistryCostsOnlyItself(t *testing.T) {
	for name, text := range map[string]string{
		"binary": "\x00\xff\xfe", "half": `[{"peer_pubkey":"` + someKey, "object": `{"a":1}`, "empty": "", "null": "null",
	} {
		got, err := ParseRegistry(strings.NewReader(text), at)
		if err == nil {
			t.Errorf("%s: want an error", name)
		}
		readings := healthy()
		readings[0].Registry, readings[0].Err = got, err
		s := Merge(at, readings)
		equal(t, name+": connected", s.Connected, 12)
		equal(t, name+": lifetime of the others", s.LifetimeUniquePeers, 15)
		if !s.Partial || s.Relays[1].Status != StatusPartial || s.Relays[1].Error == "" || len(s.Unreachable) != 0 {
			t.Errorf("%s: got %+v, want the relay partial with its reason", name, s.Relays[1])
		}
	}
}

// contract.md, section 7, row 11.
func TestContract11_ReservationsAndCircuitsOfAnOldDaemonAreUnknownWhereItSaysZero(t *testing.T) {
	readings := healthy()
	readings[0].Report.RelayReservations, readings[0].Report.RelayCircuits = 0, 0
	s := Merge(at, readings)
	equal(t, "reservations of the other", s.Reservations, 10)
	equal(t, "circuits of the other", s.Circuits, 4)
	unknown(t, "its reservations", s.Relays[1].Reservations)
	unknown(t, "its circuits", s.Relays[1].Circuits)
	if s.Partial {
		t.Error("it is partial, want not: all that such a daemon tells was read")
	}
	readings[1].Report.RelayReservations, readings[1].Report.RelayCircuits = 0, 0
	s = Merge(at, readings)
	unknown(t, "reservations of old daemons", s.Reservations)
	unknown(t, "circuits of old daemons", s.Circuits)
	readings[0].Report, readings[0].Telemetry = nil, &Telemetry{PeerID: "12D3KooWnyc"}
	s = Merge(at, readings)
	equal(t, "reservations of a daemon that counts them", s.Reservations, 0)
}

func TestContract11_HolePunchesAreNullUnlessObserved(t *testing.T) {
	s := Merge(at, healthy())
	unknown(t, "hole punches", s.HolePunches.Succeeded)
	if _, ok := s.HolePunches.Rate(); ok {
		t.Error("a rate without hole punches")
	}
	readings := healthy()
	readings[0].Report.HolePunchesSucceeded, readings[0].Report.HolePunchesFailed = ptr[uint64](0), ptr[uint64](0)
	unknown(t, "the zeros of an old daemon", Merge(at, readings).HolePunches.Failed)
	readings[0].Report.HolePunchesSucceeded, readings[0].Report.HolePunchesFailed = ptr[uint64](3), ptr[uint64](1)
	s = Merge(at, readings)
	equal(t, "observed", s.HolePunches.Succeeded, 3)
	if rate, ok := s.HolePunches.Rate(); !ok || rate != 0.75 {
		t.Errorf("rate: got %v, want 0.75", rate)
	}
	if got := s.CSVRows()[0][5]; got != "" {
		t.Errorf("hp_ok of a relay that cannot see: got %q, want an empty cell", got)
	}
}

// contract.md, section 7, row 12.
func TestContract12_TheFleetsOwnRelaysAreNoUsers(t *testing.T) {
	readings := healthy()
	readings[0].Registry = append(readings[0].Registry, CensusEntry{PeerPubkey: someKey, FirstSeenAt: 1, LastSeenAt: 2})
	equal(t, "a stranger", Merge(at, readings).LifetimeUniquePeers, 21)
	readings = append(readings, Reading{Node: "sgp1-1", Region: "sgp1", PeerID: somePeer})
	s := Merge(at, readings)
	equal(t, "a relay of ours, silent though it is", s.LifetimeUniquePeers, 20)
	equal(t, "in the row", s.Relays[1].LifetimeUniquePeers, 10)
}

func TestMerge_AnotherRelaysReportIsNotCounted(t *testing.T) {
	readings := healthy()
	readings[0].PeerID = somePeer
	s := Merge(at, readings)
	equal(t, "connected", s.Connected, 7)
	if !slices.Equal(s.Unreachable, []string{"nyc1-1"}) || s.Relays[1].PeerID != somePeer {
		t.Errorf("got %q, %+v, want nyc1-1 unreachable", s.Unreachable, s.Relays[1])
	}
	readings = healthy()
	readings[1].Report.PeerID = readings[0].Report.PeerID
	equal(t, "one relay behind two nodes", Merge(at, readings).Connected, 7)
}

func TestMerge_OddKeysAreCountedOnce(t *testing.T) {
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 33)))
	entries := []CensusEntry{{PeerPubkey: long}, {PeerPubkey: long}, {PeerPubkey: "%"}, {PeerPubkey: "%"}, {PeerPubkey: ""}}
	equal(t, "lifetime", Merge(at, []Reading{{Node: "a-1", Registry: entries}}).LifetimeUniquePeers, 3)
}

func TestMerge_SumsDoNotWrapAround(t *testing.T) {
	a, b := report("a", 1, 1), report("b", -1, 1)
	a.RelayCircuits, b.RelayCircuits = 1<<63, 1<<63
	s := Merge(at, []Reading{{Node: "a", Report: a}, {Node: "b", Report: b}})
	equal(t, "circuits", s.Circuits, 1<<64-1)
	equal(t, "connected", s.Connected, 1)
}

func BenchmarkMerge(b *testing.B) {
	readings := []Reading{
		{Node: "a-1", Region: "a", Report: report("a", 1, 1), Registry: peers(0, 400_000)},
		{Node: "b-1", Region: "b", Report: report("b", 1, 1), Registry: peers(200_000, 600_000)},
		{Node: "c-1", Region: "c", Report: report("c", 1, 1), Registry: peers(500_000, 700_000)},
	} // 1,000,000 rows, 700,000 peers
	b.ReportAllocs()
	for b.Loop() {
		if s := Merge(at, readings); *s.LifetimeUniquePeers != 700_000 {
			b.Fatalf("got %d peers, want 700000", *s.LifetimeUniquePeers)
		}
	}
}
