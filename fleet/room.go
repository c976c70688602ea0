package fleet

import "fmt"

// Room is how many machines an account has room for, -1 if no limit is known.
func (q Quote) Room() int {
	if q.Limit == 0 {
		return -1
	}
	return max(q.Limit-q.Used, 0)
}

// roomFor is [ErrQuota] if an account has no room for what is to be bought.
func roomFor(q Quote) error {
	if room := q.Room(); room >= 0 && room < len(q.Buy) {
		return WithHint(fmt.Errorf("%w: the account may have %d machines and has %d, %d more are needed", ErrQuota, q.Limit, q.Used, len(q.Buy)),
			"ask the provider for a higher limit, ask for fewer nodes, or take what fits with --partial")
	}
	return nil
}

// Fit cuts what an intent buys to the room of a quote. It is [ErrQuota] if there is not
// enough of it and partial is false.
func (in Intent) Fit(q Quote, partial bool) (Intent, error) {
	err := roomFor(q)
	if err == nil || !partial {
		return in, err
	}
	most := len(q.Now) + q.Room()
	in.Most = &most
	return in, nil
}
