package bigmerge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

var now = time.Unix(1_800_000_000, 0)

// small is a merger that goes to disk after so many peers.
func small(t *testing.T, peers int, own [][32]byte) *Merger {
	t.Helper()
	m := New(Options{Dir: t.TempDir(), Own: own})
	m.most = peers
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// known is what a map knows of a peer.
type known struct {
	first, last int64
	relays      map[int]bool
}

func TestMerger_CountsAsAMapDoes(t *testing.T) {
	for _, c := range []struct{ memory, rows, keys, relays int }{
		{1 << 20, 10_000, 4_000, 3}, // no run
		{400, 10_000, 4_000, 3},     // many runs, a census in several
		{20, 6_000, 1_000, 7},       // more runs than files may be open
		{50, 2_000, 2_000, 200},     // many censuses in a run
		{1, 100, 10, 2},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			key := func() (k [32]byte) {
				n := random.IntN(c.keys)
				k[0], k[8], k[31] = byte(n), byte(n>>8), byte(n>>16)
				return k
			}
			ours := key()
			m := small(t, c.memory, [][32]byte{ours, {255, 255}})
			model, counts := make(map[[32]byte]*known), make([]uint64, c.relays)
			for relay := range c.relays {
				m.Begin()
				for range c.rows / c.relays {
					k, first := key(), now.Unix()-random.Int64N(40*86400)
					last := first + random.Int64N(now.Unix()-first+1)
					if err := m.Add(k, first, last); err != nil {
						t.Fatal(err)
					}
					if k == ours {
						continue
					}
					p := model[k]
					if p == nil {
						p = &known{first, last, make(map[int]bool)}
						model[k] = p
					}
					p.first, p.last = min(p.first, first), max(p.last, last)
					if !p.relays[relay] {
						p.relays[relay] = true
						counts[relay]++
					}
				}
			}
			want := stats.NewTally(now)
			for k, p := range model {
				want.Add(&stats.Sight{Key: k, First: uint32(p.first), Last: uint32(p.last), Relays: uint32(len(p.relays))})
			}
			var keys [][32]byte
			got, err := m.Result(t.Context(), now, func(s *stats.Sight) error {
				keys = append(keys, s.Key)
				p := model[s.Key]
				if p == nil || int64(s.First) != p.first || int64(s.Last) != p.last || int(s.Relays) != len(p.relays) {
					t.Errorf("got %+v, want %+v", s, p)
				}
				return nil
			})
			if err != nil || !reflect.DeepEqual(got.Tally, *want) || !slices.Equal(got.Counts, counts) || got.Own != 1 {
				t.Errorf("got %+v and %v, want %+v, %v and one of our own", got, err, *want, counts)
			}
			sorted := slices.SortedFunc(maps.Keys(model), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
			if !slices.Equal(keys, sorted) {
				t.Errorf("got %d keys, want %d in their order", len(keys), len(sorted))
			}
			if wantRuns := len(model) >= c.memory; (got.Runs > 0) != wantRuns {
				t.Errorf("got %d runs of %d peers", got.Runs, c.memory)
			}
		})
	}
}

func TestMerger_ReadsCensusesAndSaysWhatIsDamaged(t *testing.T) {
	m := small(t, 100, nil)
	census := func(from, to int) []byte {
		var list []stats.CensusEntry
		for i := from; i < to; i++ {
			key := [32]byte{byte(i), byte(i >> 8), 1}
			list = append(list, stats.CensusEntry{PeerPubkey: base64.StdEncoding.EncodeToString(key[:]), FirstSeenAt: 1, LastSeenAt: now.Unix()})
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if err := m.AddCensus(t.Context(), bytes.NewReader(census(0, 300)), now, stats.ScanOptions{}); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Replace(census(200, 500), []byte("peer_pubkey"), []byte("pubkey"), 1)
	var damaged *stats.DamagedError
	if err := m.AddCensus(t.Context(), bytes.NewReader(bad), now, stats.ScanOptions{}); !errors.As(err, &damaged) || damaged.Damaged != 1 {
		t.Fatalf("got %v, want one damaged entry", err)
	}
	got, err := m.Result(t.Context(), now, nil)
	if err != nil || got.Peers != 500 || !slices.Equal(got.Overlap, []uint64{401, 99}) || !slices.Equal(got.Counts, []uint64{300, 299}) {
		t.Errorf("got %+v and %v, want 500 peers, 99 of them at both", got, err)
	}
}

func TestMerger_LeavesNoFiles(t *testing.T) {
	m := small(t, 10, nil)
	m.Begin()
	for i := range 1000 {
		if err := m.Add([32]byte{byte(i), byte(i >> 8)}, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(m.o.Dir)
	if err != nil || len(files) > 0 || len(m.runs) == 0 {
		t.Errorf("got %v in the directory and %d runs (%v), want files without names", files, len(m.runs), err)
	}
}

func TestMerger_SaysWhatTheDiskRefused(t *testing.T) {
	m := small(t, 10, nil)
	m.o.Dir += "/gone"
	m.Begin()
	var err error
	for i := range 10 {
		err = m.Add([32]byte{byte(i)}, 1, 2)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the directory is not there", err)
	}
	if again := m.Add([32]byte{99}, 1, 2); !errors.Is(again, err) {
		t.Errorf("got %v, want the same again: what was lost is not counted", again)
	}
	if _, again := m.Result(t.Context(), now, nil); !errors.Is(again, err) {
		t.Errorf("got %v, want no result", again)
	}
}

func TestMerger_AFileThatWasCutIsAnError(t *testing.T) {
	m := small(t, 10, nil)
	m.Begin()
	for i := range 25 {
		if err := m.Add([32]byte{byte(i)}, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.runs[1].file.Truncate(5*recordLength + 1); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Result(t.Context(), now, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestMerger_StopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the operator went away")
	cancel(gone)
	m := small(t, 1<<20, nil)
	m.Begin()
	for i := range 20_000 {
		if err := m.Add([32]byte{byte(i), byte(i >> 8)}, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Result(ctx, now, nil); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}
