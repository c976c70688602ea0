package relay

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/stats"
)

// desk is a ledger and its files, without a network.
type desk struct {
	*ledger
	*archive
}

// openDesk starts what a process starts; whoever drops it without a flush has killed it.
func openDesk(t testing.TB, dir string, now time.Time) desk {
	t.Helper()
	l := newLedger(Default(), now)
	a := newArchive(dir, l, slog.New(slog.DiscardHandler))
	a.load(now)
	return desk{l, a}
}

// user joins from a public address.
func (d desk) user(t testing.TB, p peer.ID, now time.Time) {
	t.Helper()
	d.connected(p, nil, mustAddr(t, "/ip4/8.8.8.8/tcp/1"), now)
	d.identified(p, "bitterbot/1.2.3/edge", nil, now)
}

// collector is what somebody knows who follows a census by its cursors.
type collector struct {
	cursor string
	known  map[string]stats.CensusEntry
	fulls  int
}

// collect reads all pages.
func (c *collector) collect(t testing.TB, l *ledger) (entries int) {
	t.Helper()
	for {
		head, page, end, err := l.delta(c.cursor)
		if err != nil {
			t.Fatalf("delta after %q: %v", c.cursor, err)
		}
		if head.Full {
			c.fulls++
		}
		if end.Entries != len(page) {
			t.Fatalf("end says %d entries, %d came", end.Entries, len(page))
		}
		for _, e := range page {
			if old, ok := c.known[e.PeerPubkey]; ok {
				e = stats.MergeEntries([]stats.CensusEntry{old}, []stats.CensusEntry{e})[0]
			}
			c.known[e.PeerPubkey] = e
		}
		entries += len(page)
		if end.More && end.Cursor == c.cursor {
			t.Fatal("a page without progress")
		}
		if c.cursor = end.Cursor; !end.More {
			return entries
		}
	}
}

func newCollector() *collector { return &collector{known: make(map[string]stats.CensusEntry)} }

func TestDelta_TellsEachChangeOnceOldestFirst(t *testing.T) {
	d, c := openDesk(t, t.TempDir(), noon()), newCollector()
	one, keyOne := someone(t)
	two, keyTwo := someone(t)
	d.user(t, one, noon())
	d.user(t, two, noon().Add(time.Second))
	if n := c.collect(t, d.ledger); n != 2 || c.fulls != 1 {
		t.Fatalf("first: %d entries, full %d times; want 2 in a full one", n, c.fulls)
	}
	if e := c.known[keyOne]; e.Transport != "tcp" || e.Agent != "bitterbot/1.2.3" || e.Tier != "edge" {
		t.Errorf("entry = %+v, want transport, agent and tier", e)
	}
	if n := c.collect(t, d.ledger); n != 0 || c.fulls != 1 {
		t.Errorf("nothing new: %d entries, full %d times; want 0 and none", n, c.fulls)
	}
	d.survey(noon().Add(time.Minute))
	if n := c.collect(t, d.ledger); n != 0 {
		t.Errorf("still connected: %d entries, want 0: that is no change", n)
	}
	d.disconnected(one, noon().Add(2*time.Minute))
	if n := c.collect(t, d.ledger); n != 1 || c.known[keyOne].LastSeenAt != noon().Add(2*time.Minute).Unix() {
		t.Errorf("gone: %d entries, last seen %d; want one, seen when it went", n, c.known[keyOne].LastSeenAt)
	}
	d.minute(noon().Add(toldEvery + time.Minute))
	if n := c.collect(t, d.ledger); n != 1 || c.known[keyTwo].LastSeenAt != noon().Add(toldEvery+time.Minute).Unix() {
		t.Errorf("connected for %s: %d entries, want the one that is still there", toldEvery, n)
	}
	again := []stats.CensusEntry{c.known[keyOne]}
	d.merge(again)
	if n := c.collect(t, d.ledger); n != 0 {
		t.Errorf("merged what was known: %d entries, want 0", n)
	}
}

func TestDelta_PagesHaveAnEndAndMissNothingWhileTheCensusChanges(t *testing.T) {
	l := newLedger(Default(), noon())
	for i := range 2*stats.DeltaPage + 5 {
		l.registry.put(entry(fmt.Sprint("k", i), 1, 2, 1))
	}
	c := newCollector()
	_, page, end, err := l.delta("")
	if err != nil || len(page) != stats.DeltaPage || !end.More || page[0].PeerPubkey != "k0" {
		t.Fatalf("first page: %d entries, %+v, %v; want %d from k0 on, and more", len(page), end, err, stats.DeltaPage)
	}
	for _, e := range page {
		c.known[e.PeerPubkey] = e
	}
	c.cursor = end.Cursor
	l.registry.put(entry("k0", 1, 3, 2))     // known already: comes again
	l.registry.put(entry("k15000", 1, 3, 2)) // not yet: comes once
	if n := c.collect(t, l); n != stats.DeltaPage+5+1 || c.fulls != 0 || len(c.known) != 2*stats.DeltaPage+5 {
		t.Errorf("the rest: %d entries, full %d times, %d known; want %d, 0, %d", n, c.fulls, len(c.known), stats.DeltaPage+6, 2*stats.DeltaPage+5)
	}
	if c.known["k0"].ConnectionCount != 2 || c.known["k15000"].ConnectionCount != 2 {
		t.Error("the newest state of what changed meanwhile did not come")
	}
	for range 3 {
		for i := range 2 * stats.DeltaPage {
			l.registry.put(entry(fmt.Sprint("k", i), 1, 4, 1))
		}
	}
	if got, most := len(l.registry.changes), 2*len(l.registry.entries)+1024; got > most {
		t.Errorf("%d changes are remembered, want at most %d", got, most)
	}
	if n := c.collect(t, l); n != 2*stats.DeltaPage || c.known["k7"].LastSeenAt != 4 {
		t.Errorf("after compaction: %d entries, want each changed one once", n)
	}
}

func TestDelta_CursorsOutliveRestartCrashAndCompaction(t *testing.T) {
	dir, c := t.TempDir(), newCollector()
	d := openDesk(t, dir, noon())
	one, _ := someone(t)
	two, keyTwo := someone(t)
	three, keyThree := someone(t)
	d.user(t, one, noon())
	if err := d.flush(noon()); err != nil {
		t.Fatal(err)
	}
	c.collect(t, d.ledger)
	d.user(t, two, noon()) // collected, and never written
	c.collect(t, d.ledger)

	d = openDesk(t, dir, noon().Add(time.Minute)) // after kill -9
	if n := c.collect(t, d.ledger); n != 0 || c.fulls != 1 {
		t.Errorf("after the crash: %d entries, full %d times; want nothing new", n, c.fulls)
	}
	d.user(t, three, noon().Add(time.Minute))
	if n := c.collect(t, d.ledger); n != 1 || c.known[keyThree].PeerPubkey == "" || c.known[keyTwo].PeerPubkey == "" {
		t.Errorf("after the crash a new peer: %d entries, want it: no number is given to two changes", n)
	}
	if err := d.flush(noon().Add(2 * time.Minute)); err != nil { // one that is connected was seen since
		t.Fatal(err)
	}
	d = openDesk(t, dir, noon().Add(3*time.Minute))
	if n := c.collect(t, d.ledger); n != 1 || c.known[keyThree].LastSeenAt != noon().Add(2*time.Minute).Unix() {
		t.Errorf("after the second crash: %d entries, last seen %d; want what was written and not told", n, c.known[keyThree].LastSeenAt)
	}
}

// A collector that follows a relay through crashes at any moment knows in the end
// whatever the relay knows, and nothing that it was not told.
func TestDelta_NoChangeIsLostThroughCrashesAtRandom(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 5))
		dir, c, now := t.TempDir(), newCollector(), noon()
		d := openDesk(t, dir, now)
		if err := d.flush(now); err != nil { // before that, a crash ends the life
			t.Fatal(err)
		}
		var peers []peer.ID
		for range 12 {
			p, _ := someone(t)
			peers = append(peers, p)
		}
		for step := range 100 {
			now = now.Add(time.Duration(random.IntN(400)) * time.Second)
			p := peers[random.IntN(len(peers))]
			switch random.IntN(10) {
			case 0, 1, 2:
				d.user(t, p, now)
			case 3, 4:
				d.disconnected(p, now)
			case 5:
				d.minute(now)
			case 6:
				if err := d.flush(now); err != nil {
					t.Fatal(err)
				}
			case 7:
				d = openDesk(t, dir, now)
			default:
				c.collect(t, d.ledger)
				for key, e := range d.ledger.registry.entries {
					// After a crash the collector may know more than the relay.
					got, want := c.known[key], e.CensusEntry
					late := want.LastSeenAt - got.LastSeenAt
					if late >= int64(toldEvery/time.Second) || got.ConnectionCount < want.ConnectionCount || got.FirstSeenAt > want.FirstSeenAt || got.PeerPubkey == "" {
						t.Fatalf("seed %d, step %d: told %+v, want at least %+v", seed, step, got, want)
					}
				}
			}
		}
		if c.fulls != 1 {
			t.Errorf("seed %d: %d full transfers, want the first one: cursors outlive crashes", seed, c.fulls)
		}
	}
}

func TestDelta_AnotherCensusBeginsAnotherLife(t *testing.T) {
	backup := ""
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"removed":         func(t *testing.T, dir string) { remove(t, filepath.Join(dir, censusFile)) },
		"put back":        func(t *testing.T, dir string) { write(t, filepath.Join(dir, censusFile), backup) },
		"of another":      func(t *testing.T, dir string) { write(t, filepath.Join(dir, censusFile), "[]\n") },
		"damaged":         func(t *testing.T, dir string) { write(t, filepath.Join(dir, censusFile), "[{") },
		"cursors removed": func(t *testing.T, dir string) { remove(t, filepath.Join(dir, cursorsFile)) },
		"cursors damaged": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, cursorsFile), `{"version":1,"registry":"x"}`)
		},
		"cursors of later": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, cursorsFile), strings.Replace(read(t, filepath.Join(dir, cursorsFile)), `"version":1`, `"version":2`, 1))
		},
	} {
		dir, c := t.TempDir(), newCollector()
		d := openDesk(t, dir, noon())
		for i := range 4 {
			p, _ := someone(t)
			d.user(t, p, noon())
			if err := d.flush(noon()); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				backup = read(t, filepath.Join(dir, censusFile))
			}
		}
		c.collect(t, d.ledger)
		before := d.lifeNow().id
		spoil(t, dir)
		d = openDesk(t, dir, noon())
		p, key := someone(t)
		d.user(t, p, noon())
		c.collect(t, d.ledger)
		if d.lifeNow().id == before || c.fulls != 2 || c.known[key].PeerPubkey == "" {
			t.Errorf("%s: full %d times, new peer known %t; want another life and all of it", name, c.fulls, c.known[key].PeerPubkey != "")
		}
		after := d.lifeNow().id
		if err := d.flush(noon()); err != nil {
			t.Fatal(err)
		}
		if d = openDesk(t, dir, noon()); d.lifeNow().id != after {
			t.Errorf("%s: the new life did not outlive a restart", name)
		}
	}
}

func TestLife_WithoutADiskCursorsEndWithTheProcessAndNumbersWithTheReserve(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, cursorsFile, "in the way"), "x")
	d := openDesk(t, dir, noon())
	// What is in the way was set aside; now it cannot be.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	d.ledger.registry.life = newLife(0)
	if err := d.archive.reserve(); err == nil {
		t.Fatal("numbers were reserved in a directory that is gone")
	}
	id := d.lifeNow().id
	d.ledger.registry.last = d.lifeNow().reserved
	p, _ := someone(t)
	d.user(t, p, noon())
	if now := d.lifeNow(); now.id == id || now.reserved != unlimited {
		t.Errorf("life = %+v, want another one when the reserve of %s is used up", now, id)
	}
}

func TestDelta_CursorsOfOthersGiveAllAndMalformedOnesAreRefused(t *testing.T) {
	r := idle(t, loopback(t))
	h, id := r.handler(), r.ledger.lifeNow().id
	for cursor, want := range map[string]bool{
		"": true, strings.Repeat("0", 32) + "-1": true, id + "-999": true, id + "-0": false, id + "-18446744073709551615": true,
	} {
		w := call(h, "GET", "/api/census/delta?after="+cursor, "127.0.0.1:1", "")
		var head stats.Delta
		if err := json.NewDecoder(w.Body).Decode(&head); err != nil || w.Code != 200 || head.Full != want || head.Registry != id {
			t.Errorf("after %q = %d %+v, want full %t of %s", cursor, w.Code, head, want, id)
		}
	}
	for _, cursor := range []string{"x", id, id + "-", id + "-01", id + "-%2B1", id + "--1", strings.ToUpper(id) + "-1", id + "-99999999999999999999", "%00"} {
		if w := call(h, "GET", "/api/census/delta?after="+cursor, "127.0.0.1:1", ""); w.Code != 400 {
			t.Errorf("after %q = %d, want 400", cursor, w.Code)
		}
	}
}

func TestDelta_IsReadableByTheCollectorPlainAndCompressed(t *testing.T) {
	r := idle(t, loopback(t))
	for range 100 {
		p, _ := someone(t)
		desk{r.ledger, r.archive}.user(t, p, time.Now())
	}
	sizes := make(map[string]int)
	for _, accepted := range []string{"", "gzip", "br, gzip;q=0", "deflate, GZIP;q=0.5"} {
		q := httptest.NewRequest("GET", "/api/census/delta", nil)
		q.Header.Set("Accept-Encoding", accepted)
		w := httptest.NewRecorder()
		r.handler().ServeHTTP(w, q)
		sizes[accepted] = w.Body.Len()
		var body io.Reader = w.Body
		if w.Header().Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		page, err := stats.ParseDelta(body, time.Now())
		if err != nil || len(page.Entries) != 100 || !page.Full || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%q: %d entries, %v, %v; want 100", accepted, len(page.Entries), err, w.Header())
		}
	}
	if sizes["gzip"] >= sizes[""] || sizes["br, gzip;q=0"] != sizes[""] || sizes["deflate, GZIP;q=0.5"] != sizes["gzip"] {
		t.Errorf("sizes = %v, want gzip where it is accepted", sizes)
	}
}

func TestCensusFile_StaysReadableByOldToolsAndLearnsNothingFromOthersNumbers(t *testing.T) {
	dir := t.TempDir()
	d := openDesk(t, dir, noon())
	p, key := someone(t)
	d.user(t, p, noon())
	if err := d.flush(noon().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	text := read(t, filepath.Join(dir, censusFile))
	entries, err := stats.ParseRegistry(strings.NewReader(text), noon().Add(time.Hour))
	if err != nil || len(entries) != 1 || entries[0].PeerPubkey != key || entries[0].Transport != "tcp" || entries[0].Agent != "bitterbot/1.2.3" {
		t.Errorf("as fleetctl reads it: %+v, %v", entries, err)
	}
	var raw []map[string]any
	if err := json.Unmarshal([]byte(text), &raw); err != nil || len(raw) != 1 {
		t.Fatalf("census = %s, %v; want an array of one", text, err)
	}
	for _, name := range []string{"peer_pubkey", "last_peer_id", "first_seen_at", "last_seen_at", "tier", "address_type", "connection_count"} {
		if _, there := raw[0][name]; !there {
			t.Errorf("the census lacks %s", name)
		}
	}
	// The same text as an import elsewhere: its numbers are of another life.
	other := openDesk(t, t.TempDir(), noon())
	write(t, filepath.Join(other.dir, importFile), text)
	if err := other.takeImport(noon()); err != nil {
		t.Fatal(err)
	}
	c := newCollector()
	if n := c.collect(t, other.ledger); n != 1 || other.lifeNow().last != 1 {
		t.Errorf("imported: %d entries, last change %d; want its own first change", n, other.lifeNow().last)
	}
}

func FuzzParseCursors(f *testing.F) {
	f.Add([]byte(`{"version":1,"registry":"0123456789abcdef0123456789abcdef","reserved":5,"census":["x"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseCursors(text)
		if err == nil && (!isID(c.Registry) || c.Reserved+reserveAhead < c.Reserved) {
			t.Errorf("%q: %+v", text, c)
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	f.Add("0123456789abcdef0123456789abcdef-7")
	f.Fuzz(func(t *testing.T, text string) {
		id, n, err := parseCursor(text)
		if err != nil {
			if !errors.Is(err, errCursor) {
				t.Errorf("%q: %v, want that it is no cursor", text, err)
			}
			return
		}
		if l := (life{id: id}); text != "" && l.cursor(n) != text {
			t.Errorf("%q reads as %s", text, l.cursor(n))
		}
	})
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// wire is the body of an answer as it goes over the wire.
func wire(t testing.TB, r *Relay, path string) []byte {
	t.Helper()
	q := httptest.NewRequest("GET", path, nil)
	q.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, q)
	if w.Code != 200 {
		t.Fatalf("GET %s = %d %s", path, w.Code, w.Body)
	}
	return bytes.Clone(w.Body.Bytes())
}
