package stats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

// scanAll reads a census into entries, in whatever pieces the reader gives.
func scanAll(r io.Reader, now time.Time, o ScanOptions) ([]CensusEntry, error) {
	var out []CensusEntry
	err := ScanRegistry(r, now, o, func(row *Row) error {
		e := row.Entry()
		if row.Key() != keyOf(e.PeerPubkey) {
			return fmt.Errorf("the key of %s is %x", e.PeerPubkey, row.Key())
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// byJSON is what encoding/json makes of a census, entry by entry.
func byJSON(text []byte, now time.Time) ([]CensusEntry, *DamagedError, bool) {
	var raw []json.RawMessage
	if json.Unmarshal(text, &raw) != nil || raw == nil {
		return nil, nil, false
	}
	var out []CensusEntry
	var bad DamagedError
	for _, one := range raw {
		var e CensusEntry
		err := json.Unmarshal(one, &e)
		if err != nil {
			err = explain(err)
		}
		ahead := e.ahead(now)
		if err == nil {
			err = e.check(now)
		}
		if err != nil {
			bad.add(err)
			continue
		}
		bad.ahead(ahead)
		bad.Entries++
		out = append(out, e)
	}
	return out, &bad, true
}

func damagedOf(err error) *DamagedError {
	var damaged *DamagedError
	errors.As(err, &damaged)
	return damaged
}

// unusual are entries that relays do not write and that encoding/json reads, or refuses,
// in its own way.
func unusual() []string {
	with := func(old, new string) string { return strings.Replace(goodEntry, old, new, 1) }
	return []string{
		goodEntry, with(`"tier":"edge"`, `"tier":"caf\u00e9"`), with(`"edge"`, `"café"`), with(`"edge"`, `null`), with(`"tier"`, `"TIER"`),
		with(`"tier"`, `"later":"x","tier"`), with(`"tier"`, `"Later":7,"tier"`), with(`"tier"`, `"later":[{"peer_pubkey":"`+someKey+`"}],"tier"`),
		with(`"tier":"edge"`, `"tier":"a","tier":"b"`), with(`1700000000`, `1.7e9`), with(`1700000000`, `01`), with(`1700000000`, `-0`), with(`1700000000`, `0`),
		with(`1700000000`, `1700000002`), with(`1700000001`, `9223372036854775807`), with(`1700000001`, `9223372036854775808`), with(`:2}`, `:-2}`),
		with(`:2}`, `:9007199254740993}`), with(`:2}`, `:2,}`), with(`:2}`, `:2,"transport":"quic-v1","agent":"kubo/0.30"}`), with(`:2}`, `:2,"agent":"`+strings.Repeat("a", 257)+`"}`),
		with(someKey, "QQ=="), with(someKey, someKey[:42]+"p="), with(someKey, someKey[:20]+`\n`+someKey[20:]), with(someKey, strings.Repeat("QUFB", 100)), with(someKey, someKey[:43]),
		with(someKey, strings.Repeat("!", 44)), with(somePeer, ""), with(somePeer, strings.Repeat("a", 129)), with(somePeer, "=1"), with(`"edge"`, "\"\xff\""), with(`"edge"`, "\"\x7f\""),
		strings.ReplaceAll(goodEntry, ",", " ,\r\n\t"), "{}", "null", "7", `"x"`, "[[1],{}]", "true", strings.ReplaceAll(goodEntry, ":", ": "),
	}
}

func TestScanRegistry_AgreesWithEncodingJSON(t *testing.T) {
	for _, one := range unusual() {
		text := "[" + goodEntry + "," + one + ",\n" + goodEntry + " ]\n"
		want, bad, valid := byJSON([]byte(text), at)
		if !valid {
			got, err := scanAll(strings.NewReader(text), at, ScanOptions{})
			if damaged := damagedOf(err); len(got) != 2 || damaged == nil || damaged.Damaged != 1 {
				t.Errorf("%s: got %+v and %v, want it damaged and the others read", one, got, err)
			}
			continue
		}
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
			got, err := scanAll(r, at, ScanOptions{})
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: got %+v, want %+v", one, name, got, want)
			}
			if told := damagedOf(err); bad.Damaged+bad.Ahead > 0 && !reflect.DeepEqual(told, bad) || bad.Damaged+bad.Ahead == 0 && err != nil {
				t.Errorf("%s, %s: got %v, want %v", one, name, err, bad)
			}
		}
	}
}

// Lines of a delta have names of their own.
func TestParseDelta_AgreesWithEncodingJSON(t *testing.T) {
	lines := unusual()
	for _, more := range []string{`"entries":"x"`, `"more":7`, `"more":true`, `"cursor":"c"`, `"entries":7`, `"later":7`} {
		lines = append(lines, strings.TrimSuffix(goodEntry, "}")+","+more+"}")
	}
	for _, one := range lines {
		one = strings.NewReplacer("\r\n", "", "\n", "").Replace(one)
		text := `{"registry":"` + strings.Repeat("0", 32) + `","full":true}` + "\n" + one + "\n"
		page, err := ParseDelta(strings.NewReader(text), at)
		var line deltaLine
		wrong := json.Unmarshal([]byte(one), &line)
		want := []CensusEntry{}
		if utf8.ValidString(one) && wrong == nil && line.check(at) == nil {
			want = append(want, line.CensusEntry)
		}
		if !reflect.DeepEqual(page.Entries, want) {
			t.Errorf("%s: got %+v and %v, want %+v", one, page.Entries, err, want)
		}
	}
}

func TestScanRegistry_ATornEntryCostsOnlyItself(t *testing.T) {
	half := goodEntry[:len(goodEntry)/2]
	for name, c := range map[string]struct {
		text string
		kept int
	}{
		"cut in a text":      {"[" + goodEntry + `,{"peer_pubkey":"11qYAYKx` + `,` + goodEntry + "," + goodEntry + "]", 3},
		"cut in the middle":  {"[" + half + goodEntry + "," + goodEntry + "]", 2},
		"cut at a comma":     {"[" + half + "," + goodEntry + "," + goodEntry + "]", 2},
		"no comma":           {"[" + goodEntry + goodEntry + "]", 2},
		"a comma too many":   {"[" + goodEntry + ",," + goodEntry + "]", 2},
		"a bracket too many": {"[" + goodEntry + "}," + goodEntry + "]", 2},
		"zeros":              {"[" + goodEntry + "," + strings.Repeat("\x00", 4096) + goodEntry + "]", 2},
		"many zeros":         {"[" + goodEntry + "," + strings.Repeat("\x00", 5*MaxRegistryEntry) + goodEntry + "]", 2},
		"a quote too many":   {"[" + strings.Replace(goodEntry, "edge", `ed"ge`, 1) + "," + goodEntry + "," + goodEntry + "]", 2},
		"too long":           {`[{"peer_pubkey":"` + strings.Repeat("x", 2*MaxRegistryEntry) + `"},` + goodEntry + "]", 1},
	} {
		for how, r := range map[string]io.Reader{"at once": strings.NewReader(c.text), "in halves": iotest.HalfReader(strings.NewReader(c.text))} {
			got, err := scanAll(r, at, ScanOptions{})
			damaged := damagedOf(err)
			if len(got) != c.kept || damaged == nil || damaged.Damaged != 1 || damaged.Entries != c.kept+1 {
				t.Errorf("%s, %s: got %d entries and %v, want %d and one damaged", name, how, len(got), err, c.kept)
			}
		}
	}
}

func TestScanRegistry_GivesUpOnATextThatIsAllTorn(t *testing.T) {
	text := "[" + strings.Repeat(`{"peer_pubkey"`, maxTorn+10) + goodEntry + "]"
	if got, err := scanAll(strings.NewReader(text), at, ScanOptions{}); err == nil || damagedOf(err) != nil || len(got) > 0 || !strings.Contains(err.Error(), "more than 1000 places") {
		t.Errorf("got %d entries and %v, want none and an error", len(got), err)
	}
}

func TestScanRegistry_ReadsLines(t *testing.T) {
	text := goodEntry + "\n" + goodEntry[:100] + "\n{\"a\":1}\n" + goodEntry + "\r\n\n" + goodEntry
	got, err := scanAll(strings.NewReader(text), at, ScanOptions{Lines: true})
	if damaged := damagedOf(err); len(got) != 3 || damaged == nil || damaged.Damaged != 1 {
		t.Errorf("got %d entries and %v, want 3 and what lies between as damaged", len(got), err)
	}
	for _, text := range []string{"", "\n", goodEntry, goodEntry + "\n"} {
		if got, err := scanAll(strings.NewReader(text), at, ScanOptions{Lines: true}); err != nil || len(got) != strings.Count(text, "tier") {
			t.Errorf("%q: got %d entries and %v", text, len(got), err)
		}
	}
}

func TestScanRegistry_TheFutureIsNowAndIsTold(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	entry := func(first, last int64) string {
		return strings.Replace(strings.Replace(goodEntry, "1700000000", fmt.Sprint(first), 1), "1700000001", fmt.Sprint(last), 1)
	}
	text := "[" + strings.Join([]string{
		entry(1_600_000_000, 1_700_000_000), entry(1_600_000_000, 1_700_000_030), entry(1_600_000_000, 1_700_007_200), entry(1_800_000_000, 1<<62),
	}, ",") + "]"
	got, err := scanAll(strings.NewReader(text), now, ScanOptions{})
	if len(got) != 4 {
		t.Fatalf("got %d entries and %v, want all 4", len(got), err)
	}
	for i, first := range []int64{1_600_000_000, 1_600_000_000, 1_600_000_000, 1_700_000_000} {
		if got[i].FirstSeenAt != first || got[i].LastSeenAt != now.Unix() {
			t.Errorf("entry %d: got %d to %d, want %d to now", i, got[i].FirstSeenAt, got[i].LastSeenAt, first)
		}
	}
	if damaged := damagedOf(err); damaged == nil || damaged.Damaged != 0 || damaged.Ahead != 2 || damaged.Entries != 4 || damaged.Most < 1000*time.Hour {
		t.Errorf("got %v, want two entries seen in the future", err)
	}
	_, err = scanAll(strings.NewReader("["+entry(1_600_000_000, 1_700_007_200)+"]"), now, ScanOptions{})
	if want := "registry: 1 of 1 entries were seen in the future, by up to 2h0m0s, and count as seen now: a clock is wrong"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestScanRegistry_StopsWithItsCaller(t *testing.T) {
	enough, n := errors.New("enough"), 0
	err := ScanRegistry(&endless{strings.NewReader("[" + goodEntry + ",")}, at, ScanOptions{}, func(*Row) error {
		if n++; n == 1000 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 1000 {
		t.Errorf("got %v after %d entries, want the caller's error after 1000", err, n)
	}
}

// A census of any length takes a few hundred kilobytes: 16 MB of it stand for 10 GB.
func TestScanRegistry_HoldsNoMoreThanItsWindow(t *testing.T) {
	const size, most = 16 << 20, 2 << 20
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak, n := uint64(0), 0
	err := ScanRegistry(&endless{strings.NewReader("[" + goodEntry + ",")}, at, ScanOptions{Most: size}, func(*Row) error {
		if n++; n%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
		return nil
	})
	if !errors.Is(err, errLarge) || n < size/(len(goodEntry)+1)-1 {
		t.Errorf("got %d entries and %v, want the whole census", n, err)
	}
	if peak > before.HeapAlloc+most {
		t.Errorf("got %d bytes of heap, %d before, want at most %d more", peak, before.HeapAlloc, most)
	}
}

func FuzzScanRegistry(f *testing.F) {
	for _, one := range unusual() {
		f.Add([]byte("["+goodEntry+","+one+","+goodEntry+"]"), false)
		f.Add([]byte(one+"\n"+goodEntry), true)
	}
	f.Add([]byte("["+goodEntry[:100]+goodEntry+"]"), false)
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, data []byte, lines bool) {
		got, err := scanAll(bytes.NewReader(data), now, ScanOptions{Lines: lines})
		again, againErr := scanAll(iotest.HalfReader(bytes.NewReader(data)), now, ScanOptions{Lines: lines})
		if !reflect.DeepEqual(got, again) || fmt.Sprint(err) != fmt.Sprint(againErr) {
			t.Errorf("in pieces: got %v and %v, want %v and %v", again, againErr, got, err)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\n\x1b\x00") || len(err.Error()) > 10_000) {
			t.Errorf("not one line: %q", err)
		}
		for _, e := range got {
			if same := e; same.check(now) != nil || same != e {
				t.Errorf("%+v is not sound: %v", e, same.check(now))
			}
		}
		if want, bad, valid := byJSON(data, now); valid && !lines && len(data) < MaxRegistryEntry {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if told := damagedOf(err); bad.Damaged+bad.Ahead > 0 && !reflect.DeepEqual(told, bad) || bad.Damaged+bad.Ahead == 0 && err != nil {
				t.Errorf("got %v, want %v", err, bad)
			}
		}
	})
}

// BenchmarkScanRegistry reads as stats does, and says how often encoding/json takes so long.
func BenchmarkScanRegistry(b *testing.B) {
	text, err := json.Marshal(peers(0, 100_000))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		rows = 0
		if err := ScanRegistry(bytes.NewReader(text), at, ScanOptions{}, func(*Row) error { rows++; return nil }); err != nil || rows != 100_000 {
			b.Fatalf("got %d rows, %v", rows, err)
		}
	}
	ours := b.Elapsed() / time.Duration(b.N)
	began := time.Now()
	var entries []CensusEntry
	if err := json.Unmarshal(text, &entries); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(ours)/float64(time.Since(began)), "of-encoding/json")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(rows), "ns/row")
}
