package stats

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
)

func TestMergeEntries_IsCommutativeAndIdempotent(t *testing.T) {
	a, b := peers(0, 10), peers(5, 15)
	for i := range b {
		b[i].LastSeenAt += int64(i%3-1) * 100
		b[i].FirstSeenAt -= int64(i%2) * 500
		b[i].LastPeerID, b[i].ConnectionCount = "other", uint64(i)
	}
	want := MergeEntries(a, b)
	if len(want) != 15 {
		t.Fatalf("got %d entries, want 15", len(want))
	}
	for name, got := range map[string][]CensusEntry{
		"b, a": MergeEntries(b, a), "again": MergeEntries(want, b), "with itself": MergeEntries(want, want), "with nothing": MergeEntries(nil, want),
	} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	one := MergeEntries(
		[]CensusEntry{{PeerPubkey: someKey, LastPeerID: "old", FirstSeenAt: 5, LastSeenAt: 7, ConnectionCount: 9, Tier: "edge"}},
		[]CensusEntry{{PeerPubkey: someKey, LastPeerID: "new", FirstSeenAt: 6, LastSeenAt: 8, ConnectionCount: 2, Tier: "core"}})
	if got := (CensusEntry{PeerPubkey: someKey, LastPeerID: "new", FirstSeenAt: 5, LastSeenAt: 8, ConnectionCount: 9, Tier: "core"}); len(one) != 1 || one[0] != got {
		t.Errorf("got %+v, want %+v", one, got)
	}
	if got := MergeEntries(nil, nil); got == nil {
		t.Error("got nil, want an empty list")
	}
}

func TestKeyOfPeer_ReadsTheKeyInThePeerID(t *testing.T) {
	key, ok := keyOfPeer(somePeer)
	if got := base64.StdEncoding.EncodeToString(key[:]); !ok || got != someKey {
		t.Errorf("got %s, want %s", got, someKey)
	}
	for _, id := range []string{"", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "12D3KooW0", strings.Repeat("1", 400)} {
		if _, ok := keyOfPeer(id); ok {
			t.Errorf("%q has a key", id)
		}
	}
}

func BenchmarkMergeEntries(b *testing.B) {
	left, right := peers(0, 100_000), peers(50_000, 150_000)
	b.ReportAllocs()
	for b.Loop() {
		MergeEntries(left, right)
	}
}
