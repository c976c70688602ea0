package history

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/mr-tron/base58"

	"github.com/relayfleet/fleetctl/stats"
)

// monday is where the clocks of the tests begin: a Monday, 12:00 UTC.
func monday() time.Time { return time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC) }

func open(t *testing.T, o Options) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), FileName), o)
}

func openAt(t *testing.T, path string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.writer != nil {
		quicken(t, s)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// quicken does not wait for the disk, which no test can pull out.
func quicken(t interface{ Fatal(...any) }, s *Store) {
	if _, err := s.writer.ExecContext(context.Background(), `PRAGMA synchronous = OFF`); err != nil {
		t.Fatal(err)
	}
}

// rawKey is the n-th public key.
func rawKey(n int) []byte {
	key := make([]byte, 32)
	copy(key, fmt.Sprintf("%x key %d", n*7919%1000, n))
	return key
}

func key(n int) string { return base64.StdEncoding.EncodeToString(rawKey(n)) }

// peerID is the Ed25519 peer ID of the n-th key.
func peerID(n int) string {
	return base58.Encode(append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, rawKey(n)...))
}

func entry(n int, first, last time.Time) stats.CensusEntry {
	return stats.CensusEntry{
		PeerPubkey: key(n), FirstSeenAt: first.Unix(), LastSeenAt: last.Unix(), Tier: "edge", AddressType: "ipv4_public",
		ConnectionCount: 1, Transport: "tcp", Agent: "kubo/0.30",
	}
}

// answer is a reading of a relay that is well: node n has key -n and epoch n.
func answer(n int, at time.Time, users int, entries ...stats.CensusEntry) stats.Reading {
	minute := at.Truncate(time.Minute).Add(-time.Minute).Unix()
	return stats.Reading{
		Node: fmt.Sprintf("nyc1-%d", n), Region: "nyc1", PeerID: peerID(-n), At: at, Delta: append([]stats.CensusEntry{}, entries...),
		Cursor: fmt.Sprintf("cursor %d of %d", at.Unix(), n),
		Telemetry: &stats.Telemetry{
			PeerID: peerID(-n), Now: at.Unix(), Epoch: fmt.Sprintf("epoch%d", n), Registry: fmt.Sprintf("registry%d", n),
			Minutes: [][2]int64{{minute, int64(users)}}, Gauges: stats.Gauges{Users: users, NATStatus: "public"},
		},
	}
}

func silent(n int, why string) stats.Reading {
	return stats.Reading{Node: fmt.Sprintf("nyc1-%d", n), Region: "nyc1", PeerID: peerID(-n), Err: fmt.Errorf("%s", why)}
}

func ingest(t *testing.T, s *Store, at time.Time, readings ...stats.Reading) Summary {
	t.Helper()
	sum, err := s.Ingest(t.Context(), at, readings)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func figures(t *testing.T, s *Store, at time.Time) Figures {
	t.Helper()
	f, err := s.Figures(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// text writes a figure as "3", "at least 3 without nyc1-2" or "unknown".
func text(f stats.Figure) string {
	out := "unknown"
	if f.Value != nil {
		out = fmt.Sprintf("%g", *f.Value)
	}
	if f.AtLeast {
		out = "at least " + out
	}
	for i, node := range f.Missing {
		if i == 0 {
			out += " without"
		}
		out += " " + node
	}
	return out
}

func wantFigure(t *testing.T, f Figures, metric, want string) {
	t.Helper()
	if got := text(f.Values[metric]); got != want {
		t.Errorf("%s: got %s, want %s", metric, got, want)
	}
}

// points writes a series of one line.
func points(t *testing.T, s *Store, metric string, q Query) []string {
	t.Helper()
	all, err := s.Series(context.WithoutCancel(t.Context()), metric, q)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, line := range all {
		for _, p := range line.Points {
			label := ""
			if line.Label != "" {
				label = line.Label + " "
			}
			out = append(out, label+p.At.Format("01-02 15:04 ")+text(p.Figure))
		}
	}
	return out
}

// kinds are the events of a summary.
func kinds(events []Event) []EventKind {
	var out []EventKind
	for _, e := range events {
		out = append(out, e.Kind)
	}
	return out
}
