package hosttest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/host"
)

// registered is what the suite looks at in a census.
type registered struct {
	Key   string `json:"peer_pubkey"`
	First int64  `json:"first_seen_at"`
	Last  int64  `json:"last_seen_at"`
	Count int64  `json:"connection_count"`
}

// oldCensus is a register with two peers.
const oldCensus = `[
 {"peer_pubkey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=","last_peer_id":"12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq","first_seen_at":1700000000,"last_seen_at":1700000100,"tier":"edge","address_type":"ipv4_public","connection_count":3},
 {"peer_pubkey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=","last_peer_id":"12D3KooWRndVhVZPCiQwHBBBdg769GyrPUW13zxwqQyf9r3ANaba","first_seen_at":1700000001,"last_seen_at":1700000200,"tier":"edge","address_type":"ipv6","connection_count":7}
]`

func carries(t *testing.T, from *rig) {
	to := newRig(t, from.binary, from.newBox)
	from.configure(t, from.Config(64), from.release(t, 1))
	to.configure(t, to.Config(64), to.release(t, 1))
	if err := from.hosts.Stop(t.Context(), from.Machine); err != nil {
		t.Fatal(err)
	}
	if err := from.Runner.WriteFile(t.Context(), from.target(t), host.CensusFile, []byte(oldCensus), 0o600); err != nil {
		t.Fatal(err)
	}
	carry := func() error {
		return to.hosts.CarryCensus(t.Context(), from.Machine, to.Machine)
	}
	if err := carry(); err != nil {
		t.Fatalf("CarryCensus: %v", err)
	}
	eventually(t, "both peers are on the other box", func() bool { return to.registered(t) == 2 })
	before := to.writes.Load()
	if err := carry(); err != nil || to.writes.Load() != before {
		t.Errorf("a second CarryCensus = %v with %d writes, want none", err, to.writes.Load()-before)
	}
	if err := from.Runner.WriteFile(t.Context(), from.target(t), host.CensusFile, []byte(oldCensus[:80]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := carry(); err == nil {
		t.Error("CarryCensus of a damaged register succeeded, want an error")
	}
}

// registered counts the peers in the register and in the import beside it.
func (r *rig) registered(t *testing.T) int {
	t.Helper()
	keys := make(map[string]bool)
	for _, path := range []string{host.CensusFile, host.ImportFile} {
		data, err := r.Runner.ReadFile(t.Context(), r.target(t), path, 1<<20)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var list []registered
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, e := range list {
			keys[e.Key] = true
		}
	}
	return len(keys)
}
