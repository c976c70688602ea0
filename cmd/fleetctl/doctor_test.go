package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

func TestDoctor_NamesEveryDifferenceAndTheCommandForTheDearest(t *testing.T) {
	m := fleet.Machine{ID: "m1", Node: "nyc1-1", Region: "nyc1", Drift: []fleet.Drift{{Name: "size", From: "small", To: "large", Fix: fleet.FixReplace}}}
	st := fleet.State{Relays: map[string]fleet.Observed[fleet.Relay]{
		"m1": {Value: fleet.Relay{Drift: []fleet.Drift{{Name: "keys", To: "ops@example.net", Fix: fleet.FixInPlace}}}},
		"m2": {Err: errors.New("no answer")},
	}}
	st.Machines.Value = []fleet.Machine{m, {ID: "m2", Node: "fra1-1"}}
	st.Shared.Value = []fleet.Drift{{Name: "port 9847", From: "open", To: "closed", Fix: fleet.FixInPlace}}
	var v doctorView
	examineDrift(st, &v)
	var got []string
	for _, f := range v.Findings {
		got = append(got, fmt.Sprintf("%s|%t|%s|%s", f.Check, f.OK, f.Detail, f.Fix))
	}
	want := []string{
		"firewall|false|port 9847 is open, the spec says closed (in place)|run 'fleetctl up'",
		"drift nyc1-1|false|size is small, the spec says large (replacement); keys is nothing, the spec says ops@example.net (in place)|" +
			"run 'fleetctl replace-region nyc1' for what only another machine can be",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("findings: got %q, want %q", got, want)
	}
}

func TestDoctor_FirewallThatCannotBeReadIsAProblem(t *testing.T) {
	var st fleet.State
	st.Machines.Value = []fleet.Machine{{ID: "m1", Node: "nyc1-1"}}
	st.Shared.Err = errors.New("429")
	var v doctorView
	examineDrift(st, &v)
	if len(v.Findings) != 1 || v.Findings[0].OK || v.Findings[0].Detail != "429" {
		t.Errorf("findings: got %+v, want one problem", v.Findings)
	}
}

// priced is a provider that quotes what it is told to.
type priced struct {
	fleet.Provider
	quote fleet.Quote
}

func (p priced) Quote(context.Context, []fleet.NewMachine) (fleet.Quote, error) { return p.quote, nil }

func TestDoctor_SaysThePriceOfAMonthOrThatItIsUnknown(t *testing.T) {
	for want, price := range map[string]float64{"6.00 USD a month": 6, "unknown": 0} {
		q := fleet.Quote{Currency: "USD", Used: 1, Now: []fleet.PriceLine{{Node: "nyc1-1", ID: "m1", Monthly: price}}}
		var v doctorView
		(&session{b: fleet.Backends{Provider: priced{quote: q}}}).examineAccount(t.Context(), fleet.State{}, &v)
		if n := len(v.Findings); n != 2 || v.Findings[1].Check != "price" || v.Findings[1].Detail != want {
			t.Errorf("findings at a price of %v: got %+v, want the price last: %q", price, v.Findings, want)
		}
	}
}

func TestDoctor_ExitsWithTheCodeOfWhatKeepsItOut(t *testing.T) {
	bad := finding{Check: "provider"}
	for name, c := range map[string]struct {
		v    doctorView
		want int
	}{
		"all well":      {doctorView{Findings: []finding{{OK: true}}}, 0},
		"a problem":     {doctorView{Findings: []finding{{OK: true}, bad}}, 3},
		"a wrong token": {doctorView{Findings: []finding{bad}, barred: fmt.Errorf("list: %w", fleet.ErrAuth)}, 7},
		"other fleet":   {doctorView{Findings: []finding{bad}, barred: fleet.ErrOtherFleet}, 6},
	} {
		got := 0
		if err := c.v.problem(); err != nil {
			got = exitCode(err)
			if all := printed(err); len(all) != 0 {
				t.Errorf("%s: prints %v, want nothing: the table says it", name, all)
			}
		}
		if got != c.want {
			t.Errorf("%s: exit code %d, want %d", name, got, c.want)
		}
	}
}

func TestClockSkew_IsMeasuredToTheSecond(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		says string
		exit int
		want time.Duration
		ok   bool
	}{
		"the same":     {fmt.Sprintln(now.Unix()), 0, 0, true},
		"ahead":        {fmt.Sprintln(now.Unix() + 90), 0, 90 * time.Second, true},
		"behind":       {fmt.Sprintln(now.Unix() - 3600), 0, -time.Hour, true},
		"nonsense":     {"yesterday\n", 0, 0, false},
		"date is gone": {"", 127, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := sshtest.Start(t, sshtest.WithExec(func(_ context.Context, argv []string, _ io.Reader, stdout, _ io.Writer) int {
				if strings.Join(argv, " ") != "date +%s" {
					return 1
				}
				fmt.Fprint(stdout, c.says)
				return c.exit
			}))
			got, err := clockSkew(t.Context(), sshtest.Client(t, sshx.Config{}, box), machineAt(t, box), func() time.Time { return now })
			if (err == nil) != c.ok || got != c.want {
				t.Errorf("skew: got %s (%v), want %s, known %t", got, err, c.want, c.ok)
			}
		})
	}
}

// A box that cannot be read is a problem also while the relay on it serves: status and up
// end with exit 3 for it.
func TestDoctor_ABoxThatCannotBeReadIsAProblemAlsoWhereItsRelayServes(t *testing.T) {
	spec, st := strayFleet(t)
	s, _ := testSession(t, namedProber{})
	s.spec = spec
	of := func() finding {
		var v doctorView
		s.examineRelays(t.Context(), st, &v)
		return v.Findings[0]
	}
	if f := of(); !f.OK {
		t.Fatalf("got %+v of a box that is read, want no problem", f)
	}
	st.Relays["m1"] = fleet.Observed[fleet.Relay]{Err: errors.New("it may be another fleet's")}
	if f := of(); f.OK || !strings.Contains(f.Detail, "nyc1-1: unreadable: it may be another fleet's") || strings.Contains(f.Fix, "up") {
		t.Errorf("got %+v, want a problem with the reason and no advice to run up", f)
	}
}
