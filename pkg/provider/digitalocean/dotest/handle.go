package dotest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Droplet is a droplet as the cloud knows it, whatever it shows.
type Droplet struct {
	Machine
	Status  string       // new, active or off
	Addrs   []netip.Addr // public ones; there may be some before the droplet is active
	Created time.Time
	Doomed  bool // deleted, and still seen
}

// Droplets lists those of an account by ID, without counting as a read.
func (c *Cloud) Droplets(token string) []Droplet {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.teams[token]
	if t == nil {
		return nil
	}
	c.settle(t, c.cfg.Now())
	found := []Droplet{}
	for _, d := range t.droplets {
		found = append(found, Droplet{
			Machine: d.machine(), Status: d.status, Addrs: slices.Clone(d.addrs), Created: d.created, Doomed: d.doomed,
		})
	}
	return found
}

// AddDroplet puts a droplet into an account as if others had made it: active, at addrs,
// with its tags. Empty fields are s-1vcpu-1gb, debian-12-x64 and nyc1; the ID is given by
// the cloud. With addrs there is no box behind it; without, Config.Boxes boots one before
// AddDroplet returns, or the droplet has addresses of its own.
func (c *Cloud) AddDroplet(ctx context.Context, token string, m Machine, addrs ...netip.Addr) (id int, err error) {
	t, d, err := c.enter(token, m, addrs)
	if err != nil || d.booted {
		return d.ID, err
	}
	found, err := c.cfg.Boxes.Boot(ctx, d.machine())
	c.mu.Lock()
	defer c.mu.Unlock()
	d.addrs, d.booted, d.lost = found, err == nil, err != nil
	c.settle(t, c.cfg.Now())
	if err != nil {
		return 0, fmt.Errorf("add droplet %s: %w", m.Name, err)
	}
	return d.ID, nil
}

// enter writes a droplet down; it is booted unless a box has to be first.
func (c *Cloud) enter(token string, m Machine, addrs []netip.Addr) (*team, *droplet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.teams[token]
	if t == nil {
		return nil, &droplet{}, fmt.Errorf("add droplet %s: no account has the token", m.Name)
	}
	for _, d := range []struct {
		field *string
		value string
	}{{&m.Size, "s-1vcpu-1gb"}, {&m.Image, "debian-12-x64"}, {&m.Region, "nyc1"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	c.ids.droplet++
	m.ID = c.ids.droplet
	tags := m.Tags
	m.Tags = nil
	for _, name := range tags {
		m.Tags = t.addTag(m.Tags, name)
	}
	now := c.cfg.Now()
	d := &droplet{Machine: m, status: "new", created: now, addrs: addrs, bare: len(addrs) > 0}
	d.create = c.newAction(t, d, "create", now)
	d.booted = d.bare || c.cfg.Boxes == nil
	if d.booted && !d.bare {
		d.addrs = c.addresses(t, d)
	}
	t.droplets = append(t.droplets, d)
	c.settle(t, now)
	return t, d, nil
}

// SwitchOff pulls the plug of a droplet behind the API's back: no one asked for it, and
// the API shows "off".
func (c *Cloud) SwitchOff(ctx context.Context, id int) error {
	_, d, err := c.find(id)
	if err != nil {
		return err
	}
	if c.cfg.Boxes != nil && !d.bare {
		if err := c.cfg.Boxes.PowerOff(ctx, id); err != nil {
			return fmt.Errorf("switch off droplet %d: %w", id, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.status == "new" {
		return fmt.Errorf("switch off droplet %d: it is not active yet", id)
	}
	d.status = "off"
	return nil
}

// Vanish removes a droplet at once and behind the API's back, as someone does in the web
// console.
func (c *Cloud) Vanish(ctx context.Context, id int) error {
	t, d, err := c.find(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	d.doomed = true
	ended := c.destroy(ctx, d)
	c.mu.Unlock()
	if err := <-ended; err != nil {
		return fmt.Errorf("vanish droplet %d: %w", id, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(t, c.cfg.Now())
	return nil
}

// find looks a droplet up in every account.
func (c *Cloud) find(id int) (*team, *droplet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.teams {
		if d := t.droplet(id); d != nil {
			return t, d, nil
		}
	}
	return nil, nil, fmt.Errorf("droplet %d: not in the cloud", id)
}
