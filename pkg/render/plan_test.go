package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"github.com/relayfleet/fleetctl/fleet"
)

// replacement is a plan with something of everything.
func replacement() (fleet.Plan, Effect) {
	value := "dnsaddr=/ip4/127.0.0.1/tcp/34567/p2p/" + peer
	machine := fleet.Ref{Kind: fleet.KindMachine, Node: "nyc1-1", ID: "box-01ARZ3"}
	record := fleet.Ref{Kind: fleet.KindRecord, Node: "nyc1-1", ID: value}
	slot := fleet.Ref{Kind: fleet.KindMachine, Node: "nyc1-1"}
	return fleet.Plan{
			Version: 1, Fleet: "blue", Domain: "p2p.blue.test", Zone: fleet.ZoneLocal,
			Stages: []fleet.Stage{
				{Name: fleet.StageProvision, Parallel: 1, Changes: []fleet.Change{
					{Action: fleet.ActionMark, Ref: machine, Reason: "to be replaced", Fields: []fleet.Field{{Name: "phase", To: "outgoing"}}},
				}},
				{Name: fleet.StageProvision, Parallel: 8, Changes: []fleet.Change{
					{Action: fleet.ActionCreate, Ref: slot, Reason: "the provider lists no machine for this node", Fields: []fleet.Field{{Name: "region", To: "nyc1"}}},
					{Action: fleet.ActionCreate, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: "sgp1-1"}, Reason: "the provider lists no machine for this node", Fields: []fleet.Field{{Name: "region", To: "sgp1"}}},
				}},
				{Name: fleet.StagePublish, Parallel: 1, Changes: []fleet.Change{
					{Action: fleet.ActionUpdate, Ref: record, Reason: "the record differs from the spec", Fields: []fleet.Field{{Name: "ttl", From: "300", To: "2"}, {Name: "comment", From: "\x1b[2Jwipe", To: strings.Repeat("long ", 20)}}},
				}},
				{Name: fleet.StageRetire, Parallel: 1, Changes: []fleet.Change{
					{Action: fleet.ActionWait, Ref: machine, Reason: "resolvers keep its record for a TTL", Fields: []fleet.Field{{Name: "for", To: "5m0s"}}},
					{Action: fleet.ActionDelete, Ref: machine, Reason: "drained, and its census is saved"},
				}},
			},
			Deferred: []fleet.Deferral{
				{Action: fleet.ActionPublish, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "nyc1-1"}, Waiting: "its peer ID", Soon: true},
				{Action: fleet.ActionPublish, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "sgp1-1"}, Waiting: "its peer ID", Soon: true},
				{Action: fleet.ActionWithdraw, Ref: record, Waiting: "its successor to be published and to serve", Soon: true},
			},
			Kept: []fleet.Kept{
				{Ref: fleet.Ref{Kind: fleet.KindRecord, ID: "dnsaddr=/dns4/boot.example.net/tcp/443/p2p/" + peer}, Reason: "not ours"},
				{Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "fra1-1", ID: value}, Reason: "its relay did not pass a probe, which is no reason to withdraw it: unreachable: dial: timeout", Problem: true},
			},
		}, Effect{
			Before: 3, After: 3, Known: true,
			Appear: []Identity{{Node: "nyc1-1"}},
			Vanish: []Identity{{Node: "nyc1-1", PeerID: peer}},
			Bill:   fleet.Bill{Currency: "USD", Before: fleet.Amount{Sum: 18}, During: fleet.Amount{Sum: 24}, After: fleet.Amount{Sum: 18}, Machines: 4},
		}
}

func TestPlan_IsAsItWasRead(t *testing.T) {
	plan, effect := replacement()
	for name, o := range map[string]Options{
		"plan":        {},
		"plan-80":     {Width: 80},
		"plan-200":    {Width: 200},
		"plan-wide":   {Format: FormatWide},
		"plan-colour": {Width: 80, Colour: true},
		"plan-csv":    {Format: FormatCSV},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Write(&out, PlanView{plan, effect}, o); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.String())
		})
	}
}

func TestPlan_NamesWhatWillBeEmpty(t *testing.T) {
	plan, effect := replacement()
	effect.Empty = []string{"_dnsaddr.few.p2p.example", "_dnsaddr.nyc1.p2p.example"}
	var out bytes.Buffer
	if err := Plan(&out, plan, effect, Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "names that will be empty: _dnsaddr.few.p2p.example, _dnsaddr.nyc1.p2p.example: clients that were given one find no relay there\n"; !strings.Contains(out.String(), want) {
		t.Errorf("got %s, want %q", out.String(), want)
	}
}

func TestPlan_APriceThatIsNotKnownIsNotNothing(t *testing.T) {
	some := func(sum float64) fleet.Amount { return fleet.Amount{Sum: sum, AtLeast: true} }
	all := func(sum float64) fleet.Amount { return fleet.Amount{Sum: sum} }
	for want, b := range map[string]fleet.Bill{
		"price per month: at least 6.00 USD now, at least 12.00 USD meanwhile, 6.00 USD after\n": {Currency: "USD", Before: some(6), During: some(12), After: all(6)},
		"price per month: 6.00 USD now, at least 6.00 USD meanwhile, unknown after\n":            {Currency: "USD", Before: all(6), During: some(6), After: some(0)},
		"price per month: at least 6.00 USD now, at least 12.00 USD after\n":                     {Currency: "USD", Before: some(6), During: some(12), After: some(12)},
		"price per month: 12.00 USD now, 6.00 USD after\n":                                       {Currency: "USD", Before: all(12), During: all(12), After: all(6)},
	} {
		var out bytes.Buffer
		if err := Plan(&out, fleet.Plan{Fleet: "blue"}, Effect{Bill: b}, Options{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%+v: got %q, want %q in it", b, out.String(), want)
		}
	}
}

func TestPlan_SaysWhenThereIsNothingToDo(t *testing.T) {
	var out bytes.Buffer
	if err := Plan(&out, fleet.Plan{Fleet: "blue"}, Effect{}, Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "fleet blue: nothing to do\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestPlan_JSONIsAPlanFile(t *testing.T) {
	plan, effect := replacement()
	plan.Deferred = nil
	var out bytes.Buffer
	if err := Write(&out, PlanView{plan, effect}, Options{Format: FormatJSON}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"deferred": []`) {
		t.Errorf("no empty list of deferrals in %s", out.String())
	}
	if _, err := fleet.DecodePlan(&out, fleet.Spec{Name: "blue", DNS: fleet.DNSSpec{Zone: fleet.ZoneLocal, Domain: "p2p.blue.test"}}); err != nil {
		t.Errorf("the output is no plan file: %v", err)
	}
}

func TestPlan_FitsNarrowTerminals(t *testing.T) {
	plan, effect := replacement()
	for width := 40; width <= 120; width++ {
		var out bytes.Buffer
		if err := Plan(&out, plan, effect, Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if got := twwidth.Width(strings.TrimSuffix(line, "\n")); got > width {
				t.Errorf("at %d columns a line is %d wide: %q", width, got, line)
			}
		}
	}
}
