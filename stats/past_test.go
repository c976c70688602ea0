package stats

import (
	"encoding/base64"
	"testing"
	"time"
)

// remembered is a past that knows peers as their entries say.
func remembered(t *testing.T, entries []CensusEntry) *Past {
	t.Helper()
	p := NewPast(at.AddDate(0, -6, 0))
	for _, e := range entries {
		p.Peer(raw(t, e.PeerPubkey), e.FirstSeenAt, e.LastSeenAt)
	}
	return p
}

// raw is the public key in the text of an entry.
func raw(t *testing.T, text string) []byte {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestMergeOnto_ARelayThatWasMadeAnewTakesNobodyAway(t *testing.T) {
	old := peers(0, 10)
	old[0].LastSeenAt = at.Add(-time.Hour).Unix()
	readings := healthy()
	readings[0].Registry = peers(100, 101) // its new machine has met one peer
	s := MergeOnto(remembered(t, old), at, readings)
	equal(t, "lifetime", s.LifetimeUniquePeers, 21) // 0 to 19, and the new one
	equal(t, "active in 24 hours", s.Active24h, 1)
	if !s.HistorySince.Equal(at.AddDate(0, -6, 0)) {
		t.Errorf("the history is said to begin at %s", s.HistorySince)
	}
	equal(t, "known to one relay", &s.Overlap[0], 16) // registries alone
	for i, want := range []uint64{15, 1} {
		equal(t, s.Relays[i].Node, s.Relays[i].LifetimeUniquePeers, want)
	}
}

func TestMergeOnto_WhatTheRegistriesHaveStillIsCountedOnce(t *testing.T) {
	s := MergeOnto(remembered(t, peers(0, 20)), at, healthy())
	equal(t, "lifetime", s.LifetimeUniquePeers, 20)
	if len(s.Overlap) != 2 || s.Overlap[0] != 15 || s.Overlap[1] != 5 {
		t.Errorf("overlap: got %v, want [15 5] as without a history", s.Overlap)
	}
}

func TestMergeOnto_WhereNoRegistryIsReadTheHistoryIsKnown(t *testing.T) {
	past := remembered(t, peers(0, 7))
	past.Missing = []string{"sgp1-1"}
	s := MergeOnto(past, at, []Reading{{Node: "nyc1-1", Region: "nyc1"}})
	equal(t, "lifetime", s.LifetimeUniquePeers, 7)
	unknown(t, "own in registries", s.OwnKnown)
	unknown(t, "probes in registries", s.ProbesKnown)
	if !s.Partial || len(s.HistoryMissing) != 1 || s.HistoryMissing[0] != "sgp1-1" {
		t.Errorf("partial %t, missing in the history %v; want true, [sgp1-1]", s.Partial, s.HistoryMissing)
	}
}

func TestMergeOnto_KeysOfTheFleetsOwnAreNoPeersWhicheverSideKnowsIt(t *testing.T) {
	all := peers(0, 3)
	past := remembered(t, append(peers(0, 1), CensusEntry{PeerPubkey: someKey})) // somePeer was a peer, and is a relay now
	past.Relay(raw(t, all[1].PeerPubkey))                                        // the key that a relay had before
	past.Probe(raw(t, all[2].PeerPubkey))
	s := MergeOnto(past, at, []Reading{{Node: "nyc1-1", Region: "nyc1", Report: report(somePeer, 1, 1), Registry: all}})
	equal(t, "lifetime", s.LifetimeUniquePeers, 1)
	equal(t, "in its registry", s.Relays[0].LifetimeUniquePeers, 1)
	equal(t, "relays in registries", s.OwnKnown, 1)
	equal(t, "probes in registries", s.ProbesKnown, 1)
}

func TestMergeOnto_AProbeThatWasTakenForAPeerIsNoneAsSoonAsARegistryTells(t *testing.T) {
	all := peers(0, 3)
	for i := range all {
		all[i].LastSeenAt = at.Unix()
	}
	past := remembered(t, all)
	all[2].Tier = ProbeName
	s := MergeOnto(past, at, []Reading{
		{Node: "nyc1-1", Region: "nyc1", Report: report(somePeer, 1, 1), Registry: all[:2]},
		{Node: "nyc1-2", Region: "nyc1", Report: report("12D3KooWfra", 1, 1), Registry: all[2:]},
	})
	equal(t, "lifetime", s.LifetimeUniquePeers, 2)
	equal(t, "active in 24 hours", s.Active24h, 2)
	equal(t, "probes in registries", s.ProbesKnown, 1)
}

func TestMerge_WithoutAHistorySaysThatThereIsNone(t *testing.T) {
	s := Merge(at, healthy())
	if !s.HistorySince.IsZero() || s.HistoryMissing == nil || len(s.HistoryMissing) > 0 {
		t.Errorf("got a history since %s, missing %v; want none", s.HistorySince, s.HistoryMissing)
	}
}
