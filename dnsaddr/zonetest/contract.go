package zonetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

func emptyName(t *testing.T, z dnsaddr.Zone) {
	if got := list(t, z); got == nil || len(got) != 0 {
		t.Fatalf("got %#v, want an empty slice", got)
	}
}

func addIsListed(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	if got := want(t, z, record(1, z)); got[0].ID == "" {
		t.Fatal("the record has no ID")
	}
}

func sorted(t *testing.T, z dnsaddr.Zone) {
	other := record(4, z)
	other.Comment = ""
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(3, z), record(1, z), record(2, z)}})
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{other, record(0, z)}})
	if got := list(t, z); len(got) != 5 || !slices.IsSortedFunc(got, dnsaddr.Record.Compare) {
		t.Fatalf("got %v, want five records in the order of Record.Compare", got)
	}
}

func replacement(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	old := list(t, z)
	m, remembers := z.(*Memory)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(2, z)}, Remove: old})
	want(t, z, record(2, z))
	if !remembers {
		return
	}
	for _, moment := range m.History() {
		if len(moment.Records) == 0 {
			t.Fatalf("the name was empty after %v", moment.Call)
		}
	}
}

func addTwice(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	first := list(t, z)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z), record(1, z)}})
	if got := want(t, z, record(1, z)); got[0].ID != first[0].ID {
		t.Fatalf("got ID %s, want %s", got[0].ID, first[0].ID)
	}
}

// A zone that holds a value once at a name, as a set of records in DNS does, refuses it.
func sameValueOtherComment(t *testing.T, z dnsaddr.Zone) {
	other := record(1, z)
	other.Comment = "fleetctl:other/nyc1-1"
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	if err := tryApply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{other}}); err != nil {
		wantError(t, err, dnsaddr.ErrBadRecord)
		want(t, z, record(1, z))
		return
	}
	want(t, z, record(1, z), other)
}

func sameValueOtherName(t *testing.T, z dnsaddr.Zone) {
	other := record(1, z)
	other.Name = listName
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z), other}})
	got := want(t, z, record(1, z), other)
	apply(t, z, dnsaddr.Changes{Remove: got[:1]})
	want(t, z, other)
}

func addAtTheEntry(t *testing.T, z dnsaddr.Zone) {
	r := record(1, z)
	r.Name = ""
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{r}})
	want(t, z, record(1, z))
}

func badName(t *testing.T, z dnsaddr.Zone) {
	for _, at := range []string{"p2p.zone.test", "www.p2p.zone.test", "_dnsaddr.a.b.p2p.zone.test", "_dnsaddr.zone.test", "_dnsaddr.other.test", "_dnsaddr..p2p.zone.test"} {
		r := record(1, z)
		r.Name = at
		wantError(t, tryApply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(2, z), r}}), dnsaddr.ErrBadRecord)
	}
	want(t, z)
}

// A name of another fleet may have ours as its beginning or its end.
func otherFleet(t *testing.T, z dnsaddr.Zone) {
	const other = "_dnsaddr.boot.nyc1.p2p.zone.test" // _dnsaddr.nyc1.p2p.zone.test is ours
	r := record(1, z)
	r.Name = other
	if err := z.Apply(t.Context(), other, dnsaddr.Changes{Add: []dnsaddr.Record{r}}); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	want(t, z)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(2, z)}})
	want(t, z, record(2, z))
	if got, err := z.Records(t.Context(), other); err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v; want the other fleet's record", got, err)
	}
}

func removeTwice(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z), record(2, z)}})
	first := list(t, z)[:1]
	for range 2 {
		apply(t, z, dnsaddr.Changes{Remove: first})
		want(t, z, record(2, z))
	}
}

func update(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	changed := list(t, z)[0]
	changed.TTL += time.Second
	changed.Comment = "fleetctl:suite/fra1-1"
	apply(t, z, dnsaddr.Changes{Update: []dnsaddr.Record{changed}})
	if got := want(t, z, changed); got[0].ID != changed.ID {
		t.Fatalf("got ID %s, want %s", got[0].ID, changed.ID)
	}
}

func updateMissing(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	gone := list(t, z)
	apply(t, z, dnsaddr.Changes{Remove: gone})
	wantError(t, tryApply(t, z, dnsaddr.Changes{Update: gone}), dnsaddr.ErrNoRecord)
	want(t, z)
}

func failedUpdateKeeps(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z), record(2, z)}})
	both := list(t, z)
	apply(t, z, dnsaddr.Changes{Remove: both[:1]})
	wantError(t, tryApply(t, z, dnsaddr.Changes{Update: both[:1], Remove: both[1:]}), dnsaddr.ErrNoRecord)
	want(t, z, record(2, z))
}

// What a change was planned for says something else now, or belongs to somebody else.
func editedStays(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	now := list(t, z)
	other, moved, commented := now[0], now[0], now[0]
	other.Value, moved.Name, commented.Comment = value(9), listName, "fleetctl:suite/fra1-1"
	for _, was := range []dnsaddr.Record{other, moved} {
		wantError(t, tryApply(t, z, dnsaddr.Changes{Update: []dnsaddr.Record{was}}), dnsaddr.ErrEdited)
		wantError(t, tryApply(t, z, dnsaddr.Changes{Remove: []dnsaddr.Record{was}}), dnsaddr.ErrEdited)
	}
	wantError(t, tryApply(t, z, dnsaddr.Changes{Remove: []dnsaddr.Record{commented}}), dnsaddr.ErrEdited)
	if got := list(t, z); !slices.Equal(got, now) {
		t.Fatalf("got %v, want %v", got, now)
	}
}

func notTakenOver(t *testing.T, z dnsaddr.Zone) {
	theirs := record(1, z)
	theirs.Comment = "fleetctl:other/nyc1-1"
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{theirs}})
	before := list(t, z)
	taken := before[0]
	for _, comment := range []string{owned, "", "by hand"} {
		taken.Comment = comment
		wantError(t, tryApply(t, z, dnsaddr.Changes{Update: []dnsaddr.Record{taken}}), dnsaddr.ErrEdited)
	}
	if got := list(t, z); !slices.Equal(got, before) {
		t.Fatalf("got %v, want %v", got, before)
	}
}

func foreignUntouched(t *testing.T, z dnsaddr.Zone) {
	foreign := []dnsaddr.Record{
		{Name: name, Value: value(8), TTL: z.Limits().MinTTL, Comment: "boot of a friend"},
		{Name: name, Value: `v=spf1 "quoted" \ -all; x=y`, TTL: z.Limits().MinTTL},
	}
	apply(t, z, dnsaddr.Changes{Add: foreign})
	before := list(t, z)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	c := dnsaddr.Diff("suite", list(t, z), nil)
	apply(t, z, c)
	after := want(t, z, foreign...)
	if !slices.Equal(before, after) {
		t.Fatalf("foreign records changed: got %v, want %v", after, before)
	}
}

func ttlRange(t *testing.T, z dnsaddr.Zone) {
	l := z.Limits()
	for _, ttl := range []time.Duration{0, -time.Second, l.MinTTL - time.Second, l.MaxTTL + time.Second, l.MinTTL + time.Millisecond} {
		r := record(1, z)
		r.TTL = ttl
		wantError(t, tryApply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{r}}), dnsaddr.ErrBadRecord)
	}
	want(t, z)
	most := record(2, z)
	most.TTL = l.MaxTTL
	if l.OneTTL {
		most.Name = listName
	}
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z), most}})
	want(t, z, record(1, z), most)
}

func badRecord(t *testing.T, z dnsaddr.Zone) {
	for what, r := range map[string]dnsaddr.Record{
		"no value":        {TTL: z.Limits().MinTTL},
		"control":         {TTL: z.Limits().MinTTL, Value: "dnsaddr=\x1b[31m"},
		"not ASCII":       {TTL: z.Limits().MinTTL, Value: "dnsaddr=ü"},
		"too long":        {TTL: z.Limits().MinTTL, Value: value(1) + string(make([]byte, dnsaddr.MaxString))},
		"comment too big": {TTL: z.Limits().MinTTL, Value: value(1), Comment: value(1) + value(1)},
		"comment newline": {TTL: z.Limits().MinTTL, Value: value(1), Comment: "a\nb"},
	} {
		t.Run(what, func(t *testing.T) {
			wantError(t, tryApply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(2, z), r}}), dnsaddr.ErrBadRecord)
		})
	}
	want(t, z)
}

func cancelled(t *testing.T, z dnsaddr.Zone) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, z.Apply(ctx, name, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}}), context.Canceled)
	_, err := z.Records(ctx, name)
	wantError(t, err, context.Canceled)
	want(t, z)
}

func concurrent(t *testing.T, z dnsaddr.Zone) {
	var g errgroup.Group
	all := make([]dnsaddr.Record, 8)
	for i := range all {
		all[i] = record(i, z)
		for range 2 { // twice: the second add of a value makes no second record
			g.Go(func() error { return z.Apply(t.Context(), name, dnsaddr.Changes{Add: all[i : i+1]}) })
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	want(t, z, all...)
}

func diffIsEmpty(t *testing.T, z dnsaddr.Zone) {
	wanted := []dnsaddr.Record{record(1, z), record(2, z)}
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(2, z), record(3, z)}})
	apply(t, z, dnsaddr.Diff("suite", list(t, z), wanted))
	if c := dnsaddr.Diff("suite", want(t, z, wanted...), wanted); !c.Empty() {
		t.Fatalf("second run: got %v, want no changes", c)
	}
}

func idsNotReused(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	old := list(t, z)
	apply(t, z, dnsaddr.Changes{Remove: old})
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	if got := list(t, z); got[0].ID == old[0].ID {
		t.Fatalf("ID %s of a removed record was given to another", got[0].ID)
	}
	apply(t, z, dnsaddr.Changes{Remove: old})
	want(t, z, record(1, z))
}

func emptyChanges(t *testing.T, z dnsaddr.Zone) {
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{record(1, z)}})
	before := list(t, z)
	apply(t, z, dnsaddr.Changes{})
	if after := list(t, z); !slices.Equal(before, after) {
		t.Fatalf("got %v, want %v", after, before)
	}
}

func status(t *testing.T, z dnsaddr.Zone) {
	if s := z.Status(t.Context()); s.Kind == "" || !s.Serving {
		t.Fatalf("got %+v, want a kind, and serving", s)
	}
}
