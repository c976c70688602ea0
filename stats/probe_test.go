package stats

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestIsProbe_KnowsWhatOurProbesCallThemselvesAndNobodyElse(t *testing.T) {
	for _, version := range []string{"", "1.2.3"} {
		agent := ProbeAgent(version)
		fields := strings.Split(agent, "/")
		if len(fields) != 3 || fields[1] == "" {
			t.Fatalf("got agent %q, want name, version, tier", agent)
		}
		for _, c := range [][2]string{{agent, fields[2]}, {agent, ""}, {fields[0] + "/" + fields[1], "unknown"}, {"", fields[2]}} {
			if !IsProbe(c[0], c[1]) {
				t.Errorf("agent %q, tier %q: got a user, want a probe", c[0], c[1])
			}
		}
	}
	for _, c := range [][2]string{{"", ""}, {"bitterbot/1", "edge"}, {"", "probe"}, {"fleetctl-probes/1", "edge"}} {
		if IsProbe(c[0], c[1]) {
			t.Errorf("agent %q, tier %q: got a probe, want a user", c[0], c[1])
		}
	}
}

// A daemon of old knows no probes: it takes the tier from the third field of their agent
// string, and counts them as users.
func TestMerge_ProbesThatADaemonOfOldTookForUsersAreCountedApart(t *testing.T) {
	registry := peers(0, 12)
	for i := range registry[:2] {
		registry[i].Tier = ProbeName
	}
	registry[2].Agent = "fleetctl-probe/1"
	s := Merge(at, []Reading{{Node: "a-1", Report: report("a", 1, 1), Registry: registry}, {Node: "b-1", Err: errors.New("down")}})
	equal(t, "lifetime", s.LifetimeUniquePeers, 9)
	equal(t, "of the relay", s.Relays[0].LifetimeUniquePeers, 9)
	equal(t, "probes", s.ProbesKnown, 3)
	unknown(t, "probes of a fleet that was not read", Merge(at, []Reading{{Node: "b-1", Err: errors.New("down")}}).ProbesKnown)

	text, err := json.Marshal(registry)
	if err != nil {
		t.Fatal(err)
	}
	probes := 0
	err = ScanRegistry(strings.NewReader(string(text)), at, ScanOptions{}, func(row *Row) error {
		if row.IsProbe() != row.Entry().IsProbe() {
			t.Errorf("row %+v: got probe %v, its entry says otherwise", row.Entry(), row.IsProbe())
		}
		if row.IsProbe() {
			probes++
		}
		return nil
	})
	if err != nil || probes != 3 {
		t.Errorf("in the stream: got %d probes and %v, want 3", probes, err)
	}
}
