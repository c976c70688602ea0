package hosts

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// ErrGiven is why a machine is not made, started or deleted: it is an entry of a list.
var ErrGiven = errors.New("hosts of a list are never made or deleted")

// Create is refused: the list is what there is. An order that says the same as an entry
// is refused, too.
func (p *Provider) Create(ctx context.Context, n fleet.NewMachine) (fleet.Machine, error) {
	if err := ctx.Err(); err != nil {
		return fleet.Machine{}, wrap("create machine "+n.Node, err)
	}
	err := fmt.Errorf("create machine %s: %w", n.Node, ErrGiven)
	return fleet.Machine{}, fleet.WithHint(err, "add an entry for it to hosts in fleet.yaml")
}

// Start leaves a host alone: it counts as running, and nobody here can switch it on.
func (p *Provider) Start(ctx context.Context, machine string) error {
	_, err := p.find(machine)
	return wrap("start machine", errors.Join(err, ctx.Err()))
}

// Delete is refused for a host of the list, and succeeds for what is not in it.
func (p *Provider) Delete(ctx context.Context, machine string) error {
	if err := ctx.Err(); err != nil {
		return wrap("delete machine "+machine, err)
	}
	h, err := p.find(machine)
	if errors.Is(err, fleet.ErrNoMachine) {
		return nil
	}
	return fleet.WithHint(fmt.Errorf("delete machine %s: %w", machine, ErrGiven),
		"take the relay off with `fleetctl down`, or give the host back with `fleetctl release "+h.Node+"`")
}

// EnsureKey does nothing: who may log in to a host is settled on its box.
func (p *Provider) EnsureKey(ctx context.Context, _ string) error { return ctx.Err() }

// EnsureFirewall does nothing: the network in front of a host belongs to others.
func (p *Provider) EnsureFirewall(ctx context.Context) error { return ctx.Err() }

// Drift is none: hosts share nothing.
func (p *Provider) Drift(ctx context.Context) ([]fleet.Drift, error) {
	return []fleet.Drift{}, ctx.Err()
}

// Quote names no currency: what hosts cost is not known here, and none can be bought.
func (p *Provider) Quote(ctx context.Context, buy []fleet.NewMachine) (fleet.Quote, error) {
	if err := ctx.Err(); err != nil {
		return fleet.Quote{}, err
	}
	if len(buy) > 0 {
		return fleet.Quote{}, fmt.Errorf("price of machine %s: %w", buy[0].Node, ErrGiven)
	}
	q := fleet.Quote{Now: []fleet.PriceLine{}, Buy: []fleet.PriceLine{}, Used: len(p.cfg.Hosts)}
	for _, h := range p.cfg.Hosts {
		q.Now = append(q.Now, fleet.PriceLine{Node: h.Node, ID: id(h), What: "a host of the list"})
	}
	return q, nil
}

// Leftovers names the hosts that carry the fleet's marks. It is an error while one of
// them does not say.
func (p *Provider) Leftovers(ctx context.Context) ([]string, error) {
	named := make([]string, len(p.cfg.Hosts))
	err := p.each(ctx, func(ctx context.Context, i int, h fleet.HostSpec) error {
		m, has, there, err := p.marked(ctx, h)
		if err == nil && there && p.ours(m, has, there) == nil {
			named[i] = fmt.Sprintf("the mark %s on %s", file(m), h.Node)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	return slices.DeleteFunc(named, func(s string) bool { return s == "" }), nil
}

// marked reads the marks of a host.
func (p *Provider) marked(ctx context.Context, h fleet.HostSpec) (fleet.Machine, marks, bool, error) {
	m, err := p.reach(ctx, id(h))
	if err != nil {
		return m, marks{}, false, err
	}
	has, there, err := p.read(ctx, m)
	if err != nil {
		err = fmt.Errorf("%s: %w", h.Node, err)
	}
	return m, has, there, err
}

// Cleanup takes the fleet's marks off the hosts. It is an error while one of them has a
// relay installed or was adopted, and while one of them does not answer; the others are
// cleaned all the same.
func (p *Provider) Cleanup(ctx context.Context) error {
	return wrap("clean up", p.each(ctx, func(ctx context.Context, _ int, h fleet.HostSpec) error {
		m, has, there, err := p.marked(ctx, h)
		if err != nil || !there || p.ours(m, has, there) != nil {
			return err
		}
		if has.Adopted {
			return fleet.WithHint(fmt.Errorf("%s: its relay was adopted", h.Node), "give it back with `fleetctl release "+h.Node+"`")
		}
		installed, err := p.installed(ctx, m)
		if err == nil && installed {
			err = errors.New("a relay is installed on it")
		}
		if err == nil {
			err = p.forget(ctx, m)
		}
		return wrap(h.Node, err)
	}))
}

// installed reports whether a box has a release of the relay.
func (p *Provider) installed(ctx context.Context, m fleet.Machine) (bool, error) {
	at, err := host.Target(m)
	if err != nil {
		return false, err
	}
	res, err := p.cfg.Runner.Run(ctx, at, sshx.Command{Argv: []string{"readlink", host.Current}, Timeout: p.cfg.Timeout, MaxOutput: 4 << 10, ReadOnly: true})
	if err != nil {
		return false, err
	}
	if res.ExitCode > 1 {
		return false, fmt.Errorf("readlink %s: exit status %d", host.Current, res.ExitCode)
	}
	return res.ExitCode == 0, nil
}
