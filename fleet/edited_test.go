package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// Whoever edits a record in a dashboard may leave its text in two strings.
func TestSync_TextInSeveralStringsIsWrittenAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(s *sim) {
			s.zone.Edit(s.spec.DNS.RecordName(), func(r *dnsaddr.Record) { r.Split = strings.Contains(r.Comment, "ra-1") })
		})
		in := fleet.Intent{RecordsOnly: true}
		changes := fleet.Diff(s.spec, st, in).Changes()
		if len(changes) != 1 || changes[0].Action != fleet.ActionUpdate || !slices.Equal(changes[0].Fields, []fleet.Field{{Name: "strings", From: "several", To: "1"}}) {
			t.Fatalf("got %+v, want one update of the strings", changes)
		}
		if _, err := s.converge(in); err != nil {
			t.Fatal(err)
		}
		for _, rec := range s.peek() {
			if rec.Split {
				t.Errorf("%s is still in several strings", rec.Value)
			}
		}
	})
}

func TestApply_ARecordWhoseCommentChangedSinceThePlanIsNotAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(s *sim) { comment(t, s, "") })
		in := fleet.Intent{RecordsOnly: true}
		p := fleet.Diff(s.spec, st, in)
		s.zone.Edit(s.spec.DNS.RecordName(), func(r *dnsaddr.Record) { r.Comment = "mine now" })
		before := s.zone.Writes()
		if err := fleet.Apply(t.Context(), s.b, s.spec, in, st, p, nil); err != nil {
			t.Fatal(err)
		}
		if got := s.zone.Writes(); got != before {
			t.Errorf("writes: got %d, want none", got-before)
		}
	})
}

// The probes take a while: what another run wrote meanwhile counts.
func TestApply_GuardJudgesARemovalByTheZoneAfterTheProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(s *sim) { s.spec.Nodes = s.spec.Nodes[:2] })
		p := fleet.Diff(s.spec, st, s.intent)
		p.Stages = slices.DeleteFunc(p.Stages, func(stage fleet.Stage) bool { return stage.Name != fleet.StageWithdraw })
		if len(p.Changes()) != 1 {
			t.Fatalf("got %+v, want the one record of rc-1 withdrawn", p.Changes())
		}
		name := s.spec.DNS.RecordName()
		var once sync.Once
		s.world.Fault = func(call string, _ bool) error {
			if call == "prober.probe" {
				once.Do(func() { // another run withdraws rb-1
					for _, rec := range s.peek() {
						if strings.HasSuffix(rec.Comment, "/rb-1") {
							if err := s.zone.Apply(t.Context(), name, dnsaddr.Changes{Remove: []dnsaddr.Record{rec}}); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			return nil
		}
		var refusal *fleet.Refusal
		err := fleet.Apply(t.Context(), s.b, s.spec, s.intent, st, p, nil)
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "the floor is 2") {
			t.Errorf("got %v, want a refusal: one verified relay would be left", err)
		}
		if ours, _ := s.records(t); len(ours) != 2 {
			t.Errorf("got records %q, want those of ra-1 and rc-1", ours)
		}
	})
}
