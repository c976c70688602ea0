package hosts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// parallel is how many boxes are asked at once.
const parallel = 100

// Machines lists every host of the spec, sorted by ID. A name that does not resolve has
// no addresses. What is wrong with one host is its Problem, and no error of the list.
func (p *Provider) Machines(ctx context.Context) ([]fleet.Machine, error) {
	return p.list(ctx, p.look)
}

// list completes the entry of every host.
func (p *Provider) list(ctx context.Context, complete func(context.Context, fleet.HostSpec) fleet.Machine) ([]fleet.Machine, error) {
	out := make([]fleet.Machine, len(p.cfg.Hosts))
	err := p.each(ctx, func(ctx context.Context, i int, h fleet.HostSpec) error {
		out[i] = complete(ctx, h)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	markTwins(out)
	slices.SortFunc(out, func(a, b fleet.Machine) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// markTwins gives a host that is the machine of an entry before it, under another name, a
// Problem: one box does not serve two nodes.
func markTwins(machines []fleet.Machine) {
	type place struct {
		jump string
		at   netip.AddrPort
	}
	first := make(map[place]string)
	for i := range machines {
		m := &machines[i]
		for _, ip := range m.Addrs {
			at := place{m.Jump, netip.AddrPortFrom(ip, uint16(m.Ports.SSH))} //nolint:gosec // the spec holds it to 65535
			if node, taken := first[at]; taken && node != m.Node {
				m.Problem = fmt.Sprintf("its address %s is that of %s, too: take one of the two out of the hosts", at.at, node)
				break
			}
			first[at] = m.Node
		}
	}
}

// each asks all hosts, each under its own deadline. It joins what they return, and is
// the context's error alone if that ends.
func (p *Provider) each(ctx context.Context, ask func(ctx context.Context, i int, h fleet.HostSpec) error) error {
	errs := make([]error, len(p.cfg.Hosts))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, h := range p.cfg.Hosts {
		group.Go(func() error {
			one, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
			defer cancel()
			errs[i] = ask(one, i, h)
			return nil
		})
	}
	_ = group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// addressed is a host's entry with its addresses, and whether it has any; where it has
// none its Problem says why.
func (p *Provider) addressed(ctx context.Context, h fleet.HostSpec) (_ fleet.Machine, ok bool) {
	m := p.machine(h)
	addrs, err := p.addrs(ctx, h)
	if err != nil {
		m.Problem = err.Error()
		return m, false
	}
	m.Addrs = addrs
	return m, true
}

// look completes a host's entry with what its box says.
func (p *Provider) look(ctx context.Context, h fleet.HostSpec) fleet.Machine {
	m, ok := p.addressed(ctx, h)
	if !ok {
		return m
	}
	has, there, err := p.glance(ctx, m)
	if err == nil {
		err = p.ours(m, has, there)
	}
	switch {
	case err != nil:
		m.Problem = explain(m, err)
	case there:
		m.Adopted = has.Adopted
		m.CachedUntil = has.cachedUntil()
	default:
		m.Drift = []fleet.Drift{{Name: "owner", To: p.cfg.Fleet, Fix: fleet.FixInPlace}}
	}
	return m
}

// explain is what a host's problem is, and what ends it where a command does.
func explain(m fleet.Machine, err error) string {
	if errors.Is(err, sshx.ErrNoPin) {
		return "no host key is pinned for it: run `fleetctl adopt " + m.Node + "`, which shows its fingerprint"
	}
	return err.Error()
}
