package cloudflare_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestApply_AZoneThatIsFullIsFoundBeforeTheFirstWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		zone cftest.Zone
		adds int
		full bool
	}{
		"room for all":          {cftest.Zone{Name: apex, Quota: 6}, 3, false},
		"room for all but one":  {cftest.Zone{Name: apex, Quota: 5}, 3, true},
		"counted elsewhere":     {cftest.Zone{Name: apex, Plan: cftest.Enterprise, Quota: -1}, 3, false},
		"nothing to add at all": {cftest.Zone{Name: apex, Quota: 3}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, cftest.Config{Zones: []cftest.Zone{tc.zone}}, func(t *testing.T, r *rig) {
				z := r.zone(nil)
				apply(t, z, dnsaddr.Changes{Add: several(1, 3)})
				r.ResetCalls()
				err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(4, 3+tc.adds), Remove: records(t, z)[:1]})
				if !tc.full {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				wantErr(t, "Apply", err, dnsaddr.ErrFull, "has 3 of 5 records, and 3 are to be added", "plan with more records")
				if r.wrote() != 0 {
					t.Errorf("got %d writes, want none", r.wrote())
				}
			})
		})
	}
}

func TestApply_AZoneWhoseQuotaCannotBeReadIsAskedToTakeIt(t *testing.T) {
	bubble(t, cftest.Config{Zones: []cftest.Zone{{Name: apex, Quota: 4}}}, func(t *testing.T, r *rig) {
		r.Fail(cftest.Fault{Path: "/zones/{zone_id}/dns_records/usage", Times: -1, How: cftest.ErrorBefore})
		z := r.zone(nil)
		apply(t, z, dnsaddr.Changes{Add: several(1, 3)})
		have := records(t, z)
		err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(4, 6), Remove: have})
		wantErr(t, "Apply", err, dnsaddr.ErrFull, "81045")
		if got := records(t, z); !slices.Equal(got, have) {
			t.Errorf("got %+v, want what was there: a batch is taken as a whole", got)
		}
	})
}

func TestApply_ANameThatIsFullIsFoundBeforeTheFirstWrite(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		long := "dnsaddr=" + strings.Repeat("x", 244) // with its quotes 254 characters: 32 of them fit
		var all []dnsaddr.Record
		for n := range 33 {
			rec := ours(n)
			rec.Value = fmt.Sprintf("%s%02d", long[:250], n)
			all = append(all, rec)
		}
		err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: all})
		wantErr(t, "Apply", err, dnsaddr.ErrFull, entry+" would hold 8382 characters, Cloudflare takes 8192", "dns.publish.addresses")
		if r.wrote() != 0 {
			t.Errorf("got %d writes, want none", r.wrote())
		}
		apply(t, z, dnsaddr.Changes{Add: all[:32]})
		// The old ones are still there while the new one is added.
		err = z.Apply(t.Context(), entry, dnsaddr.Changes{Add: all[32:], Remove: records(t, z)})
		wantErr(t, "Apply", err, dnsaddr.ErrFull, "8382 characters")
	})
}

// thousand are 1,000 relays in 5 regions, as the layout places them.
func thousand(t testing.TB) []dnsaddr.Record {
	t.Helper()
	var nodes []dnsaddr.Node
	for n := range 1000 {
		region := []string{"nyc1", "fra1", "sgp1", "lon1", "ams3"}[n%5]
		nodes = append(nodes, dnsaddr.Node{Name: fmt.Sprintf("%s-%d", region, n/5+1), Region: region, Number: n/5 + 1})
	}
	layout := dnsaddr.NewLayout(domain, nodes, "")
	var all []dnsaddr.Record
	for n, node := range nodes {
		for _, name := range layout.At(node.Name) {
			all = append(all, dnsaddr.Record{
				Name: name, Value: fmt.Sprintf("dnsaddr=/ip4/203.0.%d.%d/tcp/9100%s", n/250, n%250, peer(n)),
				TTL: 5 * time.Minute, Comment: dnsaddr.Owner{Fleet: "seabird", Relay: node.Name}.Comment(),
			})
		}
	}
	return all
}

func TestApply_AThousandRelaysFromNothingAreTwelveCallsAtMost(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := thousand(t)
		if err := converge(t.Context(), r.zone(byName), want); err != nil {
			t.Fatal(err)
		}
		if got := r.total(); got > 12 {
			t.Errorf("got %d calls, want at most 12: %v", got, r.Calls())
		}
		t.Logf("%d records of 1,000 relays in %d calls: %v", len(want), r.total(), r.Calls())
		r.ResetCalls()
		if err := converge(t.Context(), r.zone(nil), want); err != nil || r.wrote() != 0 || r.total() > 2 {
			t.Errorf("in sync: got %d writes and %d calls, %v, want none and at most 2", r.wrote(), r.total(), err)
		}
	})
}

func TestApply_AllAddsOfManyBatchesGoBeforeAnyDelete(t *testing.T) {
	bubble(t, cftest.Config{Zones: []cftest.Zone{{Name: apex, Plan: cftest.Pro}}}, func(t *testing.T, r *rig) {
		all := thousand(t)[:250]
		if err := converge(t.Context(), r.zone(nil), all); err != nil {
			t.Fatal(err)
		}
		moved := slices.Clone(all)
		for i := range moved {
			moved[i].Value = strings.Replace(moved[i].Value, "/tcp/9100", "/tcp/9", 1)
		}
		if err := converge(t.Context(), r.zone(nil), moved); err != nil {
			t.Fatal(err)
		}
		least := map[string]int{}
		for _, m := range r.History(0) {
			least[m.Name] = max(least[m.Name], 0)
			if len(m.Values) >= sizeOf(all, m.Name) {
				least[m.Name] = sizeOf(all, m.Name)
			}
			if len(m.Values) < least[m.Name] {
				t.Fatalf("%s: got %d texts after %+v, want at least %d", m.Name, len(m.Values), m.Change, least[m.Name])
			}
		}
	})
}

func sizeOf(all []dnsaddr.Record, name string) int {
	n := 0
	for _, r := range all {
		if r.Name == name {
			n++
		}
	}
	return n
}
