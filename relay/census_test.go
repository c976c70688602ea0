package relay

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/stats"
)

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// someone is a peer with its key as the census writes it.
func someone(t testing.TB) (peer.ID, string) {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := crypto.UnmarshalEd25519PublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id, base64.StdEncoding.EncodeToString(public)
}

func entry(key string, first, last int64, count uint64) stats.CensusEntry {
	return stats.CensusEntry{PeerPubkey: key, FirstSeenAt: first, LastSeenAt: last, ConnectionCount: count, Tier: "edge", AddressType: "ipv6"}
}

func TestParseCensus_KeepsWhatIsSoundAndNamesTheRest(t *testing.T) {
	_, key := someone(t)
	text := fmt.Sprintf(`[{"peer_pubkey":%q,"first_seen_at":9999999999,"last_seen_at":9999999999,"tier":"a\u001b[31m","address_type":"moon","new":1},
		{"peer_pubkey":""},{"peer_pubkey":%q,"last_peer_id":"nobody"},{"peer_pubkey":%q,"last_seen_at":-5},7]`, key, key, key)
	entries, bad, err := parseCensus([]byte(text), noon())
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries = %+v %v, want the sound one", entries, err)
	}
	if bad == nil || !strings.Contains(bad.Error(), "4 of 5 entries, first entry 1") {
		t.Errorf("bad = %v", bad)
	}
	e := entries[0]
	if e.LastSeenAt != noon().Unix() || e.FirstSeenAt != noon().Unix() || e.Tier != unknownWord || e.AddressType != "other" {
		t.Errorf("entry = %+v, want no future, no terminal escape, a known address type", e)
	}
}

func TestParseCensus_ProbesThatADaemonOfOldTookForUsersAreLeftOut(t *testing.T) {
	_, key := someone(t)
	_, probe := someone(t)
	old, err := json.Marshal([]stats.CensusEntry{
		{PeerPubkey: probe, Tier: tierOf(stats.ProbeAgent("1.2.3")), FirstSeenAt: 1, LastSeenAt: 2}, entry(key, 1, 2, 3),
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, bad, err := parseCensus(old, noon())
	if err != nil || bad != nil || len(entries) != 1 || entries[0].PeerPubkey != key {
		t.Errorf("entries = %+v, %v, %v; want the user alone, and nothing to complain of", entries, bad, err)
	}
}

func TestRegistry_CountsPeersOnceAndForgetsTheLongestUnseen(t *testing.T) {
	r := newRegistry(10)
	var forgotten uint64
	for i := range 100 {
		forgotten += r.seen(entry(fmt.Sprint(i), 0, 0, 0), noon().Add(time.Duration(i)*time.Second))
	}
	if len(r.entries) > 10 || uint64(len(r.entries))+forgotten != 100 {
		t.Errorf("kept %d, forgot %d, want at most 10 and 100 together", len(r.entries), forgotten)
	}
	if _, there := r.entries["99"]; !there {
		t.Error("the newest was forgotten")
	}
	r = newRegistry(10)
	r.merge([]stats.CensusEntry{entry("AAAA", 5, 50, math.MaxUint64)})
	r.merge([]stats.CensusEntry{entry("AAAA", 3, 40, 7)})
	r.seen(entry("AAAA", 0, 0, 0), noon())
	if e := r.entries["AAAA"]; e.FirstSeenAt != 3 || e.LastSeenAt != noon().Unix() || e.ConnectionCount != math.MaxUint64 {
		t.Errorf("entry = %+v, want first 3, last now, a count that does not wrap", e)
	}
}

func TestSummary_ActivityAndBoundedTiers(t *testing.T) {
	r := newRegistry(1000)
	for i := range 200 {
		e := entry(fmt.Sprint(i), 0, 0, 0)
		e.Tier = fmt.Sprint("tier", i)
		r.seen(e, noon().Add(-time.Duration(i)*time.Hour))
	}
	c := r.summary(noon())
	if c.LifetimeUniquePeers != 200 || c.ActiveLast24h != 25 || c.ActiveLast7d != 169 {
		t.Errorf("summary = %+v, want 200, 25 and 169", c)
	}
	if len(c.ByTier) > groupsListed+1 {
		t.Errorf("%d tiers are listed, want at most %d", len(c.ByTier), groupsListed+1)
	}
}

func TestArchive_ImportIsMergedOnceAndRenamedAway(t *testing.T) {
	cfg := loopback(t)
	_, key := someone(t)
	text, err := json.Marshal([]stats.CensusEntry{entry(key, 1000, 2000, 3)})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, cfg)
	for range 2 { // dropped again, it changes nothing
		path := filepath.Join(cfg.State, importFile)
		write(t, path+".tmp", string(text))
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the import is taken", func() bool { return !exists(path) })
	}
	if c := r.ledger.census(time.Now()); c.LifetimeUniquePeers != 1 {
		t.Errorf("census = %+v, want the imported peer once", c)
	}
	r.stop()
	var entries []stats.CensusEntry
	if err := json.Unmarshal([]byte(read(t, filepath.Join(cfg.State, censusFile))), &entries); err != nil || len(entries) != 1 || entries[0].ConnectionCount != 3 {
		t.Errorf("census on disk = %+v %v", entries, err)
	}
	merged, err := filepath.Glob(filepath.Join(cfg.State, importFile+".merged-*"))
	if err != nil || len(merged) != 2 {
		t.Errorf("renamed away = %v %v, want both", merged, err)
	}
	again := start(t, cfg)
	if c := again.ledger.census(time.Now()); c.LifetimeUniquePeers != 1 || c.ByTier["edge"] != 1 {
		t.Errorf("after a restart census = %+v", c)
	}
}

func TestArchive_ADamagedImportAndDamagedCountersAreSetAside(t *testing.T) {
	cfg := loopback(t)
	write(t, filepath.Join(cfg.State, importFile), "[{")
	write(t, filepath.Join(cfg.State, countersFile), `{"version":1,"peak":-1}`)
	r := start(t, cfg)
	eventually(t, "both are named", func() bool { return len(r.readiness().Warnings) == 2 })
	for _, name := range []string{importFile, countersFile} {
		aside, err := filepath.Glob(filepath.Join(cfg.State, name+".damaged-*"))
		if err != nil || len(aside) != 1 {
			t.Errorf("%s: set aside = %v %v, want one", name, aside, err)
		}
	}
}

func TestArchive_AFileThatCannotBeSetAsideIsNeverWritten(t *testing.T) {
	dir := t.TempDir()
	a := newArchive(dir, newLedger(Default(), noon()), slog.New(slog.DiscardHandler))
	// A directory in the way: it can neither be read nor be replaced.
	path := filepath.Join(dir, censusFile)
	write(t, filepath.Join(path, "inside"), "x")
	a.sealed[censusFile] = true
	if err := a.flush(noon()); err != nil {
		t.Errorf("flush = %v, want the sealed file left out", err)
	}
	delete(a.sealed, censusFile)
	if err := a.flush(noon()); err == nil || len(a.complaints()) != 1 {
		t.Errorf("flush = %v, complaints %q, want an error that readyz names", err, a.complaints())
	}
	if !exists(filepath.Join(path, "inside")) {
		t.Error("what was in the way was destroyed")
	}
}

func TestMinutes_KeepTheNewestSixtyAndBearAClockThatGoesBack(t *testing.T) {
	var m minutes
	for i := range 100 {
		m.add(noon().Add(time.Duration(i)*time.Minute), 2)
	}
	m.add(noon(), 1)
	if len(m) != minutesKept || m[59][1] != 3 || m.check() != nil {
		t.Errorf("minutes = %v, want the newest %d and the late one in the last", m, minutesKept)
	}
	m = nil
	m.add(noon(), -1)
	if len(m) != 0 {
		t.Errorf("minutes = %v, want none", m)
	}
}

func TestLedger_AFleetRelayThatWasTakenForAUserIsTakenBack(t *testing.T) {
	l := newLedger(Default(), noon())
	p, _ := someone(t)
	addr := mustAddr(t, "/ip4/8.8.8.8/tcp/1")
	l.connected(p, nil, addr, noon())
	l.granted(p, noon().Add(time.Hour), noon()) // before identify: credited when it is through
	l.identified(p, "x/1/edge", nil, noon())
	if f := l.figures(); f.users != 1 || f.counters.Reservations != 1 || f.addressTypes["ipv4_public"] != 1 {
		t.Fatalf("figures = %+v, want a user with a reservation", f)
	}
	l.identified(p, "x/2/management", nil, noon()) // identify push
	l.setFleet([]peer.ID{p})
	if f := l.figures(); f.users != 0 || f.counters.Joined != 0 || f.lifetime != 0 || f.fleet != 1 {
		t.Errorf("figures = %+v, want no user", f)
	}
	l.disconnected(p, noon())
	if f := l.figures(); f.counters.Left != 0 || f.fleet != 0 {
		t.Errorf("figures = %+v, want no leave", f)
	}
}

func TestTierOf_ReadsTheThirdFieldAndTrustsNothing(t *testing.T) {
	for agent, want := range map[string]string{
		"bitterbot/1.0/edge": "edge", "a/b/c/d": "c", "rust-libp2p/0.56": unknownWord, "": unknownWord, "a/b/": unknownWord,
		"a/b/\x1b[2J": unknownWord, "a/b/" + strings.Repeat("x", 65): unknownWord, "a/b/ünï": unknownWord,
	} {
		if got := tierOf(agent); got != want {
			t.Errorf("tierOf(%q) = %q, want %q", agent, got, want)
		}
	}
}

func TestParseFleetPeers_PutsLinesTogetherAndNamesBadOnes(t *testing.T) {
	p, _ := someone(t)
	text := fmt.Sprintf("# fleet\n\n/ip4/127.0.0.1/tcp/1/p2p/%s # one\r\n/ip4/127.0.0.1/udp/1/quic-v1/p2p/%s\nnonsense\n/ip4/127.0.0.1/tcp/1\n/p2p/%s\n", p, p, p)
	infos, bad := parseFleetPeers([]byte(text))
	if len(infos) != 1 || infos[0].ID != p || len(infos[0].Addrs) != 2 {
		t.Errorf("infos = %v, want one peer with two addresses", infos)
	}
	for _, line := range []string{"line 5", "line 6", "line 7"} {
		if bad == nil || !strings.Contains(bad.Error(), line) {
			t.Errorf("bad = %v, want %s named", bad, line)
		}
	}
}

func FuzzParseCensus(f *testing.F) {
	_, key := someone(f)
	f.Add([]byte(`[{"peer_pubkey":"` + key + `","last_peer_id":"","first_seen_at":1,"last_seen_at":2,"tier":"edge","address_type":"ipv6","connection_count":1}]`))
	f.Add([]byte(`[{},null,1,"a"]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, _, err := parseCensus(text, noon())
		if err != nil {
			return
		}
		r := newRegistry(100)
		r.load(entries, true)
		out, err := json.Marshal(r.list())
		if err != nil {
			t.Fatal(err)
		}
		again, bad, err := parseCensus(out, noon())
		if err != nil || bad != nil || len(again) != len(r.entries) {
			t.Errorf("what was read of %q cannot be read again: %v %v", text, bad, err)
		}
	})
}

func FuzzParseCounters(f *testing.F) {
	f.Add([]byte(`{"version":1,"joined":3,"joins_per_minute":[[60,1]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseCounters(text)
		if err != nil {
			return
		}
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseCounters(out); err != nil {
			t.Errorf("what was read of %q cannot be read again: %v", text, err)
		}
	})
}

func FuzzParseFleetPeers(f *testing.F) {
	p, _ := someone(f)
	f.Add([]byte("/ip4/127.0.0.1/tcp/1/p2p/" + p.String() + "\n# c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		infos, _ := parseFleetPeers(text)
		for _, info := range infos {
			if info.ID.Validate() != nil || len(info.Addrs) == 0 {
				t.Errorf("%q: %v", text, info)
			}
		}
	})
}
