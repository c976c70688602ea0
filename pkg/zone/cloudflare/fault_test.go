package cloudflare_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// foreign is what somebody else keeps at the name.
var foreign = cftest.Record{Name: entry, Content: "v=spf1 -all", Comment: "do not touch"}

// replaced is a fleet of three whose relays are all to be replaced, beside a stranger's
// record.
func replaced(t *testing.T, r *rig) (want []dnsaddr.Record) {
	t.Helper()
	if _, err := r.Put(apex, foreign); err != nil {
		t.Fatal(err)
	}
	apply(t, r.zone(nil), dnsaddr.Changes{Add: several(1, 3)})
	r.ResetCalls()
	return several(4, 6)
}

// neverFewer checks that every name server had at least so many texts at the name at every
// moment since it first had them.
func (r *rig) neverFewer(t *testing.T, least int) {
	t.Helper()
	for i := range r.Servers() {
		reached := false
		for _, m := range r.History(i) {
			reached = reached || len(m.Values) >= least
			if m.Name == entry && reached && len(m.Values) < least {
				t.Fatalf("name server %d: got %d texts after %+v, want at least %d", i, len(m.Values), m.Change, least)
			}
		}
	}
}

// finished checks that a new process finishes the work, that one more has nothing to do,
// and that the stranger's record is as it was.
func (r *rig) finished(t *testing.T, want []dnsaddr.Record) {
	t.Helper()
	r.Heal()
	r.Around(nil)
	if err := converge(t.Context(), r.zone(nil), want); err != nil {
		t.Fatalf("the next run: %v", err)
	}
	r.ResetCalls()
	if err := converge(t.Context(), r.zone(nil), want); err != nil || r.wrote() != 0 {
		t.Fatalf("the run after that: got %d writes, %v, want none", r.wrote(), err)
	}
	values := []string{foreign.Content}
	for _, w := range want {
		values = append(values, w.Value)
	}
	if got := r.values(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(values))) {
		t.Fatalf("got %q, want %q", got, values)
	}
	for _, rec := range r.Cloud.Records(apex) {
		if rec.Value() == foreign.Content && (rec.Comment != foreign.Comment || rec.Created != rec.Modified) {
			t.Fatalf("the stranger's record was written: %+v", rec)
		}
	}
}

// faults by name.
func faults() map[string]cftest.How {
	return map[string]cftest.How{
		"Busy": cftest.Busy, "RateLimited": cftest.RateLimited, "ErrorBefore": cftest.ErrorBefore, "ErrorAfter": cftest.ErrorAfter,
		"BadGatewayBefore": cftest.BadGatewayBefore, "BadGatewayAfter": cftest.BadGatewayAfter, "ResetBefore": cftest.ResetBefore,
		"ResetAfter": cftest.ResetAfter, "HangBefore": cftest.HangBefore, "HangAfter": cftest.HangAfter,
		"Unauthorised": cftest.Unauthorised, "Garbled": cftest.Garbled,
	}
}

func TestApply_AFaultAtAnyRequestNeverLeavesFewerAndTheNextRunFinishes(t *testing.T) {
	for name, how := range faults() {
		for nth := 1; nth <= 6; nth++ {
			for _, times := range []int{1, -1} {
				if times < 0 && nth < 5 {
					continue // the last two requests are enough for a fault that stays
				}
				t.Run(fmt.Sprintf("%s/%d/%d", name, nth, times), func(t *testing.T) {
					bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
						want := replaced(t, r)
						r.Fail(cftest.Fault{Nth: nth, Times: times, How: how})
						_ = converge(t.Context(), r.zone(nil), want) // whether it gets through is another test's
						r.neverFewer(t, 4)
						r.finished(t, want)
						r.neverFewer(t, 4)
					})
				})
			}
		}
	}
}

func TestApply_OneFaultAtAWriteIsGotOver(t *testing.T) {
	for name, how := range faults() {
		if how == cftest.RateLimited || how == cftest.Unauthorised {
			continue // five minutes are not waited for, and a refusal is believed
		}
		for nth := 1; nth <= 2; nth++ {
			t.Run(fmt.Sprintf("%s/%d", name, nth), func(t *testing.T) {
				bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
					want := replaced(t, r)
					r.Fail(cftest.Fault{Writes: true, Nth: nth, How: how})
					if err := converge(t.Context(), r.zone(nil), want); err != nil {
						t.Fatalf("got %v, want a run that gets over it", err)
					}
					after := how == cftest.ErrorAfter || how == cftest.BadGatewayAfter || how == cftest.ResetAfter || how == cftest.HangAfter || how == cftest.Garbled
					if got := r.Calls()[batchCall]; after && got != 2 {
						t.Errorf("got %d batches, want 2: what was done is not sent again", got)
					}
					r.finished(t, want)
				})
			})
		}
	}
}

func TestApply_AProcessKilledAtAnyRequestIsFinishedByTheNext(t *testing.T) {
	for nth := 1; nth <= 6; nth++ {
		for _, committed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%t", nth, committed), func(t *testing.T) {
				bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
					want := replaced(t, r)
					ctx, kill := context.WithCancel(t.Context())
					defer kill()
					n := 0
					r.Around(func(_ int, _ *http.Request, commit func()) bool {
						if n++; n != nth {
							return true
						}
						if committed {
							commit()
						}
						kill()
						return false
					})
					if err := converge(ctx, r.zone(nil), want); err == nil {
						t.Fatalf("got no error of a run that was killed at request %d", nth)
					}
					r.finished(t, want)
					r.neverFewer(t, 4)
				})
			})
		}
	}
}

func TestApply_A429AtEveryWriteForEverSaysWhenToComeBack(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := replaced(t, r)
		r.Fail(cftest.Fault{Writes: true, How: cftest.RateLimited})
		err := converge(t.Context(), r.zone(nil), want)
		wantErr(t, "Apply", err, dnsaddr.ErrFull, "the rate of requests is used up", "run the same command again after")
		if got := r.wrote(); got != 1 {
			t.Errorf("got %d writes, want 1: five minutes are not waited for", got)
		}
		r.finished(t, want)
	})
}

func TestApply_LeavesARecordThatSomebodyEdited(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*cftest.Record)
		want string
	}{
		"text":    {func(r *cftest.Record) { r.Content = "mine now" }, `it now says "mine now"`},
		"comment": {func(r *cftest.Record) { r.Comment = "adopted\x1b by me" }, "its comment is now"},
		"name":    {func(r *cftest.Record) { r.Name = listed }, `it is now at "` + listed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
				z := r.zone(nil)
				apply(t, z, dnsaddr.Changes{Add: several(1, 2)})
				have := records(t, z)
				edited := r.Cloud.Records(apex)[0]
				tc.edit(&edited)
				if _, err := r.Put(apex, edited); err != nil {
					t.Fatal(err)
				}
				r.ResetCalls()
				err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(3, 3), Remove: have})
				wantErr(t, "Apply", err, dnsaddr.ErrEdited, tc.want, "run the same command again")
				if strings.ContainsRune(err.Error()+fleet.Hint(err), '\x1b') {
					t.Errorf("got an escape in %q", err)
				}
				if r.wrote() != 0 || len(r.Cloud.Records(apex)) != 2 {
					t.Errorf("got %d writes, %+v, want none", r.wrote(), r.Cloud.Records(apex))
				}
			})
		})
	}
}

func TestApply_AnEditBetweenAddAndRemoveIsNotLost(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := replaced(t, r)
		writes := 0
		r.Around(func(_ int, q *http.Request, commit func()) bool {
			if q.Method == http.MethodPost {
				if writes++; writes == 1 {
					commit()
					edited := r.Cloud.Records(apex)[1]
					edited.Content = "mine now"
					if _, err := r.Put(apex, edited); err != nil {
						t.Error(err)
					}
				}
			}
			return true
		})
		err := converge(t.Context(), r.zone(nil), want)
		wantErr(t, "Apply", err, dnsaddr.ErrEdited, "mine now")
		if got := r.values(); !slices.Contains(got, "mine now") || len(got) != 7 {
			t.Errorf("got %q, want all old texts, the edited one among them", got)
		}
	})
}
