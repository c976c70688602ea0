// Package probe uses a relay as its clients do, and so finds out whether it works.
//
// A [Prober] implements [fleet.Prober]. For one published address it resolves, dials
// that address and no other, checks who answers, asks what it serves, reserves a slot,
// and passes bytes from a second host through the relay to the first and back. Both
// hosts are made for one probe, with keys of their own, and closed at its end, which
// releases the reservation: two probes never share a connection, an address book, a
// back-off or a slot. By what they call themselves, [stats.ProbeAgent], it is known that
// they are no users.
package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

// Defaults of a [Config].
const (
	DefaultTimeout  = 10 * time.Second
	DefaultParallel = 32
)

// perRelay is how many probes of one relay run at once. A stock relay holds 8
// reservations of one IP address; its own clients need some of them.
const perRelay = 2

// Config of a Prober. The zero value is usable.
type Config struct {
	Timeout  time.Duration // of one probe, from its first step; 0 means DefaultTimeout
	Parallel int           // probes that run at once, the others wait; 0 means DefaultParallel
	Version  string        // of fleetctl, the second field of the agent string; "" means "dev"
}

// Prober probes addresses. It is safe for concurrent use, and holds nothing open
// between probes.
type Prober struct {
	timeout time.Duration
	agent   string
	queue   *queue
}

var _ fleet.Prober = (*Prober)(nil)

// New makes a Prober. It opens nothing and starts nothing.
func New(cfg Config) *Prober {
	p := &Prober{timeout: cfg.Timeout, agent: stats.ProbeAgent(cfg.Version)}
	if p.timeout <= 0 {
		p.timeout = DefaultTimeout
	}
	parallel := cfg.Parallel
	if parallel <= 0 {
		parallel = DefaultParallel
	}
	p.queue = newQueue(parallel, perRelay)
	return p
}

// Probe uses the relay at addr. Whatever the relay does is a verdict, with the error of
// the step that decided: nothing answers (or not within the timeout) is
// [fleet.Unreachable]; who answers without relaying is [fleet.NotServing]. An error
// means that nothing was found out: addr is none, ctx ended first, or no host could be
// made here.
func (p *Prober) Probe(ctx context.Context, addr dnsaddr.Addr) (fleet.Probe, error) {
	got := fleet.Probe{Addr: addr, Via: fleet.Here, Steps: []fleet.ProbeStep{}}
	if addr.IsZero() {
		return got, errors.New("probe: no address")
	}
	leave, err := p.queue.enter(ctx, addr.PeerID())
	if err != nil {
		return got, fmt.Errorf("probe: %s: %w", addr, err)
	}
	defer leave()
	got.At = time.Now().UTC()
	inner, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	r, err := newRun(p.agent, p.timeout, addr)
	if err != nil {
		return got, fmt.Errorf("probe: %s: %w", addr, err)
	}
	defer r.close()
	got.Verdict, got.Steps = r.steps(inner)
	if err := ctx.Err(); err != nil && !got.Verdict.Verified() {
		return got, fmt.Errorf("probe: %s: %w", addr, err)
	}
	return got, nil
}
