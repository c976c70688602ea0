package fleet

import "fmt"

// Bill is what a plan does to the monthly price of a fleet, in the quote's currency.
type Bill struct {
	Currency string // "" where machines cost nothing, or nothing is bought
	Before   Amount
	During   Amount // while what is bought and what goes are both there
	After    Amount
	Machines int // while it goes on
}

// Amount is what machines cost in a month.
type Amount struct {
	Sum     float64 // of the prices that are known
	AtLeast bool    // the price of some machine is not
}

// Known is the amount, nil where the price of some machine is not known.
func (a Amount) Known() *float64 {
	if a.AtLeast {
		return nil
	}
	return &a.Sum
}

// In writes an amount of a currency: "12.00 USD", "at least 12.00 USD", or "unknown" where
// no price at all is known.
func (a Amount) In(currency string) string {
	switch {
	case a.AtLeast && a.Sum == 0:
		return "unknown"
	case a.AtLeast:
		return fmt.Sprintf("at least %.2f %s", a.Sum, currency)
	}
	return fmt.Sprintf("%.2f %s", a.Sum, currency)
}

// InAMonth is [Amount.In] with its time: "12.00 USD a month"; what is unknown has none.
func (a Amount) InAMonth(currency string) string {
	if a.AtLeast && a.Sum == 0 {
		return a.In(currency)
	}
	return a.In(currency) + " a month"
}

// Priced reports whether the price of a line is known.
func (q Quote) Priced(line PriceLine) bool { return q.Currency == "" || line.Monthly > 0 }

// Monthly is what the machines that are there cost.
func (q Quote) Monthly() Amount { return BillOf(q, Plan{}).Before }

// BillOf reckons a plan's bill from a quote.
func BillOf(q Quote, p Plan) Bill {
	b := Bill{Currency: q.Currency, Machines: len(q.Now) + len(q.Buy)}
	going := make(map[string]bool)
	for _, c := range p.Changes() {
		going[c.Ref.ID] = going[c.Ref.ID] || c.Action == ActionDelete || c.Action == ActionMark
	}
	for _, d := range p.Deferred {
		going[d.Ref.ID] = going[d.Ref.ID] || d.Action == ActionDelete
	}
	add := func(line PriceLine, to ...*Amount) {
		for _, a := range to {
			a.Sum, a.AtLeast = a.Sum+line.Monthly, a.AtLeast || !q.Priced(line)
		}
	}
	for _, line := range q.Now {
		add(line, &b.Before, &b.During)
		if !going[line.ID] {
			add(line, &b.After)
		}
	}
	for _, line := range q.Buy {
		add(line, &b.During, &b.After)
	}
	return b
}

// checkBudget refuses purchases beyond the bounds of the spec. The provider's own limit
// is no matter of Guard: see [ErrQuota].
func (g *guard) checkBudget(p Plan) {
	q := g.state.Quote.Value
	if len(p.Orders(g.spec)) == 0 || len(q.Buy) == 0 {
		return
	}
	bill := BillOf(q, p)
	if most := g.spec.MaxMonthly(); most > 0 && bill.During.Sum > float64(most) {
		g.object(Ref{Kind: KindFleet}, fmt.Sprintf("the fleet would cost %s, max_monthly is %d", bill.During.InAMonth(bill.Currency), most),
			"raise digitalocean.max_monthly, or ask for fewer or smaller machines")
	}
	if most := g.spec.MaxMachines(); most > 0 && bill.Machines > most {
		g.object(Ref{Kind: KindFleet}, fmt.Sprintf("the fleet would have %d machines, max_machines is %d", bill.Machines, most),
			"raise digitalocean.max_machines, or ask for fewer nodes")
	}
}
