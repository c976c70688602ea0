package rfc2136_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

func line(r dnsaddr.Record) string { return fmt.Sprintf("%s. 60 TXT %q", r.Name, r.Value) }

func TestZone_RecordRemovedByHandIsMissedAndRepaired(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	want := []dnsaddr.Record{relay("192.0.2.1"), relay("192.0.2.2")}
	if err := syncTo(t, z, want); err != nil {
		t.Fatal(err)
	}
	s.Delete(t, line(want[0]))
	c := dnsaddr.Diff("demo", list(t, z), want)
	if len(c.Add) != 1 || c.Add[0].Value != want[0].Value || len(c.Update)+len(c.Remove) != 0 {
		t.Fatalf("got %v, want the record added", c)
	}
	apply(t, z, c)
	if c := dnsaddr.Diff("demo", list(t, z), want); !c.Empty() {
		t.Errorf("after the repair: got %v, want no changes", c)
	}
	if got := s.TXT(companion); len(got) != 2 {
		t.Errorf("companion: got %q, want one record for each of two", got)
	}
}

func TestZone_RecordChangedByHandIsForeignAndStays(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	want := []dnsaddr.Record{relay("192.0.2.1")}
	if err := syncTo(t, z, want); err != nil {
		t.Fatal(err)
	}
	s.Delete(t, line(want[0]))
	s.Put(t, line(relay("203.0.113.9")))
	if got := list(t, z); len(got) != 1 || got[0].Comment != "" {
		t.Fatalf("got %v, want the changed record, without a comment", got)
	}
	if err := syncTo(t, z, want); err != nil {
		t.Fatal(err)
	}
	if err := syncTo(t, z, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.TXT(name); !slices.Equal(got, []string{relay("203.0.113.9").Value}) {
		t.Errorf("got %q, want the changed record alone", got)
	}
}

// Somebody edits between our reading and our writing.
func TestZone_EditUnderOurHandsIsReadAndNotUndone(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	mine, theirs := relay("192.0.2.1"), relay("203.0.113.9")
	if err := syncTo(t, z, []dnsaddr.Record{mine, theirs}); err != nil {
		t.Fatal(err)
	}
	s.Fail(func(n int) rfctest.Fault {
		if n == 1 {
			s.Delete(t, line(theirs))
			s.Put(t, name+`. 60 TXT "v=spf1 -all"`)
		}
		return rfctest.Fault{}
	})
	third := relay("192.0.2.3")
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{third}})
	if got, want := s.TXT(name), []string{mine.Value, third.Value, "v=spf1 -all"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestZone_TTLIsChangedOfTheWholeNameAtOnce(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		s := rfctest.Start(t, apex)
		if keeps {
			s.KeepTTLs()
		}
		z := open(t, config(s))
		if err := syncTo(t, z, []dnsaddr.Record{relay("192.0.2.1"), relay("192.0.2.2")}); err != nil {
			t.Fatal(err)
		}
		old := len(s.History())
		slow, fast := relay("192.0.2.1"), relay("192.0.2.2")
		slow.TTL, fast.TTL = time.Hour, 5*time.Minute
		if err := syncTo(t, z, []dnsaddr.Record{slow, fast}); err != nil {
			t.Fatalf("server that keeps TTLs: %t: %v", keeps, err)
		}
		for _, r := range list(t, z) {
			if r.TTL != 5*time.Minute {
				t.Errorf("got TTL %s, want the smallest, %s", r.TTL, 5*time.Minute)
			}
		}
		for _, moment := range s.History()[old:] {
			if len(moment[name]) != 2 {
				t.Errorf("on the way: got %q, want two records", moment[name])
			}
		}
	}
}

func TestZone_ForeignValueThatWeAlsoPublishOutlivesUs(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	r := relay("192.0.2.1")
	s.Put(t, line(r))
	foreign := list(t, z)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{r}})
	got := list(t, z)
	if len(got) != 2 || !slices.Contains(got, foreign[0]) {
		t.Fatalf("got %v, want the foreign record as it was, and ours", got)
	}
	if err := syncTo(t, z, nil); err != nil {
		t.Fatal(err)
	}
	if got := list(t, z); !slices.Equal(got, foreign) {
		t.Errorf("got %v, want %v", got, foreign)
	}
}

// --adopt: an update gives a record that had none a comment.
func TestZone_AdoptedRecordKeepsItsIDAndIsOurs(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	s.Put(t, line(relay("192.0.2.1")))
	found := list(t, z)[0]
	found.Comment = "fleetctl:demo/nyc1-1"
	apply(t, z, dnsaddr.Changes{Update: []dnsaddr.Record{found}})
	if got := list(t, z); len(got) != 1 || got[0] != found {
		t.Errorf("got %v, want %v", got, found)
	}
}

func TestZone_ForeignTextsOfAnyFormAreListedAndUntouched(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	long := strings.Repeat("x", 200)
	s.Put(t,
		fmt.Sprintf(`%s. 60 TXT %q %q`, name, long, long),
		name+`. 60 TXT "a" "b"`, name+`. 60 TXT "ab"`, name+`. 60 TXT ""`, name+`. 60 TXT "\255\000\"\\"`,
		companion+`. 60 TXT "fleetctl v=2 what=ever"`, companion+`. 60 TXT "not ours"`)
	foreign, theirs, notes := list(t, z), s.TXT(name), s.TXT(companion)
	if len(foreign) != 5 {
		t.Fatalf("got %v, want five records", foreign)
	}
	if err := syncTo(t, z, []dnsaddr.Record{relay("192.0.2.1")}); err != nil {
		t.Fatal(err)
	}
	if err := syncTo(t, z, nil); err != nil {
		t.Fatal(err)
	}
	if got := list(t, z); !slices.Equal(got, foreign) || !slices.Equal(s.TXT(name), theirs) {
		t.Errorf("got %v, want %v", got, foreign)
	}
	if got := s.TXT(companion); !slices.Equal(got, notes) {
		t.Errorf("companion: got %q, want %q", got, notes)
	}
}

// Two fleets, each with a zone of its own, at one name.
func TestZone_ConcurrentWritersConverge(t *testing.T) {
	s := rfctest.Start(t, apex)
	var g errgroup.Group
	for _, fleet := range []string{"one", "two"} {
		var want []dnsaddr.Record
		for i := range 8 {
			r := relay(fmt.Sprintf("192.0.2.%d", i+10*len(fleet)+len(want)))
			if fleet == "two" {
				r = relay(fmt.Sprintf("198.51.100.%d", i))
			}
			r.Comment = "fleetctl:" + fleet + "/nyc1-1"
			want = append(want, r)
		}
		z := open(t, config(s))
		g.Go(func() error {
			for i := range want {
				for {
					have, err := z.Records(t.Context(), name)
					if err != nil {
						return err
					}
					err = z.Apply(t.Context(), name, dnsaddr.Diff(fleet, have, want[:i+1]))
					if err == nil {
						break
					}
					if !errors.Is(err, rfc2136.ErrConflict) {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := s.TXT(name); len(got) != 16 {
		t.Errorf("got %d records, want those of both: %q", len(got), got)
	}
}

func TestZone_MarksOfValuesRemovedByHandGoWithTheNextWriteOfTheirFleet(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	gone, theirs := relay("192.0.2.1"), relay("192.0.2.2")
	theirs.Comment = "fleetctl:other/nyc1-1"
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{gone, theirs}})
	s.Delete(t, line(gone), line(theirs))
	if err := syncTo(t, z, []dnsaddr.Record{relay("192.0.2.3")}); err != nil {
		t.Fatal(err)
	}
	got := s.TXT(companion)
	if len(got) != 2 || !slices.ContainsFunc(got, func(m string) bool { return strings.HasSuffix(m, theirs.Comment) }) {
		t.Errorf("companion: got %q, want that of the new record and the other fleet's", got)
	}
}

// inTwo is a record whose text somebody wrote in two strings.
func inTwo(r dnsaddr.Record) string {
	return fmt.Sprintf("%s. 60 TXT %q %q", r.Name, r.Value[:20], r.Value[20:])
}

// Clients differ in what they make of several strings.
func TestZone_TextInTwoStringsIsWrittenAsOneUnderItsIDAndSettles(t *testing.T) {
	for what, prepare := range map[string]func(s *rfctest.Server, z *rfc2136.Zone, r dnsaddr.Record) error{
		"ours, edited": func(s *rfctest.Server, z *rfc2136.Zone, r dnsaddr.Record) error {
			err := syncTo(t, z, []dnsaddr.Record{r})
			s.Put(t, inTwo(r))
			s.Delete(t, line(r))
			return err
		},
		"somebody's, adopted": func(s *rfctest.Server, z *rfc2136.Zone, r dnsaddr.Record) error {
			s.Put(t, inTwo(r))
			found := list(t, z)[0]
			found.Comment = r.Comment
			return z.Apply(t.Context(), name, dnsaddr.Changes{Update: []dnsaddr.Record{found}})
		},
	} {
		s := rfctest.Start(t, apex)
		z, r := open(t, config(s)), relay("192.0.2.1")
		if err := prepare(s, z, r); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		before := list(t, z)
		if len(before) != 1 || before[0].Comment != r.Comment {
			t.Fatalf("%s: got %v, want one record of ours", what, before)
		}
		if err := syncTo(t, z, []dnsaddr.Record{r}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		after := list(t, z)
		if len(after) != 1 || after[0].Split || after[0].ID != before[0].ID {
			t.Errorf("%s: got %v, want %s in one string", what, after, before[0].ID)
		}
		s.Fail(nil)
		if err := syncTo(t, z, []dnsaddr.Record{r}); err != nil || s.Updates() != 0 {
			t.Errorf("%s: once more: got %d updates, %v; want none", what, s.Updates(), err)
		}
	}
}

func TestZone_AdditionOfATextThatIsThereInTwoStringsKeepsBothTheirs(t *testing.T) {
	s := rfctest.Start(t, apex)
	z, r := open(t, config(s)), relay("192.0.2.1")
	s.Put(t, inTwo(r))
	foreign := list(t, z)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{r}})
	if got := list(t, z); len(got) != 2 || !slices.Contains(got, foreign[0]) {
		t.Fatalf("got %v, want %v and ours", got, foreign)
	}
	if err := syncTo(t, z, nil); err != nil {
		t.Fatal(err)
	}
	if got := list(t, z); !slices.Equal(got, foreign) {
		t.Errorf("got %v, want %v", got, foreign)
	}
}

// Somebody copies a companion's record, ID and all, to say something of another value.
func TestZone_CopiedIDNeitherRemovesNorChangesTheOther(t *testing.T) {
	s := rfctest.Start(t, apex)
	z := open(t, config(s))
	ours, theirs := relay("192.0.2.1"), relay("192.0.2.2")
	theirs.Comment = "fleetctl:other/nyc1-1"
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{ours, theirs}})
	marks := map[string]string{} // by their comments
	for _, m := range s.TXT(companion) {
		_, comment, _ := strings.Cut(m, " c=")
		marks[comment] = m
	}
	mine, other := strings.Fields(marks[ours.Comment]), strings.Fields(marks[theirs.Comment])
	s.Delete(t, fmt.Sprintf("%s. 300 TXT %q", companion, strings.Join(other, " ")))
	other[2] = mine[2] // id=…
	s.Put(t, fmt.Sprintf("%s. 300 TXT %q", companion, strings.Join(other, " ")))
	found := list(t, z)
	if len(found) != 2 || found[0].ID != found[1].ID {
		t.Fatalf("got %v, want two records with one ID", found)
	}
	for range 4 { // whichever of the two a map has first
		moved := found[0]
		moved.TTL = 2 * time.Minute
		apply(t, z, dnsaddr.Changes{Update: []dnsaddr.Record{moved}})
	}
	apply(t, z, dnsaddr.Changes{Remove: found[:1]})
	if got := s.TXT(name); !slices.Equal(got, []string{theirs.Value}) {
		t.Errorf("got %q, want %q alone", got, theirs.Value)
	}
}

// Without transfers only the note says that there is a list.
func TestZone_LostNoteOfAListIsWrittenAgain(t *testing.T) {
	s := rfctest.Start(t, apex)
	s.RefuseTransfers(true)
	z := open(t, config(s))
	at := relay("192.0.2.1")
	at.Name = "_dnsaddr.nyc1.p2p.zone.test"
	want := []dnsaddr.Record{relay("192.0.2.1"), at}
	if err := syncTo(t, z, want); err != nil {
		t.Fatal(err)
	}
	s.Delete(t, companion+`. 300 TXT "fleetctl v=1 list=nyc1"`)
	if got := list(t, z); len(got) != 1 {
		t.Fatalf("got %v, want the list to be lost", got)
	}
	for range 2 {
		if err := syncTo(t, z, want); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, z); len(got) != 2 {
		t.Errorf("got %v, want the list to be found again", got)
	}
	s.Fail(nil)
	if err := syncTo(t, z, want); err != nil || s.Updates() != 0 {
		t.Errorf("once more: got %d updates, %v; want none", s.Updates(), err)
	}
}
