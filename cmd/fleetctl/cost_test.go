package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func TestCost_SaysWhatItIsNowMeanwhileAndAfterwards(t *testing.T) {
	spec := fleet.Spec{Name: "blue", Provider: fleet.ProviderDigitalOcean, Ocean: fleet.OceanSpec{MaxMonthly: 30}}
	q := fleet.Quote{
		Currency: "USD", Used: 7, Limit: 10,
		Now: []fleet.PriceLine{{Node: "fra1-1", ID: "1", What: "small in fra1", Monthly: 6}, {Node: "nyc1-1", ID: "2", What: "large in nyc1", Monthly: 12.5}},
		Buy: []fleet.PriceLine{{Node: "nyc1-1", What: "small in nyc1", Monthly: 6}},
	}
	p := fleet.Plan{Stages: []fleet.Stage{{Changes: []fleet.Change{
		{Action: fleet.ActionMark, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "nyc1-1", ID: "2"}},
		{Action: fleet.ActionCreate, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "nyc1-1"}},
	}}}}
	v := newCostView(spec, q, p)
	if want := (costPerMonth{Now: 18.5, During: 24.5, After: 12, Most: 30}); v.Monthly != want {
		t.Errorf("a month: got %+v, want %+v", v.Monthly, want)
	}
	var changes []string
	for _, l := range v.Lines {
		changes = append(changes, l.Node+" "+l.Change)
	}
	if got, want := strings.Join(changes, ", "), "fra1-1 , nyc1-1 delete, nyc1-1 buy"; got != want {
		t.Errorf("lines: got %q, want %q", got, want)
	}
	var out bytes.Buffer
	if err := render.Write(&out, v, render.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"now: 18.50 USD a month\n", "while 'fleetctl up' is at work: 24.50 USD a month\n", "afterwards: 12.00 USD a month\n",
		"at most, as fleet.yaml says: 30 USD a month\n", "machines on the account: 7 of 10\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("text: got %q, want %q in it", out.String(), want)
		}
	}
}

func TestCost_WithoutChangesThereIsOneFigure(t *testing.T) {
	q := fleet.Quote{Currency: "USD", Now: []fleet.PriceLine{{Node: "fra1-1", ID: "1", Monthly: 6}}}
	var out bytes.Buffer
	if err := render.Write(&out, newCostView(fleet.Spec{Name: "blue"}, q, fleet.Plan{}), render.Options{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "now: 6.00 USD") || strings.Contains(out.String(), "afterwards") {
		t.Errorf("text: got %q, want the price of now alone", out.String())
	}
}
