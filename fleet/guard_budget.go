package fleet

import "fmt"

// Bill is what a plan does to the monthly price of a fleet, in the quote's currency.
type Bill struct {
	Currency string  `json:"currency"` // "" where machines cost nothing, or nothing is bought
	Before   float64 `json:"before"`
	During   float64 `json:"during"` // while what is bought and what goes are both there
	After    float64 `json:"after"`
	Machines int     `json:"machines"` // while it goes on
}

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
	for _, line := range q.Now {
		b.Before += line.Monthly
		if !going[line.ID] {
			b.After += line.Monthly
		}
	}
	b.During = b.Before
	for _, line := range q.Buy {
		b.During += line.Monthly
		b.After += line.Monthly
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
	if most := g.spec.MaxMonthly(); most > 0 && bill.During > float64(most) {
		g.object(Ref{Kind: KindFleet}, fmt.Sprintf("the fleet would cost %.2f %s a month, max_monthly is %d", bill.During, bill.Currency, most),
			"raise digitalocean.max_monthly, or ask for fewer or smaller machines")
	}
	if most := g.spec.MaxMachines(); most > 0 && bill.Machines > most {
		g.object(Ref{Kind: KindFleet}, fmt.Sprintf("the fleet would have %d machines, max_machines is %d", bill.Machines, most),
			"raise digitalocean.max_machines, or ask for fewer nodes")
	}
}
