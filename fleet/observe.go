package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Bounds of one observation.
const (
	inspectParallel = 30               // boxes read at once
	probeParallel   = 8                // addresses dialed at once: each is a whole libp2p client
	readDeadline    = 30 * time.Second // for each single reading
	listDeadline    = 2 * time.Minute  // for each of the provider, whose API may ask for a minute of silence
	vantages        = 2                // boxes that are asked to dial what does not answer from here
)

// Observe reads everything: the provider, every box, the records, and every address
// that is published or ought to be. It changes nothing. A reading that failed is data
// in the State, so Observe returns an error only when ctx ends.
func Observe(ctx context.Context, b Backends, s Spec) (State, error) {
	st := State{}
	var group errgroup.Group
	group.Go(func() error {
		st.Machines = readProvider(ctx, func(ctx context.Context) ([]Machine, error) {
			machines, err := b.Provider.Machines(ctx)
			return once(machines), err
		})
		st.Relays = inspect(ctx, b.Hosts, st.Machines.Value)
		return nil
	})
	group.Go(func() error {
		st.Leftovers = readProvider(ctx, b.Provider.Leftovers)
		return nil
	})
	group.Go(func() error {
		st.Shared = readProvider(ctx, b.Provider.Drift)
		return nil
	})
	group.Go(func() error {
		st.Records = read(ctx, func(ctx context.Context) ([]dnsaddr.Record, error) {
			return b.Zone.Records(ctx, s.DNS.RecordName())
		})
		if z, may := b.Zone.(dnsaddr.Closing); may && st.Records.OK() {
			st.Closed = read(ctx, func(ctx context.Context) (map[string]error, error) {
				return z.Closed(ctx, s.DNS.RecordName(), s.Layout().Names())
			})
		}
		return nil
	})
	_ = group.Wait()
	st.Probes = probe(ctx, b.Prober, candidates(s, st))
	askElsewhere(ctx, b.Hosts, &st)
	st.At = time.Now()
	return st, ctx.Err()
}

// WithQuote asks the provider what a plan's purchases cost, and keeps the answer in the
// state for Guard. Where nothing is bought it asks nothing. What cannot be bought at all
// is an error.
func WithQuote(ctx context.Context, b Backends, s Spec, st State, p Plan) (State, error) {
	orders := p.Orders(s)
	if len(orders) == 0 {
		return st, nil
	}
	ctx, cancel := context.WithTimeout(ctx, listDeadline)
	defer cancel()
	q, err := b.Provider.Quote(ctx, orders)
	if err != nil {
		return st, err
	}
	st.Quote = Observed[Quote]{Value: q}
	return st, nil
}

// once sorts machines by ID and lists each of them once: a provider's pages may overlap.
func once(machines []Machine) []Machine {
	sorted := slices.SortedFunc(slices.Values(machines), func(a, b Machine) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(sorted, func(a, b Machine) bool { return a.ID == b.ID })
}

// read makes one reading under its own deadline.
func read[T any](ctx context.Context, f func(context.Context) (T, error)) Observed[T] {
	return readBy(ctx, readDeadline, f)
}

// readProvider makes one reading of the provider.
func readProvider[T any](ctx context.Context, f func(context.Context) (T, error)) Observed[T] {
	return readBy(ctx, listDeadline, f)
}

func readBy[T any](ctx context.Context, within time.Duration, f func(context.Context) (T, error)) Observed[T] {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	v, err := f(ctx)
	if err != nil {
		var zero T
		return Observed[T]{Value: zero, Err: err}
	}
	return Observed[T]{Value: v}
}

// inspect reads every running box. A stopped one is not asked and has no entry.
func inspect(ctx context.Context, h Hosts, machines []Machine) map[string]Observed[Relay] {
	readings := make([]Observed[Relay], len(machines))
	each(inspectParallel, len(machines), func(i int) {
		switch m := machines[i]; {
		case m.Problem != "":
			readings[i] = Observed[Relay]{Err: errors.New(m.Problem)}
		case m.Status == StatusRunning:
			readings[i] = read(ctx, func(ctx context.Context) (Relay, error) {
				return h.Inspect(ctx, m)
			})
		}
	})
	out := make(map[string]Observed[Relay], len(machines))
	for i, m := range machines {
		if m.Status == StatusRunning {
			out[m.ID] = readings[i]
		}
	}
	return out
}

// candidates lists the addresses worth a probe, sorted: those of our records, and those
// that our machines' relays ought to have.
func candidates(s Spec, st State) []dnsaddr.Addr {
	seen := make(map[dnsaddr.Addr]bool)
	for _, r := range st.Records.Value {
		if _, ok := r.OwnedBy(s.Name); ok {
			if a, err := r.Addr(); err == nil {
				seen[a] = true
			}
		}
	}
	pub := newPublisher(s)
	for _, m := range st.Machines.Value {
		targets, err := pub.targets(m, st.Relays[m.ID].Value.PeerID)
		if err != nil {
			continue // Diff meets the same error and reports it
		}
		for _, t := range targets {
			seen[t.addr] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), dnsaddr.Addr.Compare)
}

// probe uses every address as a client does.
func probe(ctx context.Context, p Prober, addrs []dnsaddr.Addr) map[dnsaddr.Addr]Observed[Probe] {
	readings := make([]Observed[Probe], len(addrs))
	each(probeParallel, len(addrs), func(i int) {
		readings[i] = read(ctx, func(ctx context.Context) (Probe, error) {
			return p.Probe(ctx, addrs[i])
		})
	})
	out := make(map[dnsaddr.Addr]Observed[Probe], len(addrs))
	for i, a := range addrs {
		out[a] = readings[i]
	}
	return out
}

// askElsewhere has other boxes dial what does not answer from here: our own network is
// not the world's. A relay that one of them reaches is alive, though not verified. All of
// it is one reading: what nobody was asked about by its deadline stays as it was found.
func askElsewhere(ctx context.Context, h Hosts, st *State) {
	ctx, cancel := context.WithTimeout(ctx, readDeadline)
	defer cancel()
	var silent []dnsaddr.Addr
	for a, p := range st.Probes {
		if p.OK() && p.Value.Verdict == Unreachable {
			silent = append(silent, a)
		}
	}
	slices.SortFunc(silent, dnsaddr.Addr.Compare)
	answers := make([]Probe, len(silent))
	each(probeParallel, len(silent), func(i int) {
		answers[i] = elsewhere(ctx, h, st, silent[i])
	})
	for i, a := range silent {
		st.Probes[a] = Observed[Probe]{Value: answers[i]}
	}
}

// elsewhere completes the probe of an address that is silent from here by what a few
// other boxes find: Via names the last one that found something.
func elsewhere(ctx context.Context, h Hosts, st *State, a dnsaddr.Addr) Probe {
	p := st.Probes[a].Value
	asked := 0
	for _, m := range st.Machines.Value {
		r, ok := st.Relays[m.ID]
		if !ok || !r.OK() || !r.Value.Active || r.Value.PeerID == a.PeerID() {
			continue
		}
		if asked++; asked > vantages {
			break
		}
		_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, h.Ping(ctx, m, a)
		})
		switch {
		case err == nil:
			p.Via, p.Verdict = m.Node, Elsewhere
			return p
		case ctx.Err() != nil:
			return p // it was cut off, and said nothing
		case !errors.Is(err, ErrNotAsked):
			p.Via = m.Node
		}
	}
	return p
}

// within gives f a short deadline, longer than "relay ping" waits for an answer.
func within[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readDeadline/2)
	defer cancel()
	return f(ctx)
}

// each calls f for 0..n-1, at most limit at once, and returns when all have returned.
func each(limit, n int, f func(i int)) {
	var group errgroup.Group
	group.SetLimit(max(limit, 1))
	for i := range n {
		group.Go(func() error {
			f(i)
			return nil
		})
	}
	_ = group.Wait()
}

// describe says in a few words what a probe found.
func describe(p Observed[Probe]) string {
	if !p.OK() {
		return fmt.Sprintf("could not be probed: %v", p.Err)
	}
	for _, step := range p.Value.Steps {
		if step.Err != "" {
			return fmt.Sprintf("%s at step %q: %s", p.Value.Verdict, step.Name, step.Err)
		}
	}
	if p.Value.Verdict == "" {
		return "not probed"
	}
	return string(p.Value.Verdict)
}
