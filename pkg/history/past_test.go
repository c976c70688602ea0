package history

import (
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestPast_ARelayThatWasMadeAnewDoesNotLowerWhatRelaysSayNow(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	old := at.Add(-time.Hour)
	ingest(t, s, at, answer(1, at, 2, entry(1, old, old), entry(2, old, old)), answer(2, at, 2, entry(2, old, old), entry(-9, old, old)))

	past, err := s.Past(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// nyc1-1 is another machine now, with another key; the one it had is in a census.
	at = at.AddDate(0, 0, 3)
	anew, other := answer(9, at, 1, entry(3, at, at)), answer(2, at, 1, entry(2, old, old), entry(-9, old, old), entry(-1, old, old))
	anew.Node, anew.DeltaFull, other.DeltaFull = "nyc1-1", true, true
	snapshot := stats.MergeOnto(past, at, []stats.Reading{anew, other})
	if got := *snapshot.LifetimeUniquePeers; got != 3 {
		t.Errorf("lifetime: got %d, want the peers 1, 2 and 3, and no relay's key", got)
	}
	if !snapshot.HistorySince.Equal(monday()) || len(snapshot.HistoryMissing) != 0 {
		t.Errorf("got a history since %s, missing %v; want since %s, nobody", snapshot.HistorySince, snapshot.HistoryMissing, monday())
	}
	ingest(t, s, at, anew, other)
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "3")
}

func TestPast_NamesWhoLeftUnread(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	if past, err := s.Past(t.Context()); past != nil || err != nil {
		t.Errorf("before any collection: got %v (%v), want nothing", past, err)
	}
	ingest(t, s, at, answer(1, at, 1), silent(2, "no route"), silent(3, "no route"))
	at = at.Add(time.Hour)
	ingest(t, s, at, answer(1, at, 1), silent(3, "no route")) // nyc1-2 is gone; nyc1-3 may come back
	past, err := s.Past(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(past.Missing, []string{"nyc1-2"}) {
		t.Errorf("got %v, want nyc1-2", past.Missing)
	}
}

func TestPast_AProbeOfTheHistoryIsNoPeerOfARegistryThatDoesNotTell(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	probe := entry(5, at, at)
	probe.Tier = stats.ProbeName
	ingest(t, s, at, answer(1, at, 1, probe))
	past, err := s.Past(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := answer(2, at, 1, entry(5, at, at))
	r.DeltaFull = true
	got := stats.MergeOnto(past, at, []stats.Reading{r})
	if *got.LifetimeUniquePeers != 0 || *got.ProbesKnown != 1 {
		t.Errorf("got %d peers, %d probes, want 0 and 1", *got.LifetimeUniquePeers, *got.ProbesKnown)
	}
}
