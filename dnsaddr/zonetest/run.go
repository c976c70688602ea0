package zonetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// name at which the suite writes.
const name = "_dnsaddr.p2p.zone.test"

// listName is that of a list of the fleet.
const listName = "_dnsaddr.nyc1.p2p.zone.test"

// owned is the comment of the suite's own records.
const owned = "fleetctl:suite/nyc1-1"

// limit for everything that one test asks of a zone.
const limit = 30 * time.Second

// Run is the contract of [dnsaddr.Zone]. newZone returns an empty zone that holds
// p2p.zone.test and all names below, and is served, if it is one that is served at all; each test
// gets its own.
func Run(t *testing.T, newZone func(t *testing.T) dnsaddr.Zone) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, dnsaddr.Zone)
	}{
		{"NameWithoutRecordsIsEmptyAndNoError", emptyName},
		{"AddedRecordIsListedWithAnID", addIsListed},
		{"RecordsAreSorted", sorted},
		{"ReplacementAddsBeforeItRemoves", replacement},
		{"AddingTwiceMakesOneRecord", addTwice},
		{"SameValueUnderAnotherCommentIsAnotherRecordOrRefused", sameValueOtherComment},
		{"SameValueAtAnotherNameIsAnotherRecord", sameValueOtherName},
		{"AddWithoutANameIsAtTheEntry", addAtTheEntry},
		{"NameOfNobodyIsErrBadRecord", badName},
		{"OtherNamesOfTheZoneAreNotListed", otherFleet},
		{"RemovingTwiceSucceeds", removeTwice},
		{"UpdateChangesTTLAndCommentUnderTheSameID", update},
		{"UpdateOfMissingRecordIsErrNoRecord", updateMissing},
		{"FailedUpdateRemovesNothing", failedUpdateKeeps},
		{"EditedRecordIsErrEditedAndStays", editedStays},
		{"RecordOfAnotherFleetIsNotTakenOver", notTakenOver},
		{"ForeignRecordsAreUntouched", foreignUntouched},
		{"TTLOutsideTheLimitsIsErrBadRecord", ttlRange},
		{"BadRecordChangesNothing", badRecord},
		{"CancelledContextChangesNothing", cancelled},
		{"ConcurrentAppliesLoseNothing", concurrent},
		{"DiffOfTheResultIsEmpty", diffIsEmpty},
		{"IDsAreNotReused", idsNotReused},
		{"EmptyChangesWriteNothing", emptyChanges},
		{"StatusNamesTheKind", status},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newZone(t)) })
	}
}

// value is a TXT value of the n-th relay.
func value(n int) string {
	hosts := "0123456789"
	return "dnsaddr=/ip4/192.0.2." + hosts[n:n+1] + "/tcp/9100/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
}

func record(n int, z dnsaddr.Zone) dnsaddr.Record {
	return dnsaddr.Record{Name: name, Value: value(n), TTL: z.Limits().MinTTL, Comment: owned}
}

func apply(t *testing.T, z dnsaddr.Zone, c dnsaddr.Changes) {
	t.Helper()
	if err := tryApply(t, z, c); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

func tryApply(t *testing.T, z dnsaddr.Zone, c dnsaddr.Changes) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return z.Apply(ctx, name, c)
}

func list(t *testing.T, z dnsaddr.Zone) []dnsaddr.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	got, err := z.Records(ctx, name)
	if err != nil {
		t.Fatalf("Records: %v", err)
	}
	return got
}

// want compares what is listed, IDs aside.
func want(t *testing.T, z dnsaddr.Zone, records ...dnsaddr.Record) []dnsaddr.Record {
	t.Helper()
	got := list(t, z)
	if diff := cmp.Diff(bare(records), bare(got)); diff != "" {
		t.Fatalf("records (-want +got):\n%s", diff)
	}
	return got
}

// bare drops the IDs and sorts.
func bare(records []dnsaddr.Record) []dnsaddr.Record {
	out := make([]dnsaddr.Record, len(records))
	for i, r := range records {
		r.ID = ""
		out[i] = r
	}
	slices.SortFunc(out, dnsaddr.Record.Compare)
	return out
}

func wantError(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %v", err, target)
	}
}
