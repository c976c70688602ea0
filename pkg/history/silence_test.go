package history

import (
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestFigures_AtLeastIsSaidOnlyWhereItIsABound(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 2), answer(2, at, 2))
	at = at.Add(time.Hour)
	one := answer(1, at, 2, entry(1, at.Add(-time.Hour), at))
	one.Telemetry.Counters = stats.Counters{Joined: 1, Sessions: 2, SessionSecs: 60}
	ingest(t, s, at, one, silent(2, "no route"))
	f := figures(t, s, at)
	for metric, want := range map[string]string{
		"lifetime_unique_peers": "at least 1 without nyc1-2", "active_peers_24h": "at least 1 without nyc1-2", "peers_by_tier": "at least 1 without nyc1-2",
		"relay_overlap": "at least 1 without nyc1-2", "joins": "at least 1 without nyc1-2",
		"new_peers": "1 without nyc1-2", "session_length_seconds": "30 without nyc1-2", "relays_answering": "1 without nyc1-2",
	} {
		wantFigure(t, f, metric, want)
	}
	for metric, label := range map[string]string{"peers_by_tier": "edge", "relay_overlap": "1"} {
		if got := text(f.Parts[metric][label]); got != "1 without nyc1-2" {
			t.Errorf("%s of %s: got %s, want 1 without nyc1-2, and no bound: the peer may belong elsewhere", label, metric, got)
		}
	}
	got := points(t, s, "tier", Query{Step: StepHour, By: true, Since: at})
	if want := []string{"edge 11-02 13:00 1 without nyc1-2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// The relay comes back, and knew the peer before: that it was new was no bound.
	at = at.Add(time.Hour)
	ingest(t, s, at, answer(1, at, 2), answer(2, at, 2, entry(1, at.Add(-48*time.Hour), at.Add(-47*time.Hour))))
	wantFigure(t, figures(t, s, at), "new_peers", "0")
}

func TestSeries_OfADayOnWhichARelayWasUnreadReturningAndRetentionSaySoForEver(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 1), answer(2, at, 1, entry(1, at, at)))
	for day := range 14 {
		at = at.AddDate(0, 0, 1)
		two := answer(2, at, 1, entry(1, monday(), at))
		if day == 2 || day > 4 && day < 13 { // Thursday, and all of the second week
			two = silent(2, "no route")
		}
		ingest(t, s, at, answer(1, at, 1), two)
	}
	got := points(t, s, "returning", Query{Step: StepDay, Since: monday().AddDate(0, 0, 2), Until: monday().AddDate(0, 0, 4)})
	want := []string{"11-04 00:00 1", "11-05 00:00 at least 0 without nyc1-2"}
	if !slices.Equal(got[:2], want) {
		t.Errorf("got %q, want %q: whoever came on that day and again is not known to have been there", got, want)
	}
	cohorts, err := s.Cohorts(t.Context(), at, 0)
	if err != nil || len(cohorts) == 0 || len(cohorts[0].Active) < 3 {
		t.Fatalf("got %+v %v, want a cohort of three weeks", cohorts, err)
	}
	for later, want := range []string{"1", "0 without nyc1-2", "1"} {
		if got := text(cohorts[0].Active[later]); got != want {
			t.Errorf("%d weeks later: got %s, want %s", later, got, want)
		}
	}
}

func TestIngest_ARelayThatLeftUnreadIsMissedForEver(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 1), answer(2, at, 1, entry(2, at, at)), answer(3, at, 1))
	at = at.Add(time.Hour)
	ingest(t, s, at, answer(1, at, 1), silent(2, "no route"), answer(3, at, 1))
	at = at.AddDate(0, 0, 2)
	ingest(t, s, at, answer(1, at, 1, entry(1, at, at))) // both are gone, one of them unread
	wantFigure(t, figures(t, s, at), "lifetime_unique_peers", "at least 2 without nyc1-2")
	got := points(t, s, "lifetime", Query{Step: StepDay, Since: at})
	if want := []string{"11-04 00:00 at least 2 without nyc1-2"}; !slices.Equal(got, want) {
		t.Errorf("lifetime: got %q, want %q", got, want)
	}
	later := at.AddDate(0, 0, 1)
	ingest(t, s, later, answer(1, later, 1))
	if got := points(t, s, "new", Query{Step: StepDay, Since: later}); !slices.Equal(got, []string{"11-05 00:00 0"}) {
		t.Errorf("new: got %q, want all of a day on which it was in the fleet no longer", got)
	}
	got = points(t, s, "new", Query{Step: StepDay, Since: monday(), Until: at})
	if want := []string{"11-02 00:00 1 without nyc1-2", "11-03 00:00 0 without nyc1-2", "11-04 00:00 1 without nyc1-2"}; !slices.Equal(got, want) {
		t.Errorf("new: got %q, want %q", got, want)
	}
}

func TestFigures_NameARelayThatLeftUnreadWhileItsPeersMayBeInThem(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	ingest(t, s, at, answer(1, at, 1), answer(2, at, 1, entry(2, at, at)))
	at = at.Add(time.Hour)
	ingest(t, s, at, answer(1, at, 1), silent(2, "no route"))
	for _, c := range []struct {
		after                                   time.Duration
		day, week, month, tier, overlap, isBack string
	}{
		{time.Hour, "at least 2 without nyc1-2", "at least 2 without nyc1-2", "at least 2 without nyc1-2", "at least 2 without nyc1-2", "at least 2 without nyc1-2", "at least 0 without nyc1-2"},
		{30 * time.Hour, "1", "at least 2 without nyc1-2", "at least 2 without nyc1-2", "at least 2 without nyc1-2", "at least 2 without nyc1-2", "1"},
		{9 * 24 * time.Hour, "1", "1", "at least 2 without nyc1-2", "1", "at least 2 without nyc1-2", "1"},
	} {
		now := at.Add(c.after)
		ingest(t, s, now, answer(1, now, 1, entry(1, monday(), now)))
		f := figures(t, s, now)
		for metric, want := range map[string]string{
			"active_peers_24h": c.day, "active_peers_7d": c.week, "active_peers_30d": c.month, "peers_by_tier": c.tier, "relay_overlap": c.overlap,
			"returning_peers": c.isBack, "nat_status": "1",
		} {
			if got := text(f.Values[metric]); got != want {
				t.Errorf("%s after it left, %s: got %s, want %s", c.after, metric, got, want)
			}
		}
	}
}

// What was connected to a relay that died is not connected now.
func TestFigures_WhoIsConnectedIsOfTheLastTwoMinutes(t *testing.T) {
	s := open(t, Options{})
	ingest(t, s, monday(), answer(1, monday(), 5), answer(2, monday(), 7))
	for minutes, want := range []string{"12", "12", "at least 5 without nyc1-2", "at least 6 without nyc1-2", "unknown without nyc1-1 nyc1-2"} {
		at := monday().Add(time.Duration(minutes) * time.Minute)
		switch minutes {
		case 0:
		case 3:
			ingest(t, s, at, answer(1, at, 6), silent(2, "away"))
		case 4:
			at = at.Add(2 * time.Minute)
			ingest(t, s, at, silent(1, "away"), silent(2, "away"))
		default:
			ingest(t, s, at, answer(1, at, 5), silent(2, "away"))
		}
		f := figures(t, s, at)
		wantFigure(t, f, "concurrent_peers", want)
		if c := f.Values["concurrent_peers"]; c.Value != nil && at.Sub(c.Since.Time) >= 2*time.Minute {
			t.Errorf("after %s: got a minute that ended at %s", at.Sub(monday()), c.Since.Time)
		}
	}
}
