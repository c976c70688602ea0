package main

import (
	"context"
	"errors"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/provider"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// lister is a provider whose machines are listed in fleet.yaml, while whose they are is
// written on them: a command can be sent with what is to be written there, and nobody has
// to look first.
type lister interface {
	Listed(ctx context.Context) ([]fleet.Machine, error)
	Look(ctx context.Context, machine string) (fleet.Machine, error)
	Proof(m fleet.Machine) (host.Proof, error)
}

// listed lists the machines that a selection means, and asks none of them where fleet.yaml
// lists all: then only run may be used on them.
func (s *session) listed(ctx context.Context, sel selection) ([]fleet.Machine, error) {
	l, ok := provider.As[lister](s.machinesOf)
	if !ok {
		return s.selected(ctx, sel)
	}
	machines, err := l.Listed(ctx)
	if err != nil {
		return nil, err
	}
	return s.pick(sel, machines)
}

// run runs argv on a machine of listed, unless it is another fleet's or it is not known
// whose it is.
func (s *session) run(ctx context.Context, m fleet.Machine, argv []string) (sshx.Result, error) {
	l, ok := provider.As[lister](s.machinesOf)
	if ok && m.Problem == "" {
		proof, err := l.Proof(m)
		if err != nil {
			return sshx.Result{}, err
		}
		res, err := s.hosts.Exec(ctx, m, proof, argv)
		if !errors.Is(err, host.ErrUnproven) {
			return res, err
		}
		if m, err = l.Look(ctx, m.ID); err != nil {
			return sshx.Result{}, err
		}
	}
	if err := withheld(m); err != nil {
		return sshx.Result{}, err
	}
	return s.hosts.Exec(ctx, m, host.Proof{}, argv)
}
