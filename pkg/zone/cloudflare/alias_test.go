package cloudflare_test

import (
	"slices"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// closing are records at a name beside which no text can stand.
func closing(name string) map[string]cftest.Record {
	return map[string]cftest.Record{
		"is an alias (CNAME) of elsewhere.test":  {Name: name, Type: "CNAME", Content: "elsewhere.test"},
		"is delegated (NS) to ns.elsewhere.test": {Name: name, Type: "NS", Content: "ns.elsewhere.test"},
	}
}

func TestRecords_WhereTheNameIsAnAliasAreAnError(t *testing.T) {
	for want, rec := range closing(entry) {
		bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
			if _, err := r.Put(apex, rec); err != nil {
				t.Fatal(err)
			}
			_, err := r.zone(nil).Records(t.Context(), entry)
			wantErr(t, "Records", err, nil, entry+" "+want, "remove the CNAME", "another dns.domain")
			if r.total() != 1 {
				t.Errorf("got calls %v, want one", r.Calls())
			}
			err = r.zone(nil).Apply(t.Context(), entry, dnsaddr.Changes{Add: several(1, 1)})
			wantErr(t, "Apply", err, nil, entry+" "+want, "remove the CNAME")
			if r.wrote() != 0 {
				t.Errorf("got %d writes, want none", r.wrote())
			}
		})
	}
}

// Somebody may have given a list a second name. That is no business of the fleet's until it
// has a record for that name.
func TestApply_AnAliasAtANameThatGetsNothingIsInNobodysWay(t *testing.T) {
	for want, rec := range closing(listed) {
		bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
			if _, err := r.Put(apex, rec); err != nil {
				t.Fatal(err)
			}
			z := r.zone(nil)
			if err := converge(t.Context(), z, several(1, 2)); err != nil {
				t.Fatal(err)
			}
			r.ResetCalls()
			there := ours(3)
			there.Name = listed
			err := converge(t.Context(), z, append(several(1, 4), there))
			wantErr(t, "Apply", err, nil, listed+" "+want, "remove the CNAME")
			if got := records(t, z); r.wrote() != 0 || len(got) != 2 {
				t.Errorf("got %+v after %d writes, want two records after none", got, r.wrote())
			}
		})
	}
}

// A dry run learns it from the list that it made.
func TestClosed_NamesTheAliasWithoutARequest(t *testing.T) {
	for want, rec := range closing(listed) {
		bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
			if _, err := r.Put(apex, rec); err != nil {
				t.Fatal(err)
			}
			z := r.zone(nil)
			apply(t, z, dnsaddr.Changes{Add: several(1, 2)})
			for _, before := range []struct {
				listed bool
				calls  int
			}{{true, 0}, {false, 1}} {
				if before.listed {
					records(t, z)
				} else {
					z = r.zone(nil)
				}
				r.ResetCalls()
				closed, err := z.Closed(t.Context(), entry, []string{entry, listed, "_dnsaddr.fra1." + domain})
				if err != nil || len(closed) != 1 || r.total() != before.calls {
					t.Fatalf("got %v, %v in calls %v, want one name in %d", closed, err, r.Calls(), before.calls)
				}
				wantErr(t, "Closed", closed[listed], nil, listed+" "+want, "remove the CNAME")
			}
		})
	}
}

func TestRecords_OfOtherTypesAreCountedAndLeftOut(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		for _, name := range []string{entry, listed} {
			for _, rec := range []cftest.Record{
				{Type: "A", Content: "192.0.2.1"}, {Type: "A", Content: "192.0.2.2"}, {Type: "AAAA", Content: "2001:db8::1"}, {Type: "MX", Content: "mail.zone.test", Priority: 10},
			} {
				rec.Name = name
				if _, err := r.Put(apex, rec); err != nil {
					t.Fatal(err)
				}
			}
		}
		apply(t, r.zone(nil), dnsaddr.Changes{Add: several(1, 3)})
		want := records(t, r.zone(nil))
		for _, page := range []int{0, 1, 2, 3, 11} {
			z := r.zone(nil)
			calls := 1
			if page > 0 {
				cloudflare.SetPerPage(z, page)
				calls = (11 + page - 1) / page
			}
			r.ResetCalls()
			if got := records(t, z); len(got) != 3 || !slices.Equal(got, want) || r.total() != calls {
				t.Errorf("pages of %d: got %+v in calls %v, want the three texts in %d", page, got, r.Calls(), calls)
			}
		}
		if err := converge(t.Context(), r.zone(nil), nil); err != nil || len(r.Cloud.Records(apex)) != 8 {
			t.Errorf("after everything of ours was removed: got %+v, %v, want the eight of others", r.Cloud.Records(apex), err)
		}
	})
}

// An alias that came after the list is the API's to see.
func TestApply_AtANameWithACNAMESaysSo(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		records(t, z)
		if _, err := r.Put(apex, cftest.Record{Name: entry, Type: "CNAME", Content: "elsewhere.test"}); err != nil {
			t.Fatal(err)
		}
		err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(1, 1)})
		wantErr(t, "Apply", err, nil, "81053", "remove the CNAME")
		if r.wrote() != 1 {
			t.Errorf("got %d writes, want 1", r.wrote())
		}
	})
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		records(t, z)
		if _, err := r.Put(apex, cftest.Record{Name: entry, Type: "NS", Content: "ns.elsewhere.test"}); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "Apply", z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(1, 1)}), nil, "81056", "remove the CNAME")
	})
}
