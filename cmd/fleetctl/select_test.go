package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
)

// anyFleet is a fleet with every kind of machine that a selection has to tell apart.
func anyFleet() []fleet.Machine {
	return []fleet.Machine{
		{ID: "1", Node: "nyc1-1", Region: "nyc1", Labels: []string{"lambda", "eu:no"}},
		{ID: "2", Node: "nyc1-2", Region: "nyc1", Labels: []string{"vast"}},
		{ID: "3", Node: "nyc3-1", Region: "nyc3", Labels: []string{"lambda"}},
		{ID: "4", Node: "fra1-1", Region: "fra1"},
		{ID: "5", Node: "fra1-1", Region: "fra1", Phase: fleet.PhaseDraining},
		{ID: "6", Node: "sgp1-1", Region: "sgp1", Unmarked: true},
	}
}

func TestSelection_IsAUnionWithinAFlagAndAnIntersectionBetweenFlags(t *testing.T) {
	for name, c := range map[string]struct {
		sel  selection
		want string // IDs
	}{
		"nothing asked":             {selection{}, "1 2 3 4"},
		"--all":                     {selection{all: true}, "1 2 3 4"},
		"a node":                    {selection{on: []string{"nyc1-2"}}, "2"},
		"a region as a selector":    {selection{on: []string{"nyc1"}}, "1 2"},
		"a glob":                    {selection{on: []string{"nyc*"}}, "1 2 3"},
		"two parts":                 {selection{on: []string{"nyc1-2", " fra1 "}}, "2 4"},
		"one box twice":             {selection{on: []string{"nyc1-1", "nyc1"}}, "1 2"},
		"a region":                  {selection{region: []string{"nyc1"}}, "1 2"},
		"a glob of regions":         {selection{region: []string{"nyc?"}}, "1 2 3"},
		"a tag":                     {selection{tag: []string{"lambda"}}, "1 3"},
		"a tag with a colon":        {selection{tag: []string{"eu:no"}}, "1"},
		"two tags":                  {selection{tag: []string{"lambda", "vast"}}, "1 2 3"},
		"region and tag":            {selection{region: []string{"nyc1"}, tag: []string{"lambda"}}, "1"},
		"selector, region and tag":  {selection{on: []string{"*-1"}, region: []string{"nyc*"}, tag: []string{"lambda"}}, "1 3"},
		"all but a region":          {selection{exclude: []string{"nyc1"}}, "3 4"},
		"a region but one node":     {selection{region: []string{"nyc1"}, exclude: []string{"nyc1-1"}}, "2"},
		"not what is on its way":    {selection{on: []string{"fra1-1"}}, "4"},
		"not what may not be ours":  {selection{on: []string{"*"}}, "1 2 3 4"},
		"a tag does not match part": {selection{tag: []string{"vas*"}}, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, _, err := c.sel.pick(anyFleet())
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, m := range chosen {
				ids = append(ids, m.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("selected: got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSelection_SelectingNothingIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		sel        selection
		want, hint string
	}{
		"a node that is not there": {selection{on: []string{"nyc2-1"}}, `selector "nyc2-1": no machine of the fleet is meant`, "did you mean nyc1-1?"},
		"one part of several":      {selection{on: []string{"nyc1-1", "eu*"}}, `selector "eu*": no machine`, "name a node"},
		"an empty part":            {selection{on: []string{"nyc1-1", ""}}, `selector "": no machine`, "name a node"},
		"a glob that is none":      {selection{on: []string{"nyc["}}, `selector "nyc[": syntax error`, ""},
		"a region":                 {selection{region: []string{"nyc9"}}, `--region: selector "nyc9": no machine`, "did you mean nyc1?"},
		"a node as a region":       {selection{region: []string{"nyc1-1"}}, `--region: selector "nyc1-1"`, ""},
		"a tag":                    {selection{tag: []string{"lamda"}}, `--tag: selector "lamda": no machine`, "did you mean lambda?"},
		"an exclusion":             {selection{exclude: []string{"nyc1-9"}}, `--exclude: selector "nyc1-9": no machine`, "did you mean nyc1-1?"},
		"flags that contradict":    {selection{region: []string{"fra1"}, tag: []string{"vast"}}, "no machine of the fleet is meant by all of the flags", "hosts -o wide"},
		"everything excluded":      {selection{region: []string{"fra1"}, exclude: []string{"fra*"}}, "no machine of the fleet is meant by all of the flags", ""},
		"one that may not be ours": {selection{on: []string{"sgp1-1"}}, "6 is on its way out, or not shown to be ours", "fleetctl status"},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, _, err := c.sel.pick(anyFleet())
			if err == nil {
				t.Fatalf("selected: got %v, want an error", chosen)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error: got %q, want %q in it", err, c.want)
			}
			if hint := fleet.Hint(err); !strings.Contains(hint, c.hint) {
				t.Errorf("hint: got %q, want %q in it", hint, c.hint)
			}
		})
	}
}

func TestSelection_EverythingHasToBeAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		sel selection
		ok  bool
	}{
		"no flag":             {selection{}, false},
		"--exclude alone":     {selection{exclude: []string{"nyc1"}}, false},
		"--all":               {selection{all: true}, true},
		"--all and --exclude": {selection{all: true, exclude: []string{"nyc1"}}, true},
		"--all and --on":      {selection{all: true, on: []string{"nyc1"}}, false},
		"--tag":               {selection{tag: []string{"lambda"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.sel.require("exec"); (err == nil) != c.ok {
				t.Errorf("require: got %v, want accepted %t", err, c.ok)
			}
		})
	}
}

func TestSelection_LeavesTheListAlone(t *testing.T) {
	machines := anyFleet()
	sel := selection{on: []string{"fra1"}}
	if _, _, err := sel.pick(machines); err != nil {
		t.Fatal(err)
	}
	same := func(a, b fleet.Machine) bool { return a.ID == b.ID }
	if !slices.EqualFunc(machines, anyFleet(), same) {
		t.Error("pick changed the list that it was given")
	}
}

func TestSelection_SaysWhatItLeavesOut(t *testing.T) {
	a, _, stderr := testApp(t)
	s := &session{app: a}
	if _, err := s.pick(selection{on: []string{"fra1", "nyc1", "sgp1"}}, anyFleet()); err != nil {
		t.Fatal(err)
	}
	want := "fra1-1 (5) is left out: it is on its way out\n" +
		"fleetctl: warning: sgp1-1 (6) is left out: it is not shown to be ours; 'fleetctl status' says what resolves it\n"
	if got := stderr.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A machine that has our name and not our fleet's ID may be another fleet's of that name.
func TestCommands_NothingIsDoneToAMachineThatMayBeAnotherFleets(t *testing.T) {
	a, _, _ := testApp(t)
	s := &session{app: a} // it has nobody who could dial
	m := fleet.Machine{ID: "1", Node: "nyc1-1", Problem: "it may be another fleet's"}
	for name, do := range map[string]func() error{
		"exec": func() error { return s.execOn(t.Context(), m, []string{"true"}).err },
		"cp to it": func() error {
			return s.copy(t.Context(), []fleet.Machine{m}, copyOrder{local: "/dev/null", remote: "/etc/motd", parallel: 1}).Files[0].err
		},
		"cp from it": func() error {
			return s.copy(t.Context(), []fleet.Machine{m}, copyOrder{fetch: true, local: t.TempDir(), remote: "/etc/motd", parallel: 1}).Files[0].err
		},
		"keys": func() error { return readKeyBox(t.Context(), nil, m).err },
	} {
		if err := do(); err == nil || err.Error() != m.Problem {
			t.Errorf("%s: got error %v, want %q", name, err, m.Problem)
		}
	}
}
