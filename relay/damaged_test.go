package relay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// censusOf is a census file of so many peers, and their keys.
func censusOf(t testing.TB, n int) (text string, keys []string) {
	t.Helper()
	var entries []stats.CensusEntry
	for range n {
		p, key := someone(t)
		e := entry(key, 1000, 2000, 3)
		e.LastPeerID = p.String()
		entries, keys = append(entries, e), append(keys, key)
	}
	out, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n", keys
}

func TestArchive_OfADamagedCensusAllButTheDamagedRowIsUsed(t *testing.T) {
	whole, keys := censusOf(t, 20)
	eleventh := strings.Index(whole, keys[10])
	for _, c := range []struct {
		name, text string
		lost       []int
	}{
		{"cut off in a row", whole[:eleventh+3], []int{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
		{"cut off before the end", whole[:len(whole)-2], nil},
		{"a row whose text is torn", whole[:eleventh+3] + whole[eleventh+60:], []int{10}},
		{"zeros from a crash", whole[:eleventh+3] + strings.Repeat("\x00", 60) + whole[eleventh+63:], []int{10}},
		{"a row that makes no sense", strings.Replace(whole, `"peer_pubkey":"`+keys[10]+`"`, `"peer_pubkey":"?"`, 1), []int{10}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, censusFile)
		write(t, path, c.text)
		// Killed before the first write, three times: nothing is lost, and it is set aside once.
		var d desk
		for i := range 3 {
			d = openDesk(t, dir, noon().Add(time.Duration(i)*time.Hour))
		}
		lost := make(map[int]bool)
		for _, i := range c.lost {
			lost[i] = true
		}
		for i, key := range keys {
			if _, known := d.registry.entries[key]; known == lost[i] {
				t.Errorf("%s: peer %d known %t, want %t", c.name, i, known, !lost[i])
			}
		}
		if kept := d.asides(censusFile); len(kept) != 1 || read(t, filepath.Join(dir, kept[0])) != c.text {
			t.Errorf("%s: set aside as %v, want the damaged text once", c.name, kept)
		}
		if err := d.flush(noon()); err != nil {
			t.Fatal(err)
		}
		entries, bad, err := parseCensus([]byte(read(t, path)), noon())
		if err != nil || bad != nil || len(entries) != len(keys)-len(c.lost) {
			t.Errorf("%s: wrote %d peers, %v, %v; want the %d that were read", c.name, len(entries), bad, err, len(keys)-len(c.lost))
		}
	}
}

func TestArchive_SaysThatCountsWereLostUntilTheDamagedFileIsTakenAway(t *testing.T) {
	for _, name := range []string{censusFile, countersFile} {
		cfg := loopback(t)
		write(t, filepath.Join(cfg.State, name), "[{")
		said := func(r *Relay) []string {
			w := call(r.handler(), "GET", "/readyz", "127.0.0.1:1", "")
			var ready stats.Ready
			if err := json.Unmarshal(w.Body.Bytes(), &ready); err != nil {
				t.Fatal(err)
			}
			return ready.Warnings
		}
		aside := ""
		for i := range 3 {
			r := idle(t, cfg)
			if err := r.archive.flush(noon()); err != nil {
				t.Fatal(err)
			}
			kept := r.archive.asides(name)
			if len(kept) != 1 {
				t.Fatalf("%s: set aside as %v, want one file", name, kept)
			}
			aside = filepath.Join(cfg.State, kept[0])
			if got := said(r); len(got) != 1 || !strings.Contains(got[0], kept[0]) {
				t.Errorf("%s, start %d: /readyz warns of %q, want %s", name, i+1, got, kept[0])
			}
			want := name == censusFile
			if got := r.archive.damaged(censusFile); got != want {
				t.Errorf("%s, start %d: relay_census_damaged = %t, want %t", name, i+1, got, want)
			}
			if told := telling(t, r).Damaged; len(told) != 1 || stats.DamagesCensus(told[0]) != want {
				t.Errorf("%s, start %d: collectors are told %q, want one text that they take for damage of the census: %t", name, i+1, told, want)
			}
			if i == 2 {
				if err := os.Rename(aside, filepath.Join(t.TempDir(), "taken")); err != nil {
					t.Fatal(err)
				}
				if got := said(r); len(got) != 0 {
					t.Errorf("%s: /readyz warns of %q, want nothing: the file was taken away", name, got)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestArchive_OfATornImportTheRestIsMerged(t *testing.T) {
	text, keys := censusOf(t, 5)
	dir := t.TempDir()
	whole, _, _ := strings.Cut(text, keys[4])
	write(t, filepath.Join(dir, importFile), whole)
	d := openDesk(t, dir, noon())
	for range 2 {
		if err := d.takeImport(noon()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(len(d.registry.entries), len(d.asides(importFile)), len(d.complaints())); got != "4 1 1" {
		t.Errorf("peers, files set aside, complaints: got %s, want 4 1 1", got)
	}
}
