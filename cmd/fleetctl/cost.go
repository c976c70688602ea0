package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newCost(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cost",
		Short: "Say what the fleet costs in a month, and what 'up' would make of it",
		Long: `Say what the fleet costs in a month, machine by machine, at the prices that the provider
names now; and, where 'fleetctl up' would buy or delete machines, what it costs meanwhile
and afterwards. Traffic, backups and taxes are not in it.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("cost")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			done := a.busy("reading fleet " + s.spec.Name)
			v, err := s.cost(cmd.Context())
			done()
			if err != nil {
				return err
			}
			return a.show(v)
		},
	}
}

// costView is what a fleet costs.
type costView struct {
	Fleet    string       `json:"fleet"`
	Currency string       `json:"currency"` // "" where machines cost nothing
	Lines    []costLine   `json:"lines"`
	Monthly  costPerMonth `json:"monthly"`
	Account  costAccount  `json:"account"`
	bill     fleet.Bill
}

// costLine is one machine's price.
type costLine struct {
	Node    string   `json:"node"`
	Machine string   `json:"machine"` // "" for one that 'up' would buy
	What    string   `json:"what"`
	Monthly *float64 `json:"monthly"` // nil is unknown
	Change  string   `json:"change"`  // "buy", "delete", or "" for what stays
}

// costPerMonth is the price of the fleet before, while and after 'up' does what it plans;
// nil where that of some machine is not known.
type costPerMonth struct {
	Now    *float64 `json:"now"`
	During *float64 `json:"during"`
	After  *float64 `json:"after"`
	Most   int      `json:"most"` // max_monthly of the spec, 0 for no bound
}

// costAccount is the room on the provider's account.
type costAccount struct {
	Machines int `json:"machines"`
	Limit    int `json:"limit"` // 0: no limit is known
}

// cost prices the fleet and what 'up' would do to it.
func (s *session) cost(ctx context.Context) (costView, error) {
	st, err := fleet.Observe(ctx, s.b, s.spec)
	if err != nil {
		return costView{}, err
	}
	if st.Machines.Err != nil {
		return costView{}, st.Machines.Err
	}
	plan := fleet.Diff(s.spec, st, fleet.Intent{})
	quote, err := s.b.Provider.Quote(ctx, plan.Orders(s.spec))
	if err != nil {
		return costView{}, err
	}
	return newCostView(s.spec, quote, plan), nil
}

// newCostView tells a quote of a plan.
func newCostView(s fleet.Spec, q fleet.Quote, p fleet.Plan) costView {
	bill := fleet.BillOf(q, p)
	v := costView{
		Fleet: s.Name, Currency: q.Currency, Lines: []costLine{},
		Monthly: costPerMonth{Now: bill.Before.Known(), During: bill.During.Known(), After: bill.After.Known(), Most: s.MaxMonthly()},
		Account: costAccount{Machines: q.Used, Limit: q.Limit},
		bill:    bill,
	}
	add := func(line fleet.PriceLine, change string) {
		row := costLine{Node: line.Node, Machine: line.ID, What: line.What, Change: change}
		if q.Priced(line) {
			row.Monthly = &line.Monthly
		}
		v.Lines = append(v.Lines, row)
	}
	going := make(map[string]bool)
	for _, c := range p.Changes() {
		going[c.Ref.ID] = going[c.Ref.ID] || c.Action == fleet.ActionDelete || c.Action == fleet.ActionMark
	}
	for _, id := range deletions(p) {
		going[id] = true
	}
	for _, line := range q.Now {
		change := ""
		if going[line.ID] {
			change = "delete"
		}
		add(line, change)
	}
	for _, line := range q.Buy {
		add(line, "buy")
	}
	return v
}

func (v costView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{{Name: "node"}, {Name: "what"}, {Name: "monthly"}, {Name: "currency", Show: render.CSVOnly}, {Name: "machine"}, {Name: "change"}},
		Empty:   "fleet " + v.Fleet + " has no machines",
	}
	changes := false
	for _, l := range v.Lines {
		var machine, monthly any
		if l.Machine != "" {
			machine = l.Machine
		}
		if l.Monthly != nil {
			monthly = money{*l.Monthly}
		}
		change := render.Toned{Value: l.Change}
		if l.Change != "" {
			changes, change.Tone = true, render.Warn
		}
		t.Rows = append(t.Rows, []any{l.Node, l.What, monthly, v.Currency, machine, change})
	}
	if v.Currency == "" {
		t.Notes = append(t.Notes, "the machines cost nothing")
		return t
	}
	t.Notes = append(t.Notes, v.amount("now", v.bill.Before))
	if changes {
		t.Notes = append(t.Notes, v.amount("while 'fleetctl up' is at work", v.bill.During), v.amount("afterwards", v.bill.After))
	}
	if v.Monthly.Most > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("at most, as fleet.yaml says: %d %s a month", v.Monthly.Most, v.Currency))
	}
	if v.Account.Limit > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("machines on the account: %d of %d", v.Account.Machines, v.Account.Limit))
	}
	return t
}

func (v costView) amount(when string, monthly fleet.Amount) string {
	return when + ": " + monthly.InAMonth(v.Currency)
}

// money is a price with its cents, for people and for CSV alike.
type money struct{ amount float64 }

func (m money) String() string { return fmt.Sprintf("%.2f", m.amount) }
