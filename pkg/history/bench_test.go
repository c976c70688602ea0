package history

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// population is n peers as one relay knows them, in the order in which it met them.
func population(n int, at time.Time) []stats.CensusEntry {
	out := make([]stats.CensusEntry, n)
	raw := make([]byte, 32)
	for i := range out {
		binary.BigEndian.PutUint64(raw, uint64(i)*0x9E3779B97F4A7C15) // spread as hashes are
		binary.BigEndian.PutUint64(raw[8:], uint64(i))
		first := at.Add(-time.Duration(i%(90*24)) * time.Hour)
		out[i] = stats.CensusEntry{
			PeerPubkey: base64.StdEncoding.EncodeToString(raw), FirstSeenAt: first.Unix(), LastSeenAt: at.Add(-time.Duration(i%600) * time.Minute).Unix(),
			Tier: "edge", AddressType: "ipv4_public", ConnectionCount: 3, Transport: "tcp", Agent: fmt.Sprintf("kubo/0.%d", i%40),
		}
		out[i].FirstSeenAt = min(out[i].FirstSeenAt, out[i].LastSeenAt)
	}
	return out
}

// BenchmarkIngest_NewPeers takes a census of new peers in.
func BenchmarkIngest_NewPeers(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			at := monday()
			list := population(n, at)
			for b.Loop() {
				b.StopTimer()
				s, err := Open(b.Context(), b.TempDir()+"/"+FileName, Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				sum, err := s.Ingest(b.Context(), at, []stats.Reading{answer(1, at, 5, list...)})
				if err != nil || sum.New != uint64(n) {
					b.Fatalf("got %d new, %v", sum.New, err)
				}
				b.StopTimer()
				pages, size := int64(0), int64(0)
				if err := one(b.Context(), s.reader, `SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`, nil, &pages, &size); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(pages*size)/float64(n), "B/peer")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkIngest_NothingNew is a collection of 3 relays in which nobody is new, in a
// store of 100,000 peers; and that of 100 relays.
func BenchmarkIngest_NothingNew(b *testing.B) {
	for _, relays := range []int{3, 100} {
		b.Run(fmt.Sprintf("%drelays", relays), func(b *testing.B) {
			at := monday()
			s, err := Open(b.Context(), b.TempDir()+"/"+FileName, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Ingest(b.Context(), at, []stats.Reading{answer(1, at, 5, population(100_000, at)...)}); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				at = at.Add(time.Minute)
				readings := make([]stats.Reading, relays)
				for i := range readings {
					readings[i] = answer(i+1, at, 5)
				}
				if _, err := s.Ingest(b.Context(), at, readings); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFigures asks a store of 100,000 peers for everything.
func BenchmarkFigures(b *testing.B) {
	at := monday()
	s, err := Open(b.Context(), b.TempDir()+"/"+FileName, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Ingest(b.Context(), at, []stats.Reading{answer(1, at, 5, population(100_000, at)...)}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Figures(b.Context(), at); err != nil {
			b.Fatal(err)
		}
	}
}
