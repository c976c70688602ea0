package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/statedir"
	"github.com/relayfleet/fleetctl/pkg/zone/local"
)

func TestExitCode_TheGravestOfSeveralWins(t *testing.T) {
	plain := errors.New("plain")
	locked := &statedir.LockedError{Fleet: "blue"}
	refused := &fleet.Refusal{}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"no code":                     {plain, 1},
		"wrapped":                     {fmt.Errorf("up: %w", withCode(exitAuth, plain)), 7},
		"locked":                      {fmt.Errorf("up: %w", locked), 5},
		"refused":                     {fmt.Errorf("up: %w", refused), 6},
		"refused and locked":          {errors.Join(refused, locked), 5},
		"partial and plain":           {errors.Join(withCode(exitPartial, plain), plain), 1},
		"partial and unverified":      {errors.Join(withCode(exitPartial, plain), withCode(exitUnverified, plain)), 4},
		"partial of several plain":    {withCode(exitPartial, errors.Join(plain, plain)), 3},
		"partial around auth":         {withCode(exitPartial, errors.Join(plain, withCode(exitAuth, plain))), 7},
		"quota and plain":             {errors.Join(plain, withCode(exitQuota, plain)), 8},
		"refused and quota":           {errors.Join(withCode(exitQuota, plain), refused), 6},
		"pending":                     {silently(exitPending), 2},
		"pending and partial":         {errors.Join(silently(exitPending), withCode(exitPartial, plain)), 3},
		"interrupted, whatever else":  {errors.Join(withCode(exitAuth, plain), withCode(exitInterrupted, plain)), 130},
		"nothing known of its own":    {fmt.Errorf("a: %w, b: %w", plain, withCode(exitLocked, plain)), 5},
		"a wrong token":               {fmt.Errorf("list machines: %w", fleet.ErrAuth), 7},
		"a wrong token, in its words": {fmt.Errorf("list machines: %w", refusedToken{}), 7},
		"a wrong token, among others": {errors.Join(plain, withCode(exitPartial, &fleet.Failure{Err: fleet.ErrAuth})), 7},
		"no more room":                {fmt.Errorf("create: %w", fleet.WithHint(fleet.ErrQuota, "ask for more")), 8},
		"not served yet":              {fmt.Errorf("apply: %w", fleet.WithHint(&fleet.Failure{Err: fmt.Errorf("%w: ns1 lacks it", dnsaddr.ErrNotSeen)}, "wait")), 4},
		"clients still sent there":    {&fleet.Failure{Change: fleet.Change{Action: fleet.ActionWait}, Err: plain}, 4},
		"not served here":             {fmt.Errorf("apply: %w", local.ErrNotServed), 4},
		"another fleet of the name":   {fmt.Errorf("list machines: %w", fleet.ErrOtherFleet), 6},
		"a login that was refused":    {fmt.Errorf("run: %w", sshx.ErrAuth), 1},
		"another host key":            {fmt.Errorf("run: %w", sshx.ErrHostKeyMismatch), 1},
		"a failure of a change of it": {&fleet.Failure{Err: withCode(exitQuota, plain)}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(c.err); got != c.want {
				t.Errorf("exit code of %q: got %d, want %d", c.err, got, c.want)
			}
		})
	}
}

// refusedToken is an error of an adapter that says what it is.
type refusedToken struct{}

func (refusedToken) Error() string        { return "401 unauthorized" }
func (refusedToken) Is(target error) bool { return target == fleet.ErrAuth }

func TestExit_PrintsErrorsAndTheirHints(t *testing.T) {
	failure := &fleet.Failure{Change: fleet.Change{Action: fleet.ActionCreate, Ref: fleet.Ref{Node: "nyc1-1"}}, Err: errors.New("no room")}
	for name, c := range map[string]struct {
		args []string
		err  error
		want string
	}{
		"plain":      {nil, errors.New("broken"), "fleetctl: error: broken\n"},
		"with hint":  {nil, fleet.WithHint(errors.New("broken"), "mend it"), "fleetctl: error: broken\nhint: mend it\n"},
		"two":        {nil, errors.Join(errors.New("a"), errors.New("b")), "fleetctl: error: a\nfleetctl: error: b\n"},
		"one silent": {nil, errors.Join(silently(2), errors.New("b")), "fleetctl: error: b\n"},
		"one hint for both": {
			nil, errors.Join(fleet.WithHint(errors.New("a"), "mend"), fleet.WithHint(errors.New("b"), "mend")),
			"fleetctl: error: a\nfleetctl: error: b\nhint: mend\n",
		},
		"a join within": {nil, withCode(3, errors.Join(errors.New("a"), errors.New("b"))), "fleetctl: error: a\nfleetctl: error: b\n"},
		"its own words": {nil, fmt.Errorf("both: %w, %w", errors.New("a"), errors.New("b")), "fleetctl: error: both: a, b\n"},
		"hostile":       {nil, errors.New("a\x1b[2Jb\rc\u202ed"), "fleetctl: error: a[2Jb cd\n"},
		"several lines": {nil, errors.New("a\nb"), "fleetctl: error: a\nfleetctl: error: b\n"},
		"json":          {[]string{"x", "-o", "json"}, failure, `{"error":"nyc1-1: create: no room","code":1,"hint":"","node":"nyc1-1"}` + "\n"},
		"json, marked":  {[]string{"--json"}, ofNode("fra1-1", withCode(4, errors.New("a"))), `{"error":"a","code":4,"hint":"","node":"fra1-1"}` + "\n"},
		"json of ssh's": {[]string{"exec", "--", "ls", "--json"}, errors.New("a"), "fleetctl: error: a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, stderr := testApp(t)
			a.exit(t.Context(), c.args, c.err)
			if stderr.String() != c.want {
				t.Errorf("stderr: got %q, want %q", stderr, c.want)
			}
		})
	}
}

func TestExit_AnInterruptedCommandSaysHowToGoOn(t *testing.T) {
	a, _, stderr := testApp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code := a.exit(ctx, nil, errors.Join(withCode(exitAuth, errors.New("half done")), ctx.Err()))
	want := "fleetctl: error: interrupted: half done\nfleetctl: error: context canceled\nhint: run the same command again: it goes on from what is there\n"
	if code != 130 || stderr.String() != want {
		t.Errorf("got %d and %q, want 130 and %q", code, stderr, want)
	}
	if code := a.exit(ctx, nil, nil); code != 0 {
		t.Errorf("a command that had ended: got %d, want 0", code)
	}
}

// A rate that is used up is that of a quota, and whatever else is of a run that is partial.
func TestExitCode_AListThatFailedEndsDryRunsAndRunsAlikeWithWhatToDo(t *testing.T) {
	for want, why := range map[int]error{exitQuota: fleet.WithHint(fmt.Errorf("list: %w", dnsaddr.ErrFull), "wait a minute"), exitPartial: fleet.WithHint(errors.New("list: in another zone"), "correct the ID")} {
		s, _ := testSession(t, namedProber{})
		st := fleet.State{}
		st.Records.Err = why
		p := fleet.Diff(s.spec, st, fleet.Intent{RecordsOnly: true})
		for what, err := range map[string]error{"run": outcomeError(fleet.Outcome{Plan: p, State: st}), "dry run": errors.Join(problems(p, st)...)} {
			if got := exitCode(err); got != want || fleet.Hint(err) != fleet.Hint(why) {
				t.Errorf("%s, %v: got exit %d, hint %q; want %d, %q", what, why, got, fleet.Hint(err), want, fleet.Hint(why))
			}
		}
	}
}

// What a plan knows to help is said, and not where to look.
func TestProblems_SayWhatToDoWhereThePlanKnows(t *testing.T) {
	p := fleet.Plan{Kept: []fleet.Kept{
		{Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "nyc1-1"}, Reason: "it has no public address", Problem: true, Hint: "give it one"},
		{Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "nyc1-2"}, Reason: "silent", Problem: true},
		{Ref: fleet.Ref{Kind: fleet.KindFleet}, Reason: "nothing is published at a name", Problem: true, Hint: "remove the CNAME"},
	}}
	var got []string
	for _, err := range problems(p, fleet.State{}) {
		got = append(got, fleet.Hint(err))
	}
	want := []string{"give it one", "see why with 'fleetctl logs nyc1-2' and 'fleetctl doctor'", "remove the CNAME"}
	if !slices.Equal(got, want) {
		t.Errorf("got hints %q, want %q", got, want)
	}
}
