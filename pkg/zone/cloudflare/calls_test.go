package cloudflare_test

import (
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestCalls_AreTheRequestsThatTheAPISaw(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		if got := z.Calls(); got != 0 {
			t.Errorf("calls before anything was asked: got %d, want 0", got)
		}
		apply(t, z, dnsaddr.Changes{Add: several(1, 3)})
		records(t, z)
		if got, want := z.Calls(), r.total(); got != want || got == 0 {
			t.Errorf("calls: got %d, the API saw %d", got, want)
		}
	})
}
