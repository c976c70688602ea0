package dnsaddr_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
)

const mine = "fleetctl:demo/nyc1-1"

func TestDiff_ForeignIsKeptDriftIsUpdatedTwinsAreRemoved(t *testing.T) {
	have := []dnsaddr.Record{
		{ID: "1", Value: "same", TTL: time.Minute, Comment: mine},
		{ID: "2", Value: "twin", TTL: time.Hour, Comment: mine},
		{ID: "3", Value: "twin", TTL: time.Minute, Comment: mine},
		{ID: "4", Value: "gone", TTL: time.Minute, Comment: mine},
		{ID: "5", Value: "moved", TTL: time.Minute, Comment: "fleetctl:demo/fra1-1"},
		{ID: "6", Value: "ttl", TTL: time.Second, Comment: mine},
		{ID: "7", Value: "friend", TTL: time.Second, Comment: "by hand"},
		{ID: "8", Value: "other fleet", TTL: time.Second, Comment: "fleetctl:demo2/nyc1-1"},
		{ID: "9", Value: "two strings", Split: true, TTL: time.Minute, Comment: mine},
	}
	var want []dnsaddr.Record
	for _, v := range []string{"same", "twin", "moved", "ttl", "new", "friend", "two strings"} {
		want = append(want, dnsaddr.Record{Value: v, TTL: time.Minute, Comment: mine})
	}
	got := dnsaddr.Diff("demo", have, want)
	expected := dnsaddr.Changes{
		Add: []dnsaddr.Record{{Value: "new", TTL: time.Minute, Comment: mine}},
		Update: []dnsaddr.Record{
			{ID: "5", Value: "moved", TTL: time.Minute, Comment: mine},
			{ID: "6", Value: "ttl", TTL: time.Minute, Comment: mine},
			{ID: "9", Value: "two strings", TTL: time.Minute, Comment: mine},
		},
		Remove: []dnsaddr.Record{have[3], have[1]},
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// records of a few values, owners and TTLs, so that all of them meet.
func records(prefix string) *rapid.Generator[[]dnsaddr.Record] {
	return rapid.Custom(func(t *rapid.T) []dnsaddr.Record {
		out := make([]dnsaddr.Record, rapid.IntRange(0, 8).Draw(t, "n"))
		for i := range out {
			out[i] = dnsaddr.Record{
				ID:      fmt.Sprintf("%s%d", prefix, i),
				Value:   rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "value"),
				TTL:     time.Duration(rapid.IntRange(1, 2).Draw(t, "ttl")) * time.Second,
				Comment: rapid.SampledFrom([]string{"", "by hand", mine, "fleetctl:demo/fra1-1", "fleetctl:other/nyc1-1"}).Draw(t, "comment"),
			}
		}
		return out
	})
}

// wanted are records that the fleet demo would write.
func wanted() *rapid.Generator[[]dnsaddr.Record] {
	return rapid.Map(records("w"), func(in []dnsaddr.Record) []dnsaddr.Record {
		for i := range in {
			in[i].ID, in[i].Name, in[i].Comment = "", "name", mine
		}
		return in
	})
}

func ours(r dnsaddr.Record) bool {
	o, ok := r.Owner()
	return ok && o.Fleet == "demo"
}

func TestDiff_AppliedToAZoneLeavesNothingToDoAndForeignAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := zonetest.NewMemory()
		have := z.Put("name", records("h").Draw(t, "have")...)
		want := wanted().Draw(t, "want")
		c := dnsaddr.Diff("demo", have, want)
		for _, r := range slices.Concat(c.Update, c.Remove) {
			if !slices.ContainsFunc(have, func(h dnsaddr.Record) bool { return h.ID == r.ID && ours(h) }) {
				t.Fatalf("%+v is in a change, and not ours", r)
			}
		}
		if err := z.Apply(t.Context(), "name", c); err != nil {
			t.Fatal(err)
		}
		after, err := z.Records(t.Context(), "name")
		if err != nil {
			t.Fatal(err)
		}
		if again := dnsaddr.Diff("demo", after, want); !again.Empty() {
			t.Fatalf("second run: got %+v, want no changes", again)
		}
		foreign := func(in []dnsaddr.Record) []dnsaddr.Record {
			out := slices.DeleteFunc(slices.Clone(in), ours)
			slices.SortFunc(out, dnsaddr.Record.Compare)
			return out
		}
		if diff := cmp.Diff(foreign(have), foreign(after)); diff != "" {
			t.Fatalf("foreign records (-before +after):\n%s", diff)
		}
		for _, w := range want {
			if !slices.ContainsFunc(after, func(r dnsaddr.Record) bool { return r.Value == w.Value }) {
				t.Fatalf("%q is wanted and not published", w.Value)
			}
		}
	})
}

func TestDiff_DoesNotDependOnTheOrderOfRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := records("h").Draw(t, "have")
		want := slices.CompactFunc(wanted().Draw(t, "want"), func(a, b dnsaddr.Record) bool { return a.Value == b.Value })
		first := dnsaddr.Diff("demo", have, want)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		have = slices.Clone(have)
		r.Shuffle(len(have), func(i, j int) { have[i], have[j] = have[j], have[i] })
		if diff := cmp.Diff(first, dnsaddr.Diff("demo", have, want)); diff != "" {
			t.Fatalf("same records in another order (-first +second):\n%s", diff)
		}
	})
}
