package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/statedir"
)

// endPlan deletes n machines, one of them later.
func endPlan(n int) fleet.Plan {
	var p fleet.Plan
	stage := fleet.Stage{Name: fleet.StageRetire}
	for i := range n {
		ref := fleet.Ref{Kind: fleet.KindMachine, ID: string(rune('a' + i))}
		if i == 0 {
			p.Deferred = append(p.Deferred, fleet.Deferral{Action: fleet.ActionDelete, Ref: ref})
			continue
		}
		stage.Changes = append(stage.Changes, fleet.Change{Action: fleet.ActionDrain, Ref: ref}, fleet.Change{Action: fleet.ActionDelete, Ref: ref})
	}
	p.Stages = append(p.Stages, stage)
	return p
}

func TestDown_IsConfirmedByWhatSuitsWhatIsLost(t *testing.T) {
	const ocean, here = fleet.ProviderDigitalOcean, fleet.ProviderLocal
	for name, c := range map[string]struct {
		provider           string
		machines           int
		yes, noInput, term bool
		consent            downConsent
		typed              string
		ok, asks           bool
		hint               string
	}{
		"local, --yes":                         {provider: here, machines: 3, yes: true, ok: true},
		"local, nothing, no terminal":          {provider: here, machines: 3, hint: "with --yes"},
		"local, name typed":                    {provider: here, machines: 3, term: true, typed: "blue\n", ok: true, asks: true},
		"local, yes typed":                     {provider: here, machines: 3, term: true, typed: "yes\n", asks: true},
		"local, nothing typed":                 {provider: here, machines: 3, term: true, asks: true},
		"local, another name typed":            {provider: here, machines: 3, term: true, typed: "green\n", asks: true},
		"local, --yes, wrong count":            {provider: here, machines: 3, yes: true, consent: downConsent{true, 2}, hint: "--dry-run"},
		"bought, --yes, no terminal":           {provider: ocean, machines: 3, yes: true, hint: "fleetctl down --yes --expect-count 3"},
		"bought, --yes, count":                 {provider: ocean, machines: 3, yes: true, consent: downConsent{true, 3}, ok: true},
		"bought, --yes, wrong count":           {provider: ocean, machines: 3, yes: true, consent: downConsent{true, 4}, hint: "--dry-run"},
		"bought, --yes, count of nothing":      {provider: ocean, machines: 3, yes: true, consent: downConsent{true, 0}, hint: "--dry-run"},
		"bought, count, no --yes, no terminal": {provider: ocean, machines: 3, consent: downConsent{true, 3}, hint: "--expect-count 3"},
		"bought, --yes on a terminal":          {provider: ocean, machines: 3, yes: true, term: true, asks: true},
		"bought, --yes and name on a terminal": {provider: ocean, machines: 3, yes: true, term: true, typed: "blue\n", ok: true, asks: true},
		"bought, wrong count on a terminal":    {provider: ocean, machines: 3, term: true, typed: "blue\n", consent: downConsent{true, 1}, hint: "--dry-run"},
		"bought, --no-input on a terminal":     {provider: ocean, machines: 3, noInput: true, term: true, typed: "blue\n", hint: "--expect-count 3"},
		"bought, records only, --yes":          {provider: ocean, yes: true, ok: true},
		"hosts of others, --yes":               {provider: fleet.ProviderHosts, yes: true, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, stderr := testApp(t)
			a.stdin = strings.NewReader(c.typed)
			if c.term {
				onTerminal(a, a.stdin)
			}
			a.globals.yes, a.globals.noInput = c.yes, c.noInput
			err := a.consentToDown(t.Context(), c.consent, fleet.Spec{Name: "blue", Provider: c.provider}, endPlan(c.machines))
			if (err == nil) != c.ok {
				t.Errorf("consent: got %v, want given %t", err, c.ok)
			}
			if asked := strings.Contains(stderr.String(), "Type the fleet's name"); asked != c.asks {
				t.Errorf("asked for the name: got %t, want %t", asked, c.asks)
			}
			if err == nil {
				return
			}
			if code := exitCode(err); code != exitRefused {
				t.Errorf("exit code: got %d, want %d", code, exitRefused)
			}
			if hint := fleet.Hint(err); !strings.Contains(hint, c.hint) {
				t.Errorf("hint: got %q, want %q in it", hint, c.hint)
			}
		})
	}
}

func TestDown_MachinesThatStayAreNotLeft(t *testing.T) {
	gone := fleet.Outcome{}
	for name, c := range map[string]struct {
		machines []fleet.Machine
		gone     bool
		says     string
	}{
		"none":                 {nil, true, "no machine, no record of ours"},
		"the operator's":       {[]fleet.Machine{{ID: "a", Given: true}}, true, "1 machine of yours"},
		"one that was ordered": {[]fleet.Machine{{ID: "a", Given: true}, {ID: "b"}}, false, "1 machine left"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, stderr := testApp(t)
			o := gone
			o.State.Machines.Value = c.machines
			err := finishDown(t.Context(), &session{app: a, spec: fleet.Spec{Name: "blue"}}, o)
			if (err == nil) != c.gone {
				t.Errorf("finish: got %v, want gone %t", err, c.gone)
			}
			said := stderr.String()
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("said: got %q, want %q in it", said, c.says)
			}
		})
	}
}

// Where a provider of this computer has boxes or the zone's server, it removes the
// directory itself, and knows whether it may.
func TestDown_NothingOfAFleetElsewhereStaysOnThisComputer(t *testing.T) {
	for name, c := range map[string]struct {
		provider, zone string
		settled, gone  bool
	}{
		"elsewhere":             {fleet.ProviderDigitalOcean, fleet.ZoneCloudflare, true, true},
		"hosts and BIND":        {fleet.ProviderHosts, fleet.ZoneRFC2136, true, true},
		"elsewhere, not at end": {fleet.ProviderDigitalOcean, fleet.ZoneCloudflare, false, false},
		"local zone":            {fleet.ProviderDigitalOcean, fleet.ZoneLocal, true, false},
		"local boxes":           {fleet.ProviderLocal, fleet.ZoneCloudflare, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := testApp(t)
			base := t.TempDir()
			dir, err := statedir.Open(base, "blue", filepath.Join(base, "fleet.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			o := fleet.Outcome{}
			if !c.settled {
				o.State.Leftovers.Value = []string{"a firewall"}
			}
			s := &session{app: a, dir: dir, spec: fleet.Spec{Name: "blue", Provider: c.provider, DNS: fleet.DNSSpec{Zone: c.zone}}}
			if err := finishDown(t.Context(), s, o); (err == nil) != c.settled {
				t.Fatalf("finish: got %v, want settled %t", err, c.settled)
			}
			if dir.Exists() == c.gone {
				t.Errorf("directory: got there %t, want gone %t", dir.Exists(), c.gone)
			}
		})
	}
}

func TestDown_TheHistoryOfAFleetElsewhereStays(t *testing.T) {
	a, _, stderr := testApp(t)
	base := t.TempDir()
	dir, err := statedir.Open(base, "blue", filepath.Join(base, "fleet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := history.Open(t.Context(), dir.Join(history.FileName), history.Options{})
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &session{app: a, dir: dir, spec: fleet.Spec{Name: "blue", Provider: fleet.ProviderDigitalOcean, DNS: fleet.DNSSpec{Zone: fleet.ZoneCloudflare}}}
	if err := finishDown(t.Context(), s, fleet.Outcome{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir.Join(history.FileName)); err != nil {
		t.Errorf("history: %v, want it kept", err)
	}
	if !strings.Contains(stderr.String(), dir.Path()) {
		t.Errorf("said: got %q, want where the history stays", stderr)
	}
}
