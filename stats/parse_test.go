package stats

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

const goodReport = `{"peer_id":"` + somePeer + `","connected_peers":3,"uptime_secs":60,"mesh_peers_count":0,"subscribed_topics":[],
"listen_addrs":["/ip4/192.0.2.7/tcp/9100"],"peak_concurrent_peers":4,"lifetime_unique_peer_ids":5,"peers_joined_total":6,"peers_left_total":3,
"joins_per_minute":[[1777636740,2]],"leaves_per_minute":[],"mesh_peers_per_topic":{},"routing_table_size":2,"time_to_first_peer_ms":null,
"address_types":{"ipv4_public":3},"relay_reservations_accepted":7,"relay_circuits_established":8,"hole_punches_succeeded":null,
"hole_punches_failed":null,"nat_status":"public","bytes_received_per_topic":{},"bytes_published_per_topic":{},"skills_published":0,
"skills_received":0,"skill_latency_p50_ms":null,"skill_latency_p95_ms":null,"skill_latency_samples":0}`

const goodCensus = `{"enabled":true,"lifetime_unique_peers":5,"active_last_24h":5,"active_last_7d":5,"by_tier":{"management":4,"edge":1},"by_address_type":{"ipv4_public":4,"ipv4_private":1},"generated_at":1777500000}`

const goodEntry = `{"peer_pubkey":"` + someKey + `","last_peer_id":"` + somePeer + `","first_seen_at":1700000000,"last_seen_at":1700000001,"tier":"edge","address_type":"ipv4_public","connection_count":2}`

func TestParseReport_ReadsEveryFieldOfTheContract(t *testing.T) {
	r, err := ParseReport([]byte(goodReport), at)
	if err != nil {
		t.Fatal(err)
	}
	var wrote, read map[string]any
	text, err := json.Marshal(r)
	if err = errors.Join(err, json.Unmarshal(text, &wrote), json.Unmarshal([]byte(goodReport), &read)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(wrote, read) {
		t.Errorf("got %v, want %v", wrote, read)
	}
}

func TestParseReport_ErrorsNameTheField(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"connected_peers":3`, `"connected_peers":-3`, "report: connected_peers: -3 is negative"},
		{`"connected_peers":3`, `"connected_peers":"3"`, "report: connected_peers: string, accepted is a whole number"},
		{`"connected_peers":3`, `"connected_peers":null`, "report: connected_peers: missing"},
		{`"connected_peers":3,`, ``, "report: connected_peers: missing"},
		{`"uptime_secs":60`, `"uptime_secs":-60`, "report: uptime_secs: -60, accepted is a count from 0"},
		{`"uptime_secs":60`, `"uptime_secs":1e300`, "report: uptime_secs: 1e300, accepted is a count from 0"},
		{`"uptime_secs":60`, `"uptime_secs":18446744073709551615`, "report: uptime_secs: 18446744073709551615 is larger than any count"},
		{`"hole_punches_failed":null`, `"hole_punches_failed":-1`, "report: hole_punches_failed: -1, accepted is a count from 0"},
		{`[[1777636740,2]]`, `[[9777636740,2]]`, "report: joins_per_minute: element 0: 9777636740 is in the future"},
		{`[[1777636740,2]]`, `[[1777636740,-2]]`, "report: joins_per_minute: element 0: -2 is negative"},
		{`[[1777636740,2]]`, `[[1777636740]]`, "report: joins_per_minute: element 0: 1 numbers, accepted are 2"},
		{`[[1777636740,2]]`, `{"a":1}`, "report: joins_per_minute: object, accepted is an array"},
		{`{"ipv4_public":3}`, `{"ipv4_public":-3}`, "report: address_types: ipv4_public: -3 is negative"},
		{`"nat_status":"public"`, `"nat_status":"=1"`, `report: nat_status: "=1", accepted are unknown, public and private`},
		{`"nat_status":"public"`, "\"nat_status\":\"\xff\"", "report: nat_status: invalid UTF-8"},
		{somePeer, `\u001b[31m`, `report: peer_id: "[31m" is no peer ID`},
		{somePeer, ``, `report: peer_id: "" is no peer ID`},
		{goodReport, `[]`, "report: array, accepted is an object"},
		{goodReport, `null`, "report: null, accepted is an object"},
		{goodReport, ``, "report: not JSON: unexpected end of JSON input"},
		{goodReport, goodReport + `{}`, "report: not JSON: invalid character '{' after top-level value"},
		{goodReport, strings.Repeat("x", MaxReport+1), "report: 1048577 bytes, at most 1048576 are read"},
	} {
		_, err := ParseReport([]byte(strings.Replace(goodReport, c.old, c.new, 1)), at)
		if err == nil || err.Error() != c.want {
			t.Errorf("%.40q instead of %.40q:\n got %v\nwant %s", c.new, c.old, err, c.want)
		}
	}
}

func TestParseCensus_ReadsTheContractAndNamesTheField(t *testing.T) {
	c, err := ParseCensus([]byte(goodCensus), at)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(c); len(text) != len(goodCensus) {
		t.Errorf("got %s, want %s", text, goodCensus)
	}
	for old, want := range map[string]string{
		`1777500000`:                `census: generated_at: 9777500000 is in the future`,
		`"edge":1`:                  `census: by_tier: edge: -1 is negative`,
		`"lifetime_unique_peers":5`: `census: lifetime_unique_peers: -5, accepted is a count from 0`,
		`"enabled":true`:            `census: enabled: number, accepted is true or false`,
	} {
		bad := map[string]string{
			`1777500000`: `9777500000`, `"edge":1`: `"edge":-1`, `"lifetime_unique_peers":5`: `"lifetime_unique_peers":-5`, `"enabled":true`: `"enabled":1`,
		}[old]
		if _, err := ParseCensus([]byte(strings.Replace(goodCensus, old, bad, 1)), at); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", bad, err, want)
		}
	}
}

func TestParseRegistry_TellsOfDamagedEntriesAndKeepsTheRest(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{someKey, ``, "entry 1: peer_pubkey: missing"},
		{someKey, `%`, `entry 1: peer_pubkey: "%" is no key in base64`},
		{`"` + someKey + `"`, `7`, "entry 1: peer_pubkey: number, accepted is a text"},
		{somePeer, `=1`, `entry 1: last_peer_id: "=1" is no peer ID`},
		{`1700000000`, `-1`, "entry 1: first_seen_at: -1 is before 1970"},
		{`1700000000`, `1700000002`, "entry 1: first_seen_at: 1700000002 is after last_seen_at"},
		{`"last_seen_at":1700000001,`, ``, "entry 1: last_seen_at: missing"},
		{`"connection_count":2`, `"connection_count":-2`, "entry 1: connection_count: -2, accepted is a count from 0"},
		{`edge`, "\xff", `entry 1: tier: "�": invalid UTF-8`},
		{`edge`, `\u001b[2J`, `entry 1: tier: "\x1b[2J": control characters`},
		{`edge`, strings.Repeat("e", 300), "entry 1: tier: 300 bytes, at most 256 are accepted"},
		{goodEntry, `7`, "entry 1: number, accepted is an object"},
		{goodEntry, `null`, "entry 1: peer_pubkey: missing"},
	} {
		text := "[" + goodEntry + "," + strings.Replace(goodEntry, c.old, c.new, 1) + "," + goodEntry + "]"
		got, err := ParseRegistry(strings.NewReader(text), at)
		var damaged *DamagedError
		if !errors.As(err, &damaged) || damaged.Damaged != 1 || damaged.Entries != 3 || len(damaged.First) != 1 {
			t.Errorf("%q: got %v, want one damaged entry of three", c.new, err)
			continue
		}
		if len(got) != 2 || damaged.First[0] != c.want {
			t.Errorf("%q: got %d entries and %s, want 2 and %s", c.new, len(got), damaged.First[0], c.want)
		}
	}
}

func TestParseRegistry_TellsWhatItReadBeforeTheDamage(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		kept int
		want string
	}{
		"empty list": {"[]", 0, ""},
		"cut off":    {"[" + goodEntry + "," + goodEntry[:40], 1, "registry: entry 1: the text is cut off"},
		"no end":     {"[" + goodEntry, 1, "registry: after entry 1: the text is cut off"},
		"more":       {"[" + goodEntry + "][", 1, "registry: something follows the array"},
		"syntax":     {"[" + goodEntry + ",x]", 1, "registry: entry 1: not JSON: invalid character 'x' looking for beginning of value"},
		"long":       {"[" + goodEntry + `,"` + strings.Repeat("x", 3*MaxRegistryEntry) + `"]`, 1, "registry: entry 1: longer than 65536 bytes"},
		"spaces":     {"[" + goodEntry + strings.Repeat(" ", 3*MaxRegistryEntry) + "]", 1, "registry: after entry 1: longer than 65536 bytes"},
	} {
		got, err := ParseRegistry(strings.NewReader(c.text), at)
		if got == nil || len(got) != c.kept {
			t.Errorf("%s: got %v, want %d entries", name, got, c.kept)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want || !isBroken(err)) {
			t.Errorf("%s: got %v, want %s: it is no census", name, err, c.want)
		}
	}
}

// endless repeats one entry for ever.
type endless struct{ r *strings.Reader }

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if errors.Is(err, io.EOF) {
		_, err = e.r.Seek(1, io.SeekStart)
	}
	return n, err
}

func TestParseRegistry_EndsWithItsReader(t *testing.T) {
	broken := errors.New("the connection is gone")
	half := io.MultiReader(strings.NewReader("["+goodEntry+","), readerFunc(func([]byte) (int, error) { return 0, broken }))
	if got, err := ParseRegistry(half, at); !errors.Is(err, broken) || isBroken(err) || len(got) != 1 {
		t.Errorf("got %d entries and %v, want 1 and the reader's error alone", len(got), err)
	}
	in, n := &endless{strings.NewReader("[" + goodEntry + ",")}, 0
	const rows = 100
	err := ScanRegistry(in, at, ScanOptions{Most: rows * int64(len(goodEntry)+1)}, func(*Row) error { n++; return nil })
	if n != rows-1 && n != rows || !errors.Is(err, errLarge) || isBroken(err) {
		t.Errorf("got %d entries and %v, want %d and %v", n, err, rows, errLarge)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func FuzzParseReport(f *testing.F) {
	for _, seed := range []string{goodReport, goodCensus, "{}", "null", `{"peer_id":"\ud800","connected_peers":1e5}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = ParseCensus(data, at)
		r, err := ParseReport(data, at)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b\x00") || len(err.Error()) > 2000 {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseReport(text, at)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%s is not read again: %v", text, err)
		}
		for _, cell := range Merge(at, []Reading{{Node: "a-1", Region: "a", Report: &r}}).CSVRows()[0] {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
				t.Errorf("the cell %q", cell)
			}
		}
	})
}

func FuzzParseRegistry(f *testing.F) {
	for _, seed := range []string{"[" + goodEntry + "]", "[]", "[" + goodEntry + ",7,null]", `[{"peer_pubkey":"QQ=="}]`, "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ParseRegistry(bytes.NewReader(data), time.Unix(1_800_000_000, 0))
		if err != nil && (strings.ContainsAny(err.Error(), "\n\x1b\x00") || len(err.Error()) > 10_000) {
			t.Errorf("not one line: %q", err)
		}
		merged := MergeEntries(entries, nil)
		text, err := json.Marshal(merged)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRegistry(bytes.NewReader(text), time.Unix(1_800_000_000, 0))
		if err != nil || !reflect.DeepEqual(again, merged) {
			t.Errorf("%s is not read again: %v", text, err)
		}
		s := Merge(at, []Reading{{Node: "a-1", Registry: entries}})
		if entries != nil && *s.LifetimeUniquePeers != uint64(len(merged)) {
			t.Errorf("Merge counts %d peers, MergeEntries %d", *s.LifetimeUniquePeers, len(merged))
		}
	})
}

func BenchmarkParseRegistry(b *testing.B) {
	text, err := json.Marshal(peers(0, 100_000))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if got, err := ParseRegistry(bytes.NewReader(text), at); err != nil || len(got) != 100_000 {
			b.Fatalf("got %d entries, %v", len(got), err)
		}
	}
}
