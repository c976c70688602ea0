package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	slashpath "path"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/stats"
)

// takeTimeout bounds what is done to one machine: its register may be large.
const takeTimeout = 5 * time.Minute

// Results of an adoption.
const (
	adopted      = "adopted"
	trusted      = "trusted" // its host key is pinned, and there is no relay to adopt
	ours         = "ours"    // the fleet's already, and not only adopted
	wouldAdopt   = "would be adopted"
	adoptFailure = "failed"
)

// take pins the host key of every machine, looks at its relay and marks it. Then it asks
// the provider what came of it.
func (s *session) take(ctx context.Context, adopter fleet.Adopter, f adoptFlags, found []*adoptee) {
	pins, err := sshx.OpenPins(s.dir.KnownHosts())
	eachAdoptee(ctx, takeTimeout, found, func(ctx context.Context, c *adoptee) error {
		if err != nil {
			return err
		}
		return s.takeOne(ctx, adopter, pins, f, c)
	})
	machines, err := s.b.Provider.Machines(ctx)
	for _, c := range found {
		if c.err != nil || c.result == trusted {
			continue
		}
		c.result = adopted
		switch m, listed := byID(machines, c.m.ID); {
		case err != nil:
			c.err = fmt.Errorf("see whether it is adopted: %w", err)
		case !listed:
			c.err = errors.New("the provider does not list it yet: run the same command again")
		case m.Problem != "":
			c.err = errors.New(m.Problem)
		case !m.Adopted:
			c.result = ours
		}
	}
}

func byID(machines []fleet.Machine, id string) (fleet.Machine, bool) {
	for _, m := range machines {
		if m.ID == id {
			return m, true
		}
	}
	return fleet.Machine{}, false
}

func (s *session) takeOne(ctx context.Context, adopter fleet.Adopter, pins *sshx.Pins, f adoptFlags, c *adoptee) error {
	if !c.pinned {
		if err := pins.Set(c.address(), c.key); err != nil {
			return err
		}
	}
	there, err := s.relayOf(ctx, c)
	if err != nil {
		return err
	}
	if !there {
		return s.nothingToAdopt(ctx, f, c)
	}
	return adopter.Adopt(ctx, fleet.Adoption{ID: c.m.ID, Node: c.m.Node, HostKey: c.key, State: c.m.State})
}

// lookAtPinned reads the relays of machines whose host key was pinned before; a dry run
// speaks to no other.
func (s *session) lookAtPinned(ctx context.Context, found []*adoptee) {
	eachAdoptee(ctx, takeTimeout, found, func(ctx context.Context, c *adoptee) error {
		if !c.pinned {
			return nil
		}
		_, err := s.relayOf(ctx, c)
		return err
	})
}

// relayOf reads the relay of a machine and its register, and reports whether there is one.
func (s *session) relayOf(ctx context.Context, c *adoptee) (bool, error) {
	m := c.m
	m.Adopted = true
	rel, err := s.hosts.Inspect(ctx, m)
	if err != nil {
		return false, err
	}
	c.relay = rel
	if rel.PeerID == "" {
		return false, nil
	}
	at, err := host.Target(m)
	if err != nil {
		return false, err
	}
	file := slashpath.Join(m.State, slashpath.Base(host.CensusFile))
	text, err := s.ssh.ReadFile(ctx, at, file, stats.MaxRegistry)
	if errors.Is(err, fs.ErrNotExist) {
		c.census = new(int)
		return true, nil
	}
	if err != nil {
		return true, fmt.Errorf("read census: %w", err)
	}
	entries, err := stats.ParseRegistry(bytes.NewReader(text), s.app.now())
	var damaged *stats.DamagedError
	if err != nil && !(errors.As(err, &damaged) && damaged.Damaged == 0) { // a clock may be wrong
		return true, nil // damaged: how many there are is not known, and it is left as it is
	}
	n := len(entries)
	c.census = &n
	return true, nil
}

// nothingToAdopt is the end of an adoption that found no relay. A host of the list is
// trusted from now on, and gets one from up; its relay may also be elsewhere.
func (s *session) nothingToAdopt(ctx context.Context, f adoptFlags, c *adoptee) error {
	missing := fmt.Errorf("%s holds no relay's identity", c.m.State)
	if !c.m.Given {
		return fleet.WithHint(missing, "name the directory that does with --state")
	}
	at, err := host.Target(c.m)
	if err != nil {
		return err
	}
	if f.state != c.m.State {
		for _, name := range []string{"peer-id.txt", "node.pub"} {
			_, err := s.ssh.ReadFile(ctx, at, slashpath.Join(f.state, name), 4<<10)
			if err == nil || errors.Is(err, sshx.ErrTooLarge) {
				return fleet.WithHint(fmt.Errorf("%w, and %s does", missing, f.state), "add 'state: "+f.state+"' to its entry in fleet.yaml")
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	c.result = trusted
	return nil
}
