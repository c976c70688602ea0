package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mr-tron/base58"
	"github.com/parquet-go/parquet-go"

	"github.com/relayfleet/fleetctl/stats"
)

func TestForget_APeerIsGoneFromTheFilesAndDoesNotComeBack(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, FileName), Options{})
	at := monday()
	r := answer(1, at, 2, entry(1, at, at), entry(2, at, at))
	ingest(t, s, at, r, answer(2, at, 0, entry(1, at, at)))
	f, err := s.Forget(t.Context(), at, peerID(1))
	if err != nil || !f.Known || f.Relays != 2 {
		t.Errorf("got %+v %v, want a known peer of 2 relays", f, err)
	}
	ingest(t, s, at, r)
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "1")
	relays, err := s.Relays(t.Context())
	if err != nil || relays[0].Peers != 1 || relays[1].Peers != 0 {
		t.Errorf("peers of the relays: got %+v %v, want 1 and 0", relays, err)
	}
	var left int
	if err := one(t.Context(), s.reader, `SELECT COUNT(*) FROM sightings WHERE peer NOT IN (SELECT id FROM peers)`, nil, &left); err != nil || left != 0 {
		t.Errorf("got %d sightings of nobody, %v; want none", left, err)
	}
	events, err := s.Events(t.Context(), at, at.Add(time.Second), 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(events)
	if err != nil || !strings.Contains(string(text), string(EventForgot)) || strings.Contains(string(text), peerID(1)) {
		t.Errorf("events: got %s %v, want that a peer was forgotten and not which", text, err)
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(filepath.Join(dir, FileName+suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for what, trace := range map[string][]byte{"key": rawKey(1), "peer ID": []byte(peerID(1)), "base64": []byte(key(1))} {
			if bytes.Contains(text, trace) {
				t.Errorf("the %s still stands in %s%s", what, FileName, suffix)
			}
		}
	}
}

func TestForget_TakesEveryWayToNameAPeer(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	rsa := bytes.Repeat([]byte{7}, 294)
	long := entry(3, at, at)
	long.PeerPubkey = base64.StdEncoding.EncodeToString(rsa)
	ingest(t, s, at, answer(1, at, 0, entry(1, at, at), entry(2, at, at), long, entry(4, at, at)))
	sum := sha256.Sum256(append([]byte{0x08, 0x00, 0x12, 0xa6, 0x02}, rsa...))
	hash := append([]byte{0x12, 32}, sum[:]...)
	for i, name := range []string{
		peerID(1), hex.EncodeToString(rawKey(2)), base58.Encode(hash), key(4),
	} {
		if f, err := s.Forget(t.Context(), at, name); err != nil || !f.Known {
			t.Errorf("%d: %s: got %+v %v, want a known peer", i, name, f, err)
		}
	}
	ingest(t, s, at, answer(1, at, 0))
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "0")
	for _, bad := range []string{"", "12D3KooW", "peer'; DROP TABLE peers", "../../etc/passwd", "-1", strings.Repeat("1", 100_000)} {
		var hint interface{ Hint() string }
		if _, err := s.Forget(t.Context(), at, bad); !errors.As(err, &hint) {
			t.Errorf("%.20q: got %v, want a refusal with a hint", bad, err)
		}
	}
}

func TestExportAnonymous_TellsNobodyApart(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	var list []stats.CensusEntry
	for n := range 40 {
		e := entry(n, at, at)
		switch {
		case n < 3:
			e.Agent, e.Tier = fmt.Sprintf("rare/%d", n), "management"
		case n < 9:
			e.Agent = fmt.Sprintf("kubo/0.%d", n) // six of one name
		}
		list = append(list, e)
	}
	ingest(t, s, at, answer(1, at, 0, list...))
	export := func(f Format) (Exported, []byte) {
		t.Helper()
		var out bytes.Buffer
		got, err := s.ExportAnonymous(t.Context(), &out, Anonymous{Format: f})
		if err != nil {
			t.Fatal(err)
		}
		return got, out.Bytes()
	}
	got, first := export(FormatJSON)
	if want := (Exported{Peers: 37, Coarsened: 6, Withheld: 3, Floor: 5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var rows []AnonymousRow
	if err := json.Unmarshal(first, &rows); err != nil {
		t.Fatal(err)
	}
	groups := make(map[AnonymousRow]int)
	hashes := make(map[string]bool)
	for _, r := range rows {
		hashes[r.Peer] = true
		r.Peer = ""
		groups[r]++
	}
	for g, n := range groups {
		if n < 5 {
			t.Errorf("got %d rows of %+v, want at least 5", n, g)
		}
	}
	if len(hashes) != 37 {
		t.Errorf("got %d hashes, want 37", len(hashes))
	}
	_, second := export(FormatJSON)
	for hash := range hashes {
		if bytes.Contains(second, []byte(hash)) {
			t.Errorf("the hash %s stands in two exports", hash)
		}
	}
	for n := range 40 {
		for _, trace := range []string{peerID(n), key(n), hex.EncodeToString(rawKey(n))} {
			if bytes.Contains(first, []byte(trace)) {
				t.Errorf("peer %d stands in the export as %s", n, trace)
			}
		}
	}
	_, table := export(FormatParquet)
	read, err := parquet.Read[AnonymousRow](bytes.NewReader(table), int64(len(table)))
	if err != nil || len(read) != 37 || read[0].Family != "ipv4" {
		t.Errorf("parquet: got %d rows, %v; want 37", len(read), err)
	}
}

func TestCoarsen_NoGroupIsSmallerThanTheFloor(t *testing.T) {
	groups := make(map[group]uint64)
	for n := range 500 {
		groups[group{
			firstWeek: fmt.Sprint(n % 7), lastWeek: fmt.Sprint(n % 5), tier: fmt.Sprint(n % 3), family: fmt.Sprint(n % 2),
			transport: fmt.Sprint(n * n % 11), agent: fmt.Sprintf("name%d/%d", n%13, n),
		}] = uint64(n%4 + 1)
	}
	told := coarsen(groups, 5)
	sums := make(map[group]uint64)
	for g, coarse := range told {
		sums[coarse] += groups[g]
	}
	for g, n := range sums {
		if n < 5 {
			t.Errorf("%+v: got %d peers, want at least 5", g, n)
		}
	}
	if len(told) < 490 {
		t.Errorf("got %d of 500 groups told of, want nearly all", len(told))
	}
}
