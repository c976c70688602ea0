package stats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

const someLife = "0123456789abcdef0123456789abcdef"

// goodTelemetry is one with a number in every field.
func goodTelemetry() Telemetry {
	one := map[string]uint64{"a": 1}
	return Telemetry{
		PeerID: somePeer, Now: 1777636800, StartedAt: 1777630000, Epoch: someLife, Registry: someLife, Cursor: someLife + "-7",
		Counters: Counters{
			Joined: 1, Left: 1, Granted: 1, Renewed: 1, RefusedReserve: map[string]uint64{"PERMISSION_DENIED": 2}, Circuits: 1,
			RefusedCircuit: one, BytesRelayed: 5, Sessions: 1, SessionSecs: 9, SessionLengths: make([]uint64, 8),
			ByTransport: one, ByFamily: one, ByAgent: one, ByVersion: one, ByTier: one, OwnBytes: ptr[uint64](6),
		},
		Gauges:  Gauges{Users: 1, NATStatus: "public", DiskFree: 1, DiskTotal: 2, Memory: 3, MemoryLimit: 4},
		Minutes: [][2]int64{{1777636680, 3}, {1777636740, 2}},
		Damaged: []string{"bootnode-peers.json was \x1b[31mdamaged"}, Lifetime: &Lifetime{Joined: 5, Left: 4, Granted: 3, Circuits: 2, Peak: 9},
	}
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseTelemetry_ReadsEveryFieldAndCleansTheTexts(t *testing.T) {
	want := goodTelemetry()
	got, err := ParseTelemetry([]byte(encoded(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	want.Damaged = []string{"bootnode-peers.json was [31mdamaged"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseTelemetry_ADaemonThatDoesNotTellOfItsOwnBytesIsReadAndTheyAreUnknown(t *testing.T) {
	text := strings.Replace(encoded(t, goodTelemetry()), `,"own_bytes_relayed":6`, ``, 1)
	got, err := ParseTelemetry([]byte(text))
	if err != nil || got.Counters.OwnBytes != nil {
		t.Errorf("got %v %v, want them unknown", got.Counters.OwnBytes, err)
	}
}

func TestParseTelemetry_ErrorsNameTheField(t *testing.T) {
	good := encoded(t, goodTelemetry())
	for _, c := range []struct{ old, new, want string }{
		{`"now":1777636800`, `"now":-1`, "telemetry: now: -1 is no time"},
		{`"now":1777636800,`, ``, "telemetry: now: missing"},
		{`"epoch":"` + someLife + `"`, `"epoch":"x"`, `telemetry: epoch: "x", accepted are 32 hex digits`},
		{`"cursor":"` + someLife + `-7"`, `"cursor":"` + someLife + `"`, `telemetry: cursor: "` + someLife + `" is no cursor`},
		{`"joined":1,`, ``, "telemetry: counters: joined: missing"},
		{`"joined":1`, `"joined":null`, "telemetry: counters: joined: missing"},
		{`"joined":1`, `"joined":-1`, "telemetry: counters.joined: -1, accepted is a count from 0"},
		{`"bytes_relayed":5`, `"bytes_relayed":18446744073709551615`, "telemetry: counters: bytes_relayed: 18446744073709551615 is larger than any count"},
		{`"own_bytes_relayed":6`, `"own_bytes_relayed":18446744073709551615`, "telemetry: counters: own_bytes_relayed: 18446744073709551615 is larger than any count"},
		{`[0,0,0,0,0,0,0,0]`, `[0]`, "telemetry: counters: session_lengths: 1 numbers, accepted are 8"},
		{`[0,0,0,0,0,0,0,0]`, `[0,0,0,0,0,0,0,18446744073709551615]`, "telemetry: counters: session_lengths: element 7: 18446744073709551615 is larger than any count"},
		{`"joined_by_agent":{"a":1}`, `"joined_by_agent":{"\u001b[2J":1}`, `telemetry: counters: joined_by_agent: "[2J" is no name`},
		{`"joined_by_agent":{"a":1}`, `"joined_by_agent":{` + manyNames() + `}`, "telemetry: counters: joined_by_agent: 300 names, at most 256 are read"},
		{`"users":1,`, ``, "telemetry: gauges: users: missing"},
		{`"users":1`, `"users":-1`, "telemetry: gauges: users: -1 is negative"},
		{`"peak_users":9`, `"peak_users":-9`, "telemetry: lifetime: peak_users: -9 is negative"},
		{`,"peak_users":9`, ``, "telemetry: lifetime: peak_users: missing"},
		{`"nat_status":"public"`, `"nat_status":"=1"`, `telemetry: gauges: nat_status: "=1", accepted are unknown, public and private`},
		{`[1777636680,3]`, `[1777636680]`, "telemetry: minutes: element 0: 1 numbers, accepted are 2"},
		{`[1777636680,3]`, `[1777636680,-3]`, "telemetry: minutes: element 0: -3 is negative"},
		{`[1777636680,3]`, `[1777636681,3]`, "telemetry: minutes: element 0: 1777636681 is no whole minute"},
		{`[1777636680,3]`, `[1777636740,3]`, "telemetry: minutes: element 1: 1777636740 does not come after 1777636740"},
		{`[1777636740,2]`, `[1777639980,2]`, "telemetry: minutes: element 1: 1777639980 is after now"},
		{somePeer, `\u001b[31m`, `telemetry: peer_id: "[31m" is no peer ID`},
		{good, `null`, "telemetry: null, accepted is an object"},
		{good, good[:len(good)/2], "telemetry: not JSON: unexpected end of JSON input"},
	} {
		_, err := ParseTelemetry([]byte(strings.Replace(good, c.old, c.new, 1)))
		if err == nil || err.Error() != c.want {
			t.Errorf("%.40q instead of %.40q:\n got %v\nwant %s", c.new, c.old, err, c.want)
		}
	}
}

// The epoch of a relay that was upgraded begins at 0; what it counted before is not gone.
func TestMerge_TellsWhatARelayCountedSinceItsFirstStart(t *testing.T) {
	told := goodTelemetry()
	row := Merge(at, []Reading{{Node: "nyc1-1", Telemetry: &told, Registry: []CensusEntry{}}}).Relays[0]
	if value(row.Reservations) != 3 || value(row.Circuits) != 2 || value(row.Peak) != 9 {
		t.Errorf("row = %+v, want 3 reservations, 2 circuits and a peak of 9: those of its life", row)
	}
	told.Lifetime = nil
	row = Merge(at, []Reading{{Node: "nyc1-1", Telemetry: &told, Registry: []CensusEntry{}}}).Relays[0]
	if value(row.Reservations) != 1 || value(row.Circuits) != 1 {
		t.Errorf("row = %+v, want those of the epoch where nothing else is known", row)
	}
}

func manyNames() string {
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprintf(`"n%d":1`, i))
	}
	return strings.Join(names, ",")
}

// deltaText is a page of these lines.
func deltaText(t testing.TB, more bool, lines ...string) string {
	t.Helper()
	head, end := encoded(t, Delta{Registry: someLife, Full: true}), encoded(t, DeltaEnd{Cursor: someLife + "-9", Entries: len(lines), More: more})
	return strings.Join(append(append([]string{head}, lines...), end), "\n") + "\n"
}

func TestParseDelta_ReadsAPageToItsEnd(t *testing.T) {
	got, err := ParseDelta(strings.NewReader(deltaText(t, true, goodEntry, goodEntry)), at)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Full || got.Registry != someLife || len(got.Entries) != 2 || got.End != (DeltaEnd{Cursor: someLife + "-9", Entries: 2, More: true}) {
		t.Errorf("page = %+v, want two entries, full, and more after %s-9", got, someLife)
	}
	got, err = ParseDelta(strings.NewReader(deltaText(t, false)), at)
	if err != nil || got.Entries == nil || len(got.Entries) != 0 {
		t.Errorf("nothing new: %+v, %v; want an empty list", got, err)
	}
}

func TestParseDelta_CountsBadRowsAndUsesTheRest(t *testing.T) {
	long := strings.Replace(goodEntry, "edge", strings.Repeat("e", MaxRegistryEntry), 1)
	for name, c := range map[string]struct{ row, want string }{
		"no JSON":        {`{"peer_pubkey":`, "line 3: not JSON"},
		"no object":      {`7`, "line 3: number, accepted is an object"},
		"no key":         {`{}`, "line 3: peer_pubkey: missing"},
		"empty":          {``, "line 3: not JSON"},
		"a long line":    {long, "line 3: longer than 65536 bytes"},
		"a bidi mark":    {strings.Replace(goodEntry, "edge", "\u202eegde", 1), "line 3: tier:"},
		"no UTF-8":       {strings.Replace(goodEntry, "edge", "\xff", 1), "line 3: invalid UTF-8"},
		"another cursor": {strings.Replace(goodEntry, `{`, `{"cursor":"x","entries":9,`, 1), ""},
	} {
		got, err := ParseDelta(strings.NewReader(deltaText(t, false, goodEntry, c.row, goodEntry)), at)
		if c.want == "" {
			if err != nil || len(got.Entries) != 3 {
				t.Errorf("%s: %d entries, %v; want 3: an entry ends nothing", name, len(got.Entries), err)
			}
			continue
		}
		var damaged *DamagedError
		if !errors.As(err, &damaged) || damaged.Damaged != 1 || damaged.Entries != 3 || !strings.HasPrefix(damaged.First[0], c.want) {
			t.Errorf("%s: %v, want one of 3 damaged: %s", name, err, c.want)
		}
		if len(got.Entries) != 2 || got.End.Cursor == "" {
			t.Errorf("%s: %d entries and cursor %q, want 2 and the end", name, len(got.Entries), got.End.Cursor)
		}
	}
}

func TestParseDelta_WhatWasSeenInTheFutureIsSeenNowAndReported(t *testing.T) {
	future := fmt.Sprint(at.Add(48 * time.Hour).Unix())
	row := strings.NewReplacer("1700000001", future).Replace(goodEntry)
	got, err := ParseDelta(strings.NewReader(deltaText(t, false, row)), at)
	var damaged *DamagedError
	if !errors.As(err, &damaged) || damaged.Ahead != 1 || damaged.Damaged != 0 {
		t.Fatalf("got %v, want one seen in the future", err)
	}
	if len(got.Entries) != 1 || got.Entries[0].LastSeenAt != at.Unix() || got.End.Cursor == "" {
		t.Errorf("page = %+v, want the entry, seen at %d", got, at.Unix())
	}
}

func TestParseDelta_ACutOffAnswerKeepsWhatWasReadAndHasNoEnd(t *testing.T) {
	whole := deltaText(t, true, goodEntry, goodEntry, goodEntry)
	for name, c := range map[string]struct {
		text   string
		keep   int
		want   string
		broken bool
	}{
		"nothing at all":      {"", 0, "line 1: the text is cut off", false},
		"in the first line":   {whole[:10], 0, "line 1: the text is cut off", false},
		"between two rows":    {strings.Join(strings.SplitAfter(whole, "\n")[:3], ""), 2, "after line 3: the text is cut off", false},
		"in a row":            {whole[:len(encoded(t, Delta{Registry: someLife, Full: true}))+len(goodEntry)+40], 1, "line 3: the text is cut off", false},
		"in the last line":    {whole[:len(whole)-1], 3, "line 5: the text is cut off", false},
		"a row is missing":    {strings.Replace(whole, goodEntry+"\n", "", 1), 2, "entries: 3, and 2 came", true},
		"something follows":   {whole + "{}\n", 3, "something follows the end", true},
		"a bad cursor":        {strings.Replace(whole, someLife+"-9", "?", 1), 3, "cursor:", true},
		"another first line":  {`{"registry":"x","full":true}` + "\n", 0, `line 1: registry: "x"`, true},
		"HTML":                {"<html>\n", 0, "line 1: not JSON", true},
		"more than one page":  {deltaText(t, false, slicesRepeat(goodEntry, DeltaPage+1)...), DeltaPage + 1, "more than 10000 entries", true},
		"a page without end":  {encoded(t, Delta{Registry: someLife}) + "\n" + strings.Repeat("\n", MaxDelta), 0, "more than 10000 entries", true},
		"a line without end":  {encoded(t, Delta{Registry: someLife}) + "\n" + strings.Repeat("x", MaxDelta+1), 0, "larger than 16777216 bytes", false},
		"a first without end": {strings.Repeat("x", MaxDelta+1), 0, "larger than 16777216 bytes", false},
	} {
		got, err := ParseDelta(strings.NewReader(c.text), at)
		var damaged *DamagedError
		if err == nil || errors.As(err, &damaged) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if got := isBroken(err); got != c.broken {
			t.Errorf("%s: is it no census: got %t, want %t", name, got, c.broken)
		}
		if len(got.Entries) != c.keep || got.End != (DeltaEnd{}) {
			t.Errorf("%s: %d entries, end %+v; want %d and no end", name, len(got.Entries), got.End, c.keep)
		}
	}
	broken := io.MultiReader(strings.NewReader(whole[:len(whole)/2]), failing{})
	if got, err := ParseDelta(broken, at); !errors.Is(err, errFailing) || len(got.Entries) == 0 || isBroken(err) {
		t.Errorf("a broken connection: %d entries, %v; want some and its error", len(got.Entries), err)
	}
}

func isBroken(err error) bool {
	var broken *BrokenError
	return errors.As(err, &broken)
}

func slicesRepeat(text string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = text
	}
	return out
}

var errFailing = errors.New("reset by peer")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

func FuzzParseTelemetry(f *testing.F) {
	f.Add([]byte(encoded(f, goodTelemetry())))
	f.Add([]byte(`{"peer_id":"a","now":1,"counters":[],"gauges":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseTelemetry(data)
		if err != nil {
			return
		}
		if _, err := ParseTelemetry([]byte(encoded(t, got))); err != nil {
			t.Errorf("what was read of %q cannot be read again: %v", data, err)
		}
	})
}

func FuzzParseDelta(f *testing.F) {
	f.Add([]byte(deltaText(f, false, goodEntry, `{}`, goodEntry)))
	f.Add([]byte(deltaText(f, true)))
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseDelta(bytes.NewReader(data), at)
		var damaged *DamagedError
		if err == nil && got.End.Entries != len(got.Entries) || errors.As(err, &damaged) && got.End.Entries != len(got.Entries)+damaged.Damaged {
			t.Errorf("%q: %d entries, end %+v, %v", data, len(got.Entries), got.End, err)
		}
		for _, e := range got.Entries {
			if err := e.check(at); err != nil || e.LastSeenAt > at.Unix() {
				t.Errorf("%q: entry %+v: %v", data, e, err)
			}
		}
	})
}
