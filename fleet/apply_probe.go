package fleet

import (
	"context"
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// addresses asks a box who its relay is and lists what of it clients rely on: what was
// verified when the run began, else the first address that belongs into DNS.
func (r *run) addresses(ctx context.Context, m Machine) ([]dnsaddr.Addr, error) {
	rel, err := r.b.Hosts.Inspect(ctx, m)
	if err != nil {
		return nil, err
	}
	targets, err := newPublisher(r.spec).targets(m, rel.PeerID)
	if err != nil {
		return nil, err
	}
	all := distinct(targets)
	verified := slices.DeleteFunc(slices.Clone(all), func(a dnsaddr.Addr) bool {
		p, ok := r.probes[a]
		return !ok || !p.OK() || !p.Value.Verdict.Verified()
	})
	if len(verified) > 0 {
		return verified, nil
	}
	return all[:min(1, len(all))], nil
}

// untilVerified probes an address until it serves.
func (r *run) untilVerified(ctx context.Context, a dnsaddr.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, r.spec.Rollout.HealthyDeadline)
	defer cancel()
	for {
		p := read(ctx, func(ctx context.Context) (Probe, error) { return r.b.Prober.Probe(ctx, a) })
		if p.OK() && p.Value.Verdict.Verified() {
			return nil
		}
		if err := pause(ctx, drainPoll); err != nil {
			return fmt.Errorf("probe of %s: %s: %w", a, describe(p), err)
		}
	}
}
