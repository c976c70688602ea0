// Package providertest is the suite that every [fleet.Provider] passes: the local one,
// the adapters of clouds over their simulated APIs, and the one in memory.
package providertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/relayfleet/fleetctl/fleet"
)

// Subject is one fleet at the provider under test. It is empty at first; for [RunGiven] it
// has [GivenNodes].
type Subject struct {
	Provider fleet.Provider
	// Fleet is its name.
	Fleet string
	// Key is an operator's public SSH key in authorized_keys form.
	Key string
	// Again returns another handle on the same fleet, as a second operator has one.
	Again func(t *testing.T) fleet.Provider
	// SwitchOff stops a machine behind the provider's back, as a power cut does. RunGiven
	// does without.
	SwitchOff func(t *testing.T, id string)
}

// limit bounds every test of the suite.
const limit = time.Minute

// promise is one test of the suite, named by what it promises.
type promise struct {
	name string
	test func(*testing.T, *fixture)
}

// Run holds a provider that makes machines to its contract. newSubject is called for each
// test, for several at once, and cleans up by itself.
func Run(t *testing.T, newSubject func(t *testing.T) Subject) {
	t.Helper()
	run(t, newSubject, false, slices.Concat(promises(), []promise{
		{"EmptyFleetListsNothing", emptyFleet},
		{"CreatedMachineIsComplete", completeMachine},
		{"CreateIsIdempotentByOperation", createTwice},
		{"ConcurrentCreatesOfOneOperationMakeOneMachine", createAtOnce},
		{"ConcurrentCreatesMakeMachinesThatShareNothing", createMany},
		{"PhaseIsKept", phases},
		{"HostKeyMarkIsKept", hostKeyMark},
		{"StartSwitchesOn", startStopped},
		{"DeleteRemovesOneMachine", deleteOne},
		{"CleanupIsRefusedWhileAMachineIsListed", cleanupRefused},
		{"CleanupLeavesNothing", cleanup},
		{"FleetCanBeMadeAgainAfterCleanup", afterCleanup},
		{"TwoHandlesSeeOneFleet", twoHandles},
	}))
}

// promises are those that every provider keeps.
func promises() []promise {
	return []promise{
		{"ListIsSortedByID", sortedList},
		{"MarkOfAbsentMachineIsErrNoMachine", markAbsent},
		{"UnknownMarkIsRefused", markUnknown},
		{"CachedMarkIsKept", markCached},
		{"StartOfRunningMachineChangesNothing", startRunning},
		{"StartOfAbsentMachineIsErrNoMachine", startAbsent},
		{"DeleteOfAbsentMachineSucceeds", deleteAbsent},
		{"CancelledContextChangesNothing", cancelled},
	}
}

func run(t *testing.T, newSubject func(t *testing.T) Subject, given bool, all []promise) {
	t.Helper()
	for _, tc := range all {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			s := newSubject(t)
			tc.test(t, &fixture{Subject: s, ctx: ctx, p: s.Provider, given: given})
		})
	}
}

// fixture is a subject with the shorthands of the tests.
type fixture struct {
	Subject
	ctx   context.Context //nolint:containedctx // of one test
	p     fleet.Provider
	given bool // machines are there, and not made
}

func op() string { return ulid.Make().String() }

func order(node string) fleet.NewMachine {
	return fleet.NewMachine{Node: node, Region: strings.TrimSuffix(node, "-1"), Op: op()}
}

func (f *fixture) list(t *testing.T) []fleet.Machine {
	t.Helper()
	ms, err := f.p.Machines(f.ctx)
	if err != nil {
		t.Fatalf("Machines: %v", err)
	}
	return ms
}

// create makes a machine, or takes the given one of the node.
func (f *fixture) create(t *testing.T, n fleet.NewMachine) fleet.Machine {
	t.Helper()
	if f.given {
		return f.node(t, n.Node)
	}
	must(t, "EnsureKey", f.p.EnsureKey(f.ctx, f.Key))
	m, err := f.p.Create(f.ctx, n)
	must(t, "Create", err)
	return m
}

func (f *fixture) get(t *testing.T, id string) fleet.Machine {
	t.Helper()
	for _, m := range f.list(t) {
		if m.ID == id {
			return m
		}
	}
	t.Fatalf("machine %s is not listed", id)
	return fleet.Machine{}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got error %v, want %v", what, err, want)
	}
}

func ids(ms []fleet.Machine) []string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = m.ID
	}
	return out
}

func wantIDs(t *testing.T, f *fixture, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := ids(f.list(t)); !slices.Equal(got, want) {
		t.Fatalf("machines: got %q, want %q", got, want)
	}
}
