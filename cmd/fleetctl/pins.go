package main

import (
	"context"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// pinning writes down the host keys that the provider's marks vouch for, before anybody
// connects, and forgets the one of a machine that is gone: its address may come back
// with somebody else behind it.
type pinning struct {
	fleet.Provider
	pins   *sshx.Pins
	frozen bool // there is no state directory, so nothing is written
}

func (p *pinning) Machines(ctx context.Context) ([]fleet.Machine, error) {
	machines, err := p.Provider.Machines(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range machines {
		if err := p.pin(m); err != nil {
			return nil, err
		}
	}
	return machines, nil
}

func (p *pinning) Create(ctx context.Context, n fleet.NewMachine) (fleet.Machine, error) {
	m, err := p.Provider.Create(ctx, n)
	if err != nil {
		return m, err
	}
	return m, p.pin(m)
}

func (p *pinning) Delete(ctx context.Context, id string) error {
	machines, err := p.Provider.Machines(ctx)
	if err != nil {
		return err
	}
	if err := p.Provider.Delete(ctx, id); err != nil {
		return err
	}
	for _, m := range machines {
		if m.ID != id || len(m.Addrs) == 0 {
			continue
		}
		at, err := host.Target(m)
		if err != nil {
			return err
		}
		return p.pins.Remove(at.Addr)
	}
	return nil
}

// pin writes the machine's host key, if it is known and not written yet.
func (p *pinning) pin(m fleet.Machine) error {
	if m.HostKey == "" || p.frozen || len(m.Addrs) == 0 {
		return nil
	}
	at, err := host.Target(m)
	if err != nil {
		return err
	}
	return p.pins.Set(at.Addr, m.HostKey)
}
