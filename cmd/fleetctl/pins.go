package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

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

	mu    sync.Mutex
	known map[string]fleet.Machine // as last seen, by ID
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

// Mark pins a host key as soon as others can read it, and before the box shows it.
func (p *pinning) Mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	if err := p.Provider.Mark(ctx, id, set, unset); err != nil {
		return err
	}
	keys, changed := set[fleet.MarkHostKey]
	if !changed {
		return nil
	}
	m, err := p.machine(ctx, id)
	if err != nil {
		return err
	}
	m.HostKey = keys // a list may be behind
	return p.pin(m)
}

func (p *pinning) Delete(ctx context.Context, id string) error {
	m, err := p.machine(ctx, id)
	if err != nil && !errors.Is(err, fleet.ErrNoMachine) {
		return err
	}
	if err := p.Provider.Delete(ctx, id); err != nil {
		return err
	}
	if len(m.Addrs) == 0 {
		return nil
	}
	at, err := host.Target(m)
	if err != nil {
		return err
	}
	return p.pins.Remove(at.Addr)
}

// machine is a machine as it was last seen.
func (p *pinning) machine(ctx context.Context, id string) (fleet.Machine, error) {
	if m, ok := p.seen(id); ok {
		return m, nil
	}
	if _, err := p.Machines(ctx); err != nil {
		return fleet.Machine{}, err
	}
	if m, ok := p.seen(id); ok {
		return m, nil
	}
	return fleet.Machine{}, fmt.Errorf("machine %s: %w", id, fleet.ErrNoMachine)
}

func (p *pinning) seen(id string) (fleet.Machine, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.known[id]
	return m, ok
}

// pin writes the machine's host keys, if they are known and not written yet.
func (p *pinning) pin(m fleet.Machine) error {
	p.mu.Lock()
	if p.known == nil {
		p.known = make(map[string]fleet.Machine)
	}
	p.known[m.ID] = m
	p.mu.Unlock()
	if m.HostKey == "" || p.frozen || len(m.Addrs) == 0 {
		return nil
	}
	at, err := host.Target(m)
	if err != nil {
		return err
	}
	return p.pins.Set(at.Addr, strings.Split(m.HostKey, "\n")...)
}
