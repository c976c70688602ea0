package main

import (
	"bytes"
	"encoding/json"
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
	if got, want := jsonOf(t, v.Monthly), `{"now":18.5,"during":24.5,"after":12,"most":30}`; got != want {
		t.Errorf("a month: got %s, want %s", got, want)
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

func TestCost_APriceThatIsNotKnownIsNotNothing(t *testing.T) {
	q := fleet.Quote{Currency: "USD", Now: []fleet.PriceLine{{Node: "fra1-1", ID: "1", Monthly: 6}, {Node: "nyc1-1", ID: "2", What: "a size of old, price not known"}}}
	p := fleet.Plan{Stages: []fleet.Stage{{Changes: []fleet.Change{{Action: fleet.ActionDelete, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "nyc1-1", ID: "2"}}}}}}
	v := newCostView(fleet.Spec{Name: "blue"}, q, p)
	if got, want := jsonOf(t, v.Monthly), `{"now":null,"during":null,"after":6,"most":0}`; got != want {
		t.Errorf("a month: got %s, want %s", got, want)
	}
	if got, want := jsonOf(t, v.Lines[1]), `"monthly":null`; !strings.Contains(got, want) {
		t.Errorf("the machine: got %s, want %s in it", got, want)
	}
	for format, want := range map[render.Format][]string{
		render.FormatTable: {"now: at least 6.00 USD a month\n", "afterwards: 6.00 USD a month\n"},
		render.FormatCSV:   {",6.00,USD,1,", "price not known\",,USD,2,delete"},
	} {
		var out bytes.Buffer
		if err := render.Write(&out, v, render.Options{Format: format}); err != nil {
			t.Fatal(err)
		}
		for _, want := range want {
			if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "0.00") {
				t.Errorf("%s: got %q, want %q in it, and no price of 0", format, out.String(), want)
			}
		}
	}
}

func TestCost_WhereNoPriceIsKnownItIsUnknown(t *testing.T) {
	q := fleet.Quote{Currency: "USD", Now: []fleet.PriceLine{{Node: "fra1-1", ID: "1", What: "a size of old"}}}
	var out bytes.Buffer
	if err := render.Write(&out, newCostView(fleet.Spec{Name: "blue"}, q, fleet.Plan{}), render.Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "now: unknown\n"; !strings.Contains(out.String(), want) {
		t.Errorf("text: got %q, want %q in it", out.String(), want)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
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
