package cloudflare_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// Clients differ in what they make of several strings.
func TestApply_TextInTwoStringsIsWrittenAsOneUnderItsIDAndSettles(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := several(1, 2)
		apply(t, r.zone(nil), dnsaddr.Changes{Add: want})
		edited := r.Cloud.Records(apex)[0]
		whole := edited.Value()
		edited.Content = fmt.Sprintf("%q %q", whole[:20], whole[20:])
		if _, err := r.Put(apex, edited); err != nil {
			t.Fatal(err)
		}
		for _, rec := range records(t, r.zone(nil)) {
			if rec.Split != (rec.Value == whole) {
				t.Errorf("%s: got split %t, want it of the edited one alone", rec.Value, rec.Split)
			}
		}
		if err := converge(t.Context(), r.zone(nil), want); err != nil {
			t.Fatal(err)
		}
		for _, rec := range r.Cloud.Records(apex) {
			if rec.Content != dnsaddr.EncodeTXT(rec.Value()) {
				t.Errorf("got content %s, want one string", rec.Content)
			}
			if rec.Value() == whole && rec.ID != edited.ID {
				t.Errorf("got ID %s, want %s", rec.ID, edited.ID)
			}
		}
		r.ResetCalls()
		if err := converge(t.Context(), r.zone(nil), want); err != nil || r.wrote() != 0 {
			t.Errorf("once more: got %d writes, %v; want none", r.wrote(), err)
		}
	})
}

// A record without a comment was seen, and another fleet takes it before we do.
func TestApply_AdoptionLosesToTheFleetThatCameFirst(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		free := ours(1)
		free.Comment = ""
		apply(t, r.zone(nil), dnsaddr.Changes{Add: []dnsaddr.Record{free}})
		adopted := records(t, r.zone(nil))[0]
		adopted.Comment = ours(1).Comment
		taken := r.Cloud.Records(apex)[0]
		taken.Comment = "fleetctl:gull/nyc1-1"
		if _, err := r.Put(apex, taken); err != nil {
			t.Fatal(err)
		}
		r.ResetCalls()
		err := r.zone(nil).Apply(t.Context(), entry, dnsaddr.Changes{Update: []dnsaddr.Record{adopted}})
		wantErr(t, "Apply", err, dnsaddr.ErrEdited, "fleetctl:gull/nyc1-1", "run the same command again")
		if got := r.Cloud.Records(apex)[0].Comment; got != taken.Comment || r.wrote() != 0 {
			t.Errorf("got comment %q after %d writes, want %q after none", got, r.wrote(), taken.Comment)
		}
	})
}

// A token that may not read the zone does not learn its name servers: what was added may
// still be on its way to them when something is to be removed.
func TestApply_UnknownNameServersAreWaitedForAndTheZoneIsListedOnceMoreBeforeDeletes(t *testing.T) {
	for what, somebodyEdits := range map[string]bool{"undisturbed": false, "edited during the wait": true} {
		t.Run(what, func(t *testing.T) {
			cfg := cftest.Config{
				Zones:  []cftest.Zone{{Name: apex, Plan: cftest.Pro}},
				Tokens: []cftest.Token{{Value: cftest.DefaultToken, Grants: []cftest.Grant{{Zone: apex, May: cftest.DNSEdit}}}},
			}
			bubble(t, cfg, func(t *testing.T, r *rig) {
				want := replaced(t, r)
				var batches []time.Time
				lists := 0 // since the first batch
				r.Around(func(_ int, q *http.Request, commit func()) bool {
					commit()
					switch {
					case q.Method == http.MethodPost:
						batches = append(batches, time.Now())
					case len(batches) == 1:
						if lists++; lists == 1 && somebodyEdits {
							edited := r.Cloud.Records(apex)[1] // the first of ours
							edited.Comment = "mine now"
							if _, err := r.Put(apex, edited); err != nil {
								t.Error(err)
							}
						}
					}
					return true
				})
				err := converge(t.Context(), r.zone(nil), want)
				if somebodyEdits {
					wantErr(t, "Apply", err, dnsaddr.ErrEdited, "mine now")
					if got := len(r.values()); got != 7 || len(batches) != 1 {
						t.Errorf("got %d values after %d batches, want all seven after one", got, len(batches))
					}
					return
				}
				if err != nil || len(batches) != 2 || lists != 2 {
					t.Fatalf("got %d batches, %d lists between them, %v; want 2 and 2", len(batches), lists, err)
				}
				if waited := batches[1].Sub(batches[0]); waited < time.Minute {
					t.Errorf("got deletes %s after the adds, want a minute", waited)
				}
			})
		})
	}
}
