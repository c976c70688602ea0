package hosts

import (
	"context"
	"fmt"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
)

// Listed lists the hosts as [Provider.Machines] does, by fleet.yaml alone: no box is asked,
// so none has Adopted, Drift or a Problem but that its name does not resolve.
func (p *Provider) Listed(ctx context.Context) ([]fleet.Machine, error) {
	return p.list(ctx, func(ctx context.Context, h fleet.HostSpec) fleet.Machine {
		m, _ := p.addressed(ctx, h)
		return m
	})
}

// Look is what [Provider.Machines] says of one host.
func (p *Provider) Look(ctx context.Context, machine string) (fleet.Machine, error) {
	h, err := p.find(machine)
	if err != nil {
		return fleet.Machine{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	return p.look(ctx, h), nil
}

// Proof is what shows a box to be the fleet's and under its care without another look: the
// marks as they are written. A box with others may be the fleet's too; see [Provider.Look].
func (p *Provider) Proof(m fleet.Machine) (host.Proof, error) {
	data, err := p.encode(m, marks{})
	if err != nil {
		return host.Proof{}, fmt.Errorf("marks of %s: %w", m.Node, err)
	}
	return host.Proof{File: file(m), Is: data}, nil
}
