package cloudflare_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/diagnosis"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestHome_IsTheZoneWithTheLongestName(t *testing.T) {
	for name, tc := range map[string]struct {
		zones  []cftest.Zone
		domain string
		in     string
		calls  int // of GET /zones
	}{
		"the only one":          {[]cftest.Zone{{Name: "zone.test"}}, "p2p.zone.test", "zone.test", 2},
		"deep":                  {[]cftest.Zone{{Name: "zone.test"}}, "a.b.c.zone.test", "zone.test", 4},
		"the apex itself":       {[]cftest.Zone{{Name: "zone.test"}}, "zone.test", "zone.test", 1},
		"a zone below":          {[]cftest.Zone{{Name: "zone.test"}, {Name: "p2p.zone.test"}}, "p2p.zone.test", "p2p.zone.test", 1},
		"pending is taken, too": {[]cftest.Zone{{Name: "zone.test", Pending: true}}, "p2p.zone.test", "zone.test", 2},
		"not a longer name":     {[]cftest.Zone{{Name: "zone.test"}, {Name: "xp2p.zone.test"}}, "p2p.zone.test", "zone.test", 2},
		"underscore, punycode":  {[]cftest.Zone{{Name: "xn--bcher-kva.test"}}, "_x.xn--bcher-kva.test", "xn--bcher-kva.test", 2},
	} {
		t.Run(name, func(t *testing.T) {
			tokens := []cftest.Token{{Value: cftest.DefaultToken, Grants: []cftest.Grant{{May: cftest.All}}}}
			bubble(t, cftest.Config{Zones: tc.zones, Tokens: tokens}, func(t *testing.T, r *rig) {
				z := r.zone(func(c *cloudflare.Config) { c.ZoneID, c.Domain = "", tc.domain })
				at := dnsaddr.Name(tc.domain)
				for n := range 2 {
					rec := ours(n)
					rec.Name = at
					if err := z.Apply(t.Context(), at, dnsaddr.Changes{Add: []dnsaddr.Record{rec}}); err != nil {
						t.Fatal(err)
					}
				}
				if got := r.Cloud.Records(tc.in); len(got) != 2 {
					t.Errorf("got %+v in %s, want both records", got, tc.in)
				}
				if got := r.Calls()[zonesCall]; got != tc.calls {
					t.Errorf("got %d lookups, want %d", got, tc.calls)
				}
			})
		})
	}
}

func TestHome_NoZoneNamesWhatWasLookedFor(t *testing.T) {
	zones := []cftest.Zone{{Name: apex}, {Name: "other.test"}}
	tokens := []cftest.Token{{Value: cftest.DefaultToken, Grants: []cftest.Grant{{Zone: "other.test", May: cftest.All}}}}
	bubble(t, cftest.Config{Zones: zones, Tokens: tokens}, func(t *testing.T, r *rig) {
		_, err := r.zone(byName).Records(t.Context(), entry)
		wantErr(t, "Records", err, dnsaddr.ErrAuth, "sees no zone for p2p.zone.test, neither of p2p.zone.test, zone.test", "THE_TEST_TOKEN", "Zone.Zone:Read")
		for _, q := range r.Requests() {
			if strings.Contains(q.Query, "name=test&") || strings.HasSuffix(q.Query, "name=test") {
				t.Errorf("the top-level domain was tried: %s", q.Query)
			}
		}
	})
}

func TestHome_OfTwoWithOneNameTheActiveOneIsTaken(t *testing.T) {
	zones := []cftest.Zone{{ID: strings.Repeat("1", 32), Name: apex, Pending: true}, {ID: strings.Repeat("2", 32), Name: apex}}
	bubble(t, cftest.Config{Zones: zones}, func(t *testing.T, r *rig) {
		apply(t, r.zone(byName), dnsaddr.Changes{Add: several(1, 1)})
		if got := r.Cloud.Records(zones[1].ID); len(got) != 1 {
			t.Errorf("got %+v in the active zone, want the record", got)
		}
	})
	zones[1].Pending = true
	bubble(t, cftest.Config{Zones: zones}, func(t *testing.T, r *rig) {
		_, err := r.zone(byName).Records(t.Context(), entry)
		wantErr(t, "Records", err, nil, "2 zones named zone.test", zones[0].ID+" pending", zones[1].ID, "dns.cloudflare.zone_id")
	})
}

func TestHome_AnIDOfAnotherZoneChangesNothingThere(t *testing.T) {
	zones := []cftest.Zone{{Name: apex}, {Name: "other.test"}}
	for name, may := range map[string]cftest.Permission{"readable": cftest.All, "not readable": cftest.DNSEdit} {
		t.Run(name, func(t *testing.T) {
			tokens := []cftest.Token{{Value: cftest.DefaultToken, Grants: []cftest.Grant{{May: may}}}}
			bubble(t, cftest.Config{Zones: zones, Tokens: tokens}, func(t *testing.T, r *rig) {
				z := r.zone(func(c *cloudflare.Config) { c.ZoneID = r.ZoneID("other.test") })
				err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(1, 3)})
				if may == cftest.All {
					wantErr(t, "Apply", err, dnsaddr.ErrBadRecord, "_dnsaddr.p2p.zone.test is not in the zone other.test", "dns.cloudflare.zone_id")
					if r.wrote() != 0 {
						t.Errorf("got %d writes, want none", r.wrote())
					}
					return
				}
				// It cannot be known before, so that one record shows it.
				wantErr(t, "Apply", err, nil, "made of it _dnsaddr.p2p.zone.test.other.test", "remove this record")
				if got := r.Cloud.Records("other.test"); len(got) != 1 {
					t.Errorf("got %d records in the wrong zone, want 1", len(got))
				}
			})
		})
	}
}

// A zone has no records at names that are not its own: that says nothing of the records
// that the fleet has elsewhere.
func TestRecords_ThatAreNotThereAreLookedForInTheZoneThatHoldsTheDomain(t *testing.T) {
	zones := []cftest.Zone{{Name: apex}, {Name: "other.test"}}
	for name, tc := range map[string]struct {
		zone  string
		may   cftest.Permission
		fault cftest.Fault
		want  string // of the error, "" without one
	}{
		"the right one":                {zone: apex, may: cftest.All},
		"another":                      {zone: "other.test", may: cftest.All, want: "_dnsaddr.p2p.zone.test is not in the zone other.test"},
		"one without an answer":        {zone: apex, may: cftest.All, fault: cftest.Fault{Path: "/zones/{zone_id}", Times: -1, How: cftest.ErrorBefore}, want: "the API answers 500"},
		"one that is not ours to read": {zone: apex, may: cftest.DNSEdit},
	} {
		t.Run(name, func(t *testing.T) {
			tokens := []cftest.Token{{Value: cftest.DefaultToken, Grants: []cftest.Grant{{May: tc.may}}}}
			bubble(t, cftest.Config{Zones: zones, Tokens: tokens}, func(t *testing.T, r *rig) {
				if tc.fault.Times != 0 {
					r.Fail(tc.fault)
				}
				z := r.zone(func(c *cloudflare.Config) { c.ZoneID = r.ZoneID(tc.zone) })
				got, err := z.Records(t.Context(), entry)
				if tc.want == "" && (err != nil || len(got) != 0 || r.total() != 2) {
					t.Errorf("got %+v, %v, calls %v; want none after two calls", got, err, r.Calls())
				}
				if tc.want != "" {
					wantErr(t, "Records", err, nil, tc.want)
				}
				if tc.zone != apex {
					wantErr(t, "Records", err, dnsaddr.ErrBadRecord, "dns.cloudflare.zone_id", "CLOUDFLARE_ZONE_ID")
				}
			})
		})
	}
}

func TestStatus_SaysWhatClientsGet(t *testing.T) {
	for name, tc := range map[string]struct {
		zone  cftest.Zone
		want  dnsaddr.Status
		words string
	}{
		"active":  {cftest.Zone{Name: apex}, dnsaddr.Status{Serving: true, Server: "ada.ns.cloudflare.example:53"}, ""},
		"pending": {cftest.Zone{Name: apex, Pending: true}, dnsaddr.Status{Server: "ada.ns.cloudflare.example:53"}, "pending: its registrar does not name the servers ada.ns.cloudflare.example, bob"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, cftest.Config{Zones: []cftest.Zone{tc.zone}}, func(t *testing.T, r *rig) {
				z := r.zone(nil)
				got := z.Status(t.Context())
				if got.Kind != "cloudflare" || got.Serving != tc.want.Serving || got.Server != tc.want.Server || !strings.Contains(got.Reason, tc.words) || tc.want.Serving != (got.Reason == "") {
					t.Errorf("got %+v, want %+v with %q", got, tc.want, tc.words)
				}
				apply(t, z, dnsaddr.Changes{Add: several(1, 1)}) // also while it is pending
				_ = z.Status(t.Context())
				if n := r.Calls()[zoneCall]; n != 1 {
					t.Errorf("got %d requests for the zone, want 1", n)
				}
			})
		})
	}
}

func TestStatus_OfAnUnreachableAPIIsNotServing(t *testing.T) {
	z := open(t, func(c *cloudflare.Config) { c.Transport = always(503, "text/html", "<title>down</title>") })
	if s := z.Status(t.Context()); s.Serving || !strings.Contains(s.Reason, "503") {
		t.Errorf("got %+v, want not serving and why", s)
	}
}

func TestDiagnose_SaysWhatTheTokenMayDo(t *testing.T) {
	all := cftest.Grant{Zone: apex, May: cftest.All}
	for name, tc := range map[string]struct {
		token   cftest.Token
		pending bool
		want    string
	}{
		"good": {token: cftest.Token{Grants: []cftest.Grant{all}},
			want: "zone token: from THE_TEST_TOKEN, active; zone: zone.test, active; zone permissions: 1 records can be read; whether they can be changed is not tried"},
		"of an account": {token: cftest.Token{Grants: []cftest.Grant{all}, AccountOwned: true}, want: "zone token: from THE_TEST_TOKEN, which belongs to an account; zone: zone.test, active"},
		"expired":       {token: cftest.Token{Grants: []cftest.Grant{all}, Expired: true}, want: `zone token! not authorized by the zone: the API token from THE_TEST_TOKEN is "expired"`},
		"pending":       {token: cftest.Token{Grants: []cftest.Grant{all}}, pending: true, want: "zone! the zone zone.test is pending"},
		"no zone read":  {token: cftest.Token{Grants: []cftest.Grant{{Zone: apex, May: cftest.DNSEdit}}}, want: "which the token may not read: whether it is active is not known; zone permissions: 1 records"},
		"no DNS":        {token: cftest.Token{Grants: []cftest.Grant{{Zone: apex, May: cftest.ZoneRead}}}, want: "zone permissions! "},
	} {
		t.Run(name, func(t *testing.T) {
			tc.token.Value = secret
			bubble(t, cftest.Config{Zones: []cftest.Zone{{Name: apex, Pending: tc.pending}}, Tokens: []cftest.Token{tc.token}}, func(t *testing.T, r *rig) {
				if _, err := r.Put(apex, foreign); err != nil {
					t.Fatal(err)
				}
				z := r.zone(func(c *cloudflare.Config) { c.Token = tokenIs(secret) })
				got := told(z.Diagnose(t.Context()))
				if !strings.Contains(got, tc.want) || strings.Contains(got, secret) {
					t.Errorf("got %s, want it to say %s", got, tc.want)
				}
				if r.wrote() != 0 {
					t.Errorf("got %d writes, want none", r.wrote())
				}
			})
		})
	}
}

// told is what doctor says, in one line.
func told(findings []diagnosis.Finding) string {
	var parts []string
	for _, f := range findings {
		if f.Err != nil {
			parts = append(parts, fmt.Sprintf("%s! %v (%s; %s)", f.Check, f.Err, f.Fix, fleet.Hint(f.Err)))
		} else {
			parts = append(parts, f.Check+": "+f.Detail)
		}
	}
	return strings.Join(parts, "; ")
}
