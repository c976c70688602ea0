package fleettest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
)

// Provider is a provider in memory. It keeps the contract of [fleet.Provider], and its
// hooks break it as an account far away does: calls that fail before or after their
// effect, calls that overtake each other, listings that lag. Set the hooks before the
// first call. It is safe for concurrent use, and so must the hooks be.
type Provider struct {
	// Before runs before the effect of each call. Its error is the call's, and nothing
	// happened. It may block: two calls then change places.
	Before func(ctx context.Context, c Call) error
	// After runs after the effect. Its error is the call's, although it happened.
	After func(ctx context.Context, c Call) error
	// List turns what there is into what Machines shows: fewer, older, in another order.
	List func([]fleet.Machine) []fleet.Machine

	// Price is what a machine costs in a month, in USD. Limit is how many the account may
	// have; 0 is no limit.
	Price float64
	Limit int

	mu       sync.Mutex
	fleet    string
	machines map[string]fleet.Machine
	keys     []string
	firewall bool
	made     int
}

var _ fleet.Provider = (*Provider)(nil)

// Call is one call of a provider's method.
type Call struct {
	Method  string // "Machines", "Create", …
	Subject string // a machine's ID, or the node of a Create; "" where there is none
}

// NewProvider is an empty account of one fleet.
func NewProvider(fleetName string) *Provider {
	return &Provider{fleet: fleetName, machines: make(map[string]fleet.Machine)}
}

// do runs one effect between the hooks, under the lock.
func (p *Provider) do(ctx context.Context, c Call, effect func() error) error {
	if err := p.around(ctx, c, effect); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimSpace(strings.ToLower(c.Method)+" "+c.Subject), err)
	}
	return nil
}

func (p *Provider) around(ctx context.Context, c Call, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.Before != nil {
		if err := p.Before(ctx, c); err != nil {
			return err
		}
	}
	p.mu.Lock()
	err := effect()
	p.mu.Unlock()
	if err != nil || p.After == nil {
		return err
	}
	return p.After(ctx, c)
}

// Machines lists what there is, as the List hook shows it.
func (p *Provider) Machines(ctx context.Context) ([]fleet.Machine, error) {
	out := []fleet.Machine{}
	err := p.do(ctx, Call{Method: "Machines"}, func() error {
		out = p.sorted()
		if p.List != nil {
			out = p.List(out)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// all lists what there is, past the hooks.
func (p *Provider) all() []fleet.Machine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sorted()
}

// sorted lists the machines by ID; the lock is held.
func (p *Provider) sorted() []fleet.Machine {
	out := slices.AppendSeq([]fleet.Machine{}, maps.Values(p.machines))
	slices.SortFunc(out, func(a, b fleet.Machine) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Create makes a machine that runs, once for each operation.
func (p *Provider) Create(ctx context.Context, n fleet.NewMachine) (fleet.Machine, error) {
	var m fleet.Machine
	err := p.do(ctx, Call{Method: "Create", Subject: n.Node}, func() error {
		if n.Node == "" || n.Op == "" {
			return errors.New("a machine needs a node and an operation")
		}
		id := n.Node + "-" + strings.ToLower(n.Op)
		if has, ok := p.machines[id]; ok {
			m = has
			return nil
		}
		p.made++
		key := sha256.Sum256([]byte(id))
		wire := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), key[:]...)
		m = fleet.Machine{
			ID: id, Name: n.Node, Fleet: p.fleet, Node: n.Node, Region: n.Region, Op: n.Op,
			Status:  fleet.StatusRunning,
			HostKey: "ssh-ed25519 " + base64.StdEncoding.EncodeToString(wire),
			Addrs:   []netip.Addr{netip.AddrFrom4([4]byte{198, 18, byte(p.made >> 8), byte(p.made)})},
			Ports:   fleet.Ports{SSH: 22},
			User:    "relay", Created: time.Now().UTC().Truncate(time.Second),
		}
		p.machines[id] = m
		return nil
	})
	if err != nil {
		return fleet.Machine{}, err
	}
	return m, nil
}

// Start switches a machine on.
func (p *Provider) Start(ctx context.Context, id string) error {
	return p.do(ctx, Call{Method: "Start", Subject: id}, p.edit(id, func(m *fleet.Machine) { m.Status = fleet.StatusRunning }))
}

// SwitchOff stops a machine, as a power cut does. An absent one is [fleet.ErrNoMachine].
func (p *Provider) SwitchOff(id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.edit(id, func(m *fleet.Machine) { m.Status = fleet.StatusStopped })()
}

// edit changes a machine that is there; the lock is held when it runs.
func (p *Provider) edit(id string, change func(*fleet.Machine)) func() error {
	return func() error {
		m, ok := p.machines[id]
		if !ok {
			return fleet.ErrNoMachine
		}
		change(&m)
		p.machines[id] = m
		return nil
	}
}

// Delete removes a machine.
func (p *Provider) Delete(ctx context.Context, id string) error {
	return p.do(ctx, Call{Method: "Delete", Subject: id}, func() error {
		delete(p.machines, id)
		return nil
	})
}

// Mark sets and unsets marks.
func (p *Provider) Mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	return p.do(ctx, Call{Method: "Mark", Subject: id}, func() error {
		for _, key := range slices.Concat(slices.Sorted(maps.Keys(set)), unset) {
			if key != fleet.MarkPhase && key != fleet.MarkHostKey && key != fleet.MarkCached {
				return fmt.Errorf("unknown mark %q", key)
			}
		}
		if until, ok := set[fleet.MarkCached]; ok {
			if _, err := fleet.ParseCached(until); err != nil {
				return err
			}
		}
		return p.edit(id, func(m *fleet.Machine) {
			for _, key := range unset {
				mark(m, key, "")
			}
			for key, value := range set {
				mark(m, key, value)
			}
		})()
	})
}

func mark(m *fleet.Machine, key, value string) {
	switch key {
	case fleet.MarkPhase:
		m.Phase = fleet.Phase(value)
	case fleet.MarkHostKey:
		m.HostKey = value
	case fleet.MarkCached:
		m.CachedUntil, _ = fleet.ParseCached(value) // "" is no time
	}
}

// EnsureKey notes a key.
func (p *Provider) EnsureKey(ctx context.Context, authorizedKey string) error {
	return p.do(ctx, Call{Method: "EnsureKey"}, func() error {
		if strings.TrimSpace(authorizedKey) == "" {
			return errors.New("no key given")
		}
		if !slices.Contains(p.keys, authorizedKey) {
			p.keys = append(p.keys, authorizedKey)
		}
		return nil
	})
}

// EnsureFirewall notes that there is a firewall.
func (p *Provider) EnsureFirewall(ctx context.Context) error {
	return p.do(ctx, Call{Method: "EnsureFirewall"}, func() error {
		p.firewall = true
		return nil
	})
}

// Adjust takes a machine's drift away.
func (p *Provider) Adjust(ctx context.Context, id string) error {
	return p.do(ctx, Call{Method: "Adjust", Subject: id}, p.edit(id, func(m *fleet.Machine) {
		m.Drift = slices.DeleteFunc(slices.Clone(m.Drift), func(d fleet.Drift) bool { return d.Fix == fleet.FixInPlace })
	}))
}

// Quote prices machines at Price each.
func (p *Provider) Quote(ctx context.Context, buy []fleet.NewMachine) (fleet.Quote, error) {
	q := fleet.Quote{Now: []fleet.PriceLine{}, Buy: []fleet.PriceLine{}}
	err := p.do(ctx, Call{Method: "Quote"}, func() error {
		if p.Price > 0 {
			q.Currency = "USD"
		}
		for _, m := range p.sorted() {
			q.Now = append(q.Now, fleet.PriceLine{Node: m.Node, ID: m.ID, What: "a machine", Monthly: p.Price})
		}
		for _, n := range buy {
			q.Buy = append(q.Buy, fleet.PriceLine{Node: n.Node, What: "a machine", Monthly: p.Price})
		}
		q.Used, q.Limit = len(q.Now), p.Limit
		return nil
	})
	return q, err
}

// Drift is none before the first EnsureFirewall, and none after it.
func (p *Provider) Drift(ctx context.Context) ([]fleet.Drift, error) {
	out := []fleet.Drift{}
	err := p.do(ctx, Call{Method: "Drift"}, func() error { return nil })
	return out, err
}

// Leftovers names the keys and the firewall.
func (p *Provider) Leftovers(ctx context.Context) ([]string, error) {
	out := []string{}
	err := p.do(ctx, Call{Method: "Leftovers"}, func() error {
		if len(p.keys) > 0 {
			out = append(out, "SSH keys")
		}
		if p.firewall {
			out = append(out, "firewall")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Cleanup forgets the keys and the firewall. It is an error while there is a machine,
// whatever the List hook shows.
func (p *Provider) Cleanup(ctx context.Context) error {
	return p.do(ctx, Call{Method: "Cleanup"}, func() error {
		if len(p.machines) > 0 {
			return fmt.Errorf("%d machines are left", len(p.machines))
		}
		p.keys, p.firewall = nil, false
		return nil
	})
}
