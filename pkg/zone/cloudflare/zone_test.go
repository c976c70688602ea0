package cloudflare_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestZone_KeepsTheContract(t *testing.T) {
	for _, tc := range []struct {
		name  string
		cloud cftest.Config
		zone  func(*cloudflare.Config)
		page  int
	}{
		{"by ID", cftest.Config{}, nil, 0},
		{"by name", cftest.Config{}, byName, 0},
		{"in pages of two", cftest.Config{NullLists: true}, nil, 2},
		{"on the Free plan with the older code", cftest.Config{Zones: []cftest.Zone{{Name: apex}}, DuplicateCode: 81057, QuotesDiffer: true}, nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			zonetest.Run(t, func(t *testing.T) dnsaddr.Zone {
				cfg := tc.cloud
				cfg.Limits = cftest.NoLimits()
				z := newRig(t, cfg).zone(func(c *cloudflare.Config) {
					c.Waits = cloudflare.Waits{Every: time.Microsecond, Backoff: time.Microsecond, Settle: time.Microsecond}
					if tc.zone != nil {
						tc.zone(c)
					}
				})
				if tc.page > 0 {
					cloudflare.SetPerPage(z, tc.page)
				}
				return z
			})
		})
	}
}

func TestZone_InSyncIsOneListAndNoWrite(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := several(1, 3)
		apply(t, r.zone(nil), dnsaddr.Changes{Add: want})
		for name, tc := range map[string]struct {
			change func(*cloudflare.Config)
			calls  map[string]int
		}{
			"by ID":   {nil, map[string]int{listCall: 1}},
			"by name": {byName, map[string]int{listCall: 1, zonesCall: 2}},
		} {
			r.ResetCalls()
			if err := converge(t.Context(), r.zone(tc.change), want); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := r.Calls(); r.wrote() != 0 || r.total() != sum(tc.calls) || got[listCall] != tc.calls[listCall] || got[zonesCall] != tc.calls[zonesCall] {
				t.Errorf("%s: got calls %v, want %v", name, got, tc.calls)
			}
		}
	})
}

func sum(calls map[string]int) int {
	n := 0
	for _, c := range calls {
		n += c
	}
	return n
}

func TestApply_AddsAndReadsBackBeforeItRemoves(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		apply(t, z, dnsaddr.Changes{Add: several(1, 2)})
		r.ResetCalls()
		if err := converge(t.Context(), z, several(3, 4)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, q := range r.Requests() {
			got = append(got, q.Method+" "+q.Template)
		}
		want := []string{listCall, listCall, usageCall, batchCall, listCall, batchCall}
		if !slices.Equal(got, want) {
			t.Errorf("got calls %q, want %q", got, want)
		}
		for _, m := range r.History(0) {
			if len(m.Values) == 0 {
				t.Fatalf("a name server had nothing after %+v", m.Change)
			}
		}
	})
}

func TestApply_BothFormsOfATextAreOne(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		for _, content := range []string{value(1), `"` + value(1) + `"`} {
			put, err := r.Put(apex, cftest.Record{Name: entry, Content: content, Comment: ours(1).Comment})
			if err != nil {
				t.Fatal(err)
			}
			z := r.zone(nil)
			r.ResetCalls()
			if err := converge(t.Context(), z, several(1, 1)); err != nil {
				t.Fatal(err)
			}
			if r.wrote() != 0 {
				t.Errorf("content %s: got %d writes, want none", content, r.wrote())
			}
			r.Remove(apex, put[0].ID)
		}
	})
}

func TestApply_WritesQuotedAndUpdatesInPlace(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		apply(t, z, dnsaddr.Changes{Add: several(1, 1)})
		before := r.Cloud.Records(apex)
		if got, want := before[0].Content, `"`+value(1)+`"`; got != want {
			t.Errorf("got content %s, want %s", got, want)
		}
		want := ours(1)
		want.TTL, want.Comment = time.Minute, "fleetctl:seabird/nyc1-9"
		if err := converge(t.Context(), z, []dnsaddr.Record{want}); err != nil {
			t.Fatal(err)
		}
		after := r.Cloud.Records(apex)
		if len(after) != 1 || after[0].ID != before[0].ID || after[0].TTL != time.Minute || after[0].Comment != want.Comment || after[0].Content != before[0].Content {
			t.Errorf("got %+v, want the record %s with another TTL and comment", after, before[0].ID)
		}
	})
}

func TestRecords_ShowWhatOthersWroteAndNothingElse(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		for _, rec := range []cftest.Record{
			{Name: entry, Content: `v=spf1 -all`},
			{Name: "_DNSADDR.nyc1.P2P.zone.test", Content: `"a" "b"`, TTL: cftest.Auto},
			{Name: "_dnsaddr.zone.test", Content: "another fleet"},
			{Name: "_dnsaddr.a.b.p2p.zone.test", Content: "another one"},
			{Name: "_dnsaddr.xp2p.zone.test", Content: "a third"},
			{Name: domain, Type: "A", Content: "192.0.2.1"},
		} {
			if _, err := r.Put(apex, rec); err != nil {
				t.Fatal(err)
			}
		}
		got := records(t, r.zone(nil))
		if len(got) != 2 || got[0].Value != "v=spf1 -all" || got[1].Value != "ab" || got[1].Name != listed || got[1].TTL != time.Second {
			t.Errorf("got %+v, want the SPF text and the list's ab with the automatic TTL", got)
		}
	})
}

func TestApply_TwoWritersConverge(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := several(1, 6)
		apply(t, r.zone(nil), dnsaddr.Changes{Add: several(5, 9)})
		var g errgroup.Group
		for range 2 {
			z := r.zone(nil)
			g.Go(func() error { return converge(t.Context(), z, want) })
		}
		if err := g.Wait(); err != nil {
			t.Fatalf("two at once: %v", err)
		}
		r.ResetCalls()
		if err := converge(t.Context(), r.zone(nil), want); err != nil || r.wrote() != 0 {
			t.Errorf("the run after: got %d writes, %v, want none", r.wrote(), err)
		}
		if got := r.values(); len(got) != len(want) {
			t.Errorf("got %q, want %d values", got, len(want))
		}
	})
}

func TestApply_WithoutARateLeftWaitsOrSaysWhen(t *testing.T) {
	bubble(t, cftest.Config{Limits: cftest.Limits{PerFiveMinutes: 20}}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		var err error
		n := 0
		for ; n < 20 && err == nil; n++ {
			_, err = z.Records(t.Context(), entry)
		}
		wantErr(t, "Records", err, dnsaddr.ErrFull, "requests are left", "run the same command again after")
		if n > 20 || r.total() > 15 {
			t.Errorf("got %d requests, want at most 15: five of the rate are left to others", r.total())
		}
		time.Sleep(6 * time.Minute) // bubble
		synctest.Wait()
		records(t, z)
	})
}

func TestApply_AddsFromAFreshListAndSurvivesThatItIsOutdated(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(nil)
		records(t, z)
		if err := r.zone(nil).Apply(t.Context(), entry, dnsaddr.Changes{Add: several(1, 2)}); err != nil {
			t.Fatal(err)
		}
		r.ResetCalls()
		apply(t, z, dnsaddr.Changes{Add: several(1, 3)}) // two of them are there meanwhile
		if got := r.Calls(); got[batchCall] != 2 || got[listCall] != 2 || len(r.values()) != 3 {
			t.Errorf("got %q after calls %v, want three values after a batch that was refused, a list, a batch and a list", r.values(), got)
		}
		records(t, z)
		r.ResetCalls()
		apply(t, z, dnsaddr.Changes{Add: several(4, 4)})
		if got := r.Calls(); got[listCall] != 1 || got[batchCall] != 1 {
			t.Errorf("got calls %v, want one batch and one list, to read it back", got)
		}
		records(t, z)
		taken := ours(5)
		taken.Comment = "of somebody else"
		if err := r.zone(nil).Apply(t.Context(), entry, dnsaddr.Changes{Add: []dnsaddr.Record{taken}}); err != nil {
			t.Fatal(err)
		}
		err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(5, 5)})
		wantErr(t, "a value of somebody else", err, dnsaddr.ErrBadRecord, "of somebody else", "holds a value once")
		if got := len(r.values()); got != 5 {
			t.Errorf("got %d values, want 5", got)
		}
	})
}
