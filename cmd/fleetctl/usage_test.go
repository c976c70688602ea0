package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// threeRelays is one that answers, one of an old version, and one that does not answer.
func threeRelays() usage {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	month := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	return usage{
		at: at, since: month, collected: at.Add(-time.Minute),
		told: map[string]time.Time{"nyc1-1": at.Add(-time.Minute), "sgp1-1": at.Add(-time.Minute)},
		readings: []stats.Reading{
			{Node: "sgp1-1", Region: "sgp1", Err: errors.New("connect:\nno route")},
			{Node: "nyc1-1", Region: "nyc1", Telemetry: &stats.Telemetry{
				Counters: stats.Counters{BytesRelayed: 5e9, OwnBytes: new(uint64(3e9))},
				Gauges:   stats.Gauges{Users: 40, Reservations: 256, ReservationLimit: 1024, Memory: 1e8, MemoryLimit: 4e8},
			}},
			{Node: "fra1-1", Region: "fra1", Old: true, Report: &stats.Report{ConnectedPeers: 7}},
		},
		quote: fleet.Observed[fleet.Quote]{Value: fleet.Quote{Currency: "USD", Now: []fleet.PriceLine{
			{Node: "fra1-1", Monthly: 6, Transfer: 1e12}, {Node: "nyc1-1", Monthly: 6, Transfer: 1e12}, {Node: "sgp1-1", Monthly: 6, Transfer: 1e12},
		}}},
		active: stats.Figure{Value: new(100.0), AtLeast: true, Missing: []string{"sgp1-1"}, Since: stats.Time{Time: at}},
		month: map[string]stats.Figure{
			"nyc1-1": {Value: new(2e9), Since: stats.Time{Time: month}},
			"sgp1-1": {Value: new(1e9), AtLeast: true, Since: stats.Time{Time: month}},
		},
		own: map[string]stats.Figure{
			"nyc1-1": {Value: new(0.0), Since: stats.Time{Time: month}},
			"sgp1-1": {Value: new(0.0), Since: stats.Time{Time: month}},
		},
	}
}

func usageText(t *testing.T, u usage, f render.Format) string {
	t.Helper()
	var out bytes.Buffer
	if err := render.Write(&out, newUsageView("harbour", u), render.Options{Format: f}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestUsage_UnknownIsNeverZero(t *testing.T) {
	got := usageText(t, threeRelays(), render.FormatCSV)
	want := "node,region,status,users,reservations,reservation_limit,memory_bytes,memory_limit_bytes,bytes_relayed,month,bytes_month,bytes_month_partial,transfer_bytes,monthly,currency,error,own_bytes_relayed\n" +
		"fra1-1,fra1,old,7,,,,,,2026-11,,,1000000000000,6,USD,,\n" +
		"nyc1-1,nyc1,ok,40,256,1024,100000000,400000000,5000000000,2026-11,2000000000,false,1000000000000,6,USD,,3000000000\n" +
		"sgp1-1,sgp1,unreachable,,,,,,,2026-11,1000000000,true,1000000000000,6,USD,connect: no route,\n"
	if strings.ReplaceAll(got, "\r\n", "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Anybody can say that it is a probe: what is relayed for it is transfer all the same.
func TestUsage_BytesOfWhoeverSaysThatItIsAProbeAreTransferToo(t *testing.T) {
	u := threeRelays()
	u.own["nyc1-1"] = stats.Figure{Value: new(7e11), Since: stats.Time{Time: u.since}}
	delete(u.own, "sgp1-1")
	u.month["sgp1-1"] = stats.Figure{Value: new(1e9), Since: stats.Time{Time: u.since}}
	v := newUsageView("harbour", u)
	if got := v.Relays[1]; got.BytesMonth == nil || *got.BytesMonth != 702e9 || got.BytesAtLeast {
		t.Errorf("nyc1-1: got %v, at least %t, want 702e9, all of it", valueOr(got.BytesMonth, 0), got.BytesAtLeast)
	}
	if got := v.Relays[2]; got.BytesMonth == nil || *got.BytesMonth != 1e9 || !got.BytesAtLeast {
		t.Errorf("sgp1-1, which does not tell of them: got %v, at least %t, want at least 1e9", valueOr(got.BytesMonth, 0), got.BytesAtLeast)
	}
}

func TestUsage_TheTableSaysWhoseBytesAreWhich(t *testing.T) {
	u := threeRelays()
	u.month["nyc1-1"] = stats.Figure{Value: new(1e9), Since: stats.Time{Time: u.since}}
	u.own["nyc1-1"] = stats.Figure{Value: new(1e9), Since: stats.Time{Time: u.since}}
	table := newUsageView("harbour", u).Table()
	cells := make(map[string]any)
	for i, c := range table.Columns {
		cells[c.Name] = table.Rows[1][i]
	}
	for column, want := range map[string]string{"users' bytes": "5.0 GB", "own bytes": "3.0 GB", "month, both": "2.0 GB"} {
		if got := cells[column]; got != want {
			t.Errorf("%s of nyc1-1: got %v, want %s", column, got, want)
		}
	}
}

func TestUsage_SumsSayThatTheyAreAtLeast(t *testing.T) {
	got := usageText(t, threeRelays(), render.FormatTable)
	for _, want := range []string{
		"at least 256 of 1024 (25.0 %)", "at least 3.0 GB of 3.0 TB (0.1 %)", "at least 100, without sgp1-1", "18.00 USD", "at most 0.1800 USD",
		"fra1-1: an old relay",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}

func TestUsage_BytesSinceNobodyKnowsWhenAreOfNoMonth(t *testing.T) {
	u := threeRelays()
	u.month["nyc1-1"] = stats.Figure{Value: new(1e12), Missing: []string{}}
	v := newUsageView("harbour", u)
	if got := v.Relays[1]; got.Node != "nyc1-1" || got.BytesMonth != nil {
		t.Errorf("got %+v, want that the month of nyc1-1 is unknown", got)
	}
	if !v.Total.BytesPartial || *v.Total.BytesMonth != 1e9 {
		t.Errorf("got %d bytes in all, partial %t, want those of sgp1-1 and that a part is missing", *v.Total.BytesMonth, v.Total.BytesPartial)
	}
}

// Whatever was relayed since the history was last told is in no figure.
func TestUsage_AMonthOfWhichTheHistoryKnowsAPartIsAtLeast(t *testing.T) {
	u := threeRelays()
	for name, c := range map[string]struct {
		ago  time.Duration
		want bool
	}{"a moment ago": {time.Minute, false}, "an hour ago": {time.Hour, false}, "days ago": {10 * 24 * time.Hour, true}} {
		u.collected = u.at.Add(-c.ago)
		u.told["nyc1-1"] = u.collected
		u.active = stats.Figure{Value: new(100.0), Missing: []string{}, Since: stats.Time{Time: u.collected}}
		v := newUsageView("harbour", u)
		if got := v.Relays[1]; got.Node != "nyc1-1" || got.BytesAtLeast != c.want || !v.CollectedAt.Equal(u.collected) {
			t.Errorf("told %s: got %+v, collected at %s, want at least: %t", name, got, v.CollectedAt, c.want)
		}
		if got := strings.Contains(strings.Join(v.Notes, "\n"), "nothing was collected since "+u.collected.Format("2006-01-02 15:04:05Z")); got != c.want {
			t.Errorf("told %s: notes %q, want that it is said: %t", name, v.Notes, c.want)
		}
		table := usageText(t, u, render.FormatTable)
		for _, want := range []string{"100, as of " + u.collected.Format("2006-01-02 15:04:05Z"), "0.1800 USD, as of "} {
			if !strings.Contains(table, want) {
				t.Errorf("told %s: got\n%s\nwant %q in it", name, table, want)
			}
		}
	}
	delete(u.told, "sgp1-1")
	if v := newUsageView("harbour", u); !v.Relays[2].BytesAtLeast {
		t.Errorf("got %+v, want at least: nobody knows when it was read", v.Relays[2])
	}
}

func TestUsage_TheHistoryDatesWhatItKnows(t *testing.T) {
	w := idleWatcher(t)
	s := keepHistory(t, w)
	w.app.now = lookTime
	if _, err := w.ingest(t.Context(), s); err != nil { // of a node without a machine
		t.Fatal(err)
	}
	u := usage{at: lookTime().Add(time.Hour), since: lookTime().AddDate(0, 0, -1)}
	if _, err := s.kept(t.Context(), &u); err != nil {
		t.Fatal(err)
	}
	if told, known := u.told["nyc1-1"]; !u.collected.Equal(lookTime()) || !known || !told.IsZero() {
		t.Errorf("collected at %s, nyc1-1 told at %s (known: %t), want %s, and never", u.collected, told, known, lookTime())
	}
}

func TestUsage_WhoDidNotAnswerIsNamedAndExits3(t *testing.T) {
	v := newUsageView("harbour", threeRelays())
	err := v.problem()
	if exitCode(err) != exitPartial || !strings.Contains(err.Error(), "sgp1-1: unreachable: connect: no route") {
		t.Errorf("got %v, exit %d, want sgp1-1 and exit %d", err, exitCode(err), exitPartial)
	}
	if len(v.Missing) != 1 || v.Missing[0] != "sgp1-1" {
		t.Errorf("got missing %v, want sgp1-1", v.Missing)
	}
	u := threeRelays()
	u.readings = u.readings[1:]
	if err := newUsageView("harbour", u).problem(); err != nil {
		t.Errorf("got %v, want none: an old relay answered", err)
	}
}

func TestUsage_NoPriceNoHistoryAndNoCensusAreSaid(t *testing.T) {
	u := threeRelays()
	u.month, u.active = nil, stats.Figure{}
	u.quote = fleet.Observed[fleet.Quote]{Err: errors.New("the API does not answer")}
	v := newUsageView("harbour", u)
	if v.Cost.Monthly != nil || v.Cost.PerPeer != nil || v.Total.BytesMonth != nil || v.Total.Transfer != nil || v.ActivePeers.Value != nil {
		t.Errorf("got %+v, %+v, %+v, want all of it unknown", v.Cost, v.Total, v.ActivePeers)
	}
	said := strings.Join(v.Notes, "\n")
	for _, want := range []string{"no history is kept", "prices and transfer are not known: the API does not answer"} {
		if !strings.Contains(said, want) {
			t.Errorf("got notes %q, want %q", said, want)
		}
	}
}

func TestUsage_OneMachineWithoutAPriceLeavesTheSumUnknown(t *testing.T) {
	u := threeRelays()
	u.quote.Value.Now[0].Monthly, u.quote.Value.Now[0].Transfer = 0, 0
	v := newUsageView("harbour", u)
	if v.Cost.Monthly != nil || v.Cost.PerPeer != nil || v.Total.Transfer != nil {
		t.Errorf("got %+v and %+v, want the sums unknown", v.Cost, v.Total)
	}
	if v.Relays[0].Monthly != nil {
		t.Errorf("got %g for %s, want its price unknown", *v.Relays[0].Monthly, v.Relays[0].Node)
	}
	if v.Relays[1].Monthly == nil || *v.Relays[1].Monthly != 6 {
		t.Errorf("got %+v, want the price of nyc1-1", v.Relays[1])
	}
}

func TestUsage_TwoMachinesOfANodeAreBothPaidAndItsBytesCountOnce(t *testing.T) {
	u := threeRelays()
	u.quote.Value.Now = append(u.quote.Value.Now, fleet.PriceLine{Node: "nyc1-1", ID: "4712", Monthly: 12, Transfer: 2e12})
	before := newUsageView("harbour", threeRelays())
	u.readings = append(u.readings, stats.Reading{Node: "nyc1-1", Region: "nyc1", Machine: "4712", Telemetry: &stats.Telemetry{}})
	v := newUsageView("harbour", u)
	if *v.Cost.Monthly != 30 || *v.Relays[1].Monthly != 6 || *v.Relays[2].Monthly != 12 || *v.Relays[2].Transfer != 2e12 || *v.Total.Transfer != 5e12 {
		t.Errorf("got %v in all, %+v and %+v, want 30: 6 and 12, with 2e12 bytes of the second", *v.Cost.Monthly, v.Relays[1], v.Relays[2])
	}
	if *v.Total.BytesMonth != *before.Total.BytesMonth || v.Relays[2].BytesMonth != nil {
		t.Errorf("got %d bytes, want %d: those of the node once", *v.Total.BytesMonth, *before.Total.BytesMonth)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_950: "1.0 MB", 1_234_567_890: "1.2 GB", 1 << 63: "9223.4 PB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
