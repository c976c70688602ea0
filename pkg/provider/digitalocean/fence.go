package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
)

// The firewall is attached by a tag of its own, fence:<fleet>, so that a droplet can be of
// the fleet and not behind it: an adopted one, of which nobody knows what else it serves.
//
// Earlier versions attached it by fleet:<fleet>. Such a one is moved with every droplet
// behind it at every moment: first all droplets of the fleet get the new tag, also adopted
// ones, which are behind it as it is; then the firewall has both tags; and only when the
// account lists all of them by the new tag, the firewall loses the old one. A firewall with
// four tags of others has no room for both: it changes the one for the other in one request.

// fence is the tag by which the firewall is attached.
func (p *Provider) fence() string { return tagFence + p.spec.Name }

// isWallTag reports whether the firewall has a tag because of us.
func (p *Provider) isWallTag(tag string) bool {
	return hasTag([]string{p.fence(), tagFleet + p.spec.Name}, tag)
}

// moveFirst moves a firewall of an earlier version before another droplet gets the fleet's
// tag, which would close ports of that one. Its rules stay as they are: those are what up
// puts right. Of several at once, one does it.
func (p *Provider) moveFirst(ctx context.Context) error {
	unlock, err := p.moving.lock(ctx, p.firewallName())
	if err != nil {
		return err
	}
	defer unlock()
	have, err := p.firewall(ctx)
	if err != nil || have == nil || !hasTag(have.Tags, tagFleet+p.spec.Name) {
		return err
	}
	listed, err := p.tagged(ctx)
	if err == nil {
		err = p.onlyOurs(have, listed)
	}
	if err == nil {
		err = p.move(ctx, have, p.withFence)
	}
	if err != nil {
		return fmt.Errorf("attach the firewall %s by %s, so that it closes no ports of this machine: %w", p.firewallName(), p.fence(), err)
	}
	return nil
}

// bulk is how many droplets one request tags.
const bulk = 50

// fenceAll gives the firewall's tag to every droplet with the fleet's.
func (p *Provider) fenceAll(ctx context.Context) error {
	listed, err := p.tagged(ctx)
	if err != nil {
		return err
	}
	var without []int
	for _, d := range listed {
		if !hasTag(d.Tags, p.fence()) {
			without = append(without, d.ID)
		}
	}
	for some := range slices.Chunk(without, bulk) {
		if err := p.attach(ctx, p.fence(), some...); err != nil {
			return err
		}
	}
	return nil
}

// shape is how a firewall shall be, made of how it is.
type shape func(have *godo.Firewall) *godo.FirewallRequest

// move attaches a firewall of an earlier version by its own tag alone.
func (p *Provider) move(ctx context.Context, have *godo.Firewall, as shape) error {
	if err := p.ensureTag(ctx, p.fence()); err != nil {
		return err
	}
	if err := p.fenceAll(ctx); err != nil {
		return err
	}
	if both := as(have); len(both.Tags) <= mostFirewallTags {
		if err := p.putFirewall(ctx, have.ID, both); err != nil {
			return err
		}
	}
	return p.letGo(ctx, as)
}

// letGo takes the fleet's own tag off a firewall that has both, or no room for both, once
// the account knows every droplet of the fleet by the other one.
func (p *Provider) letGo(ctx context.Context, as shape) error {
	for begin := time.Now(); ; {
		fenced, err := p.allFenced(ctx)
		if err != nil {
			return err
		}
		have, err := p.firewall(ctx)
		switch {
		case err != nil:
			return err
		case have == nil:
			return errors.New("somebody removed it just now")
		}
		want := as(have)
		ready := hasTag(have.Tags, p.fence()) || len(want.Tags) > mostFirewallTags
		switch {
		case fenced && ready && len(have.PendingChanges) == 0:
			want.Tags = slices.DeleteFunc(want.Tags, func(t string) bool { return hasTag([]string{tagFleet + p.spec.Name}, t) })
			return p.putFirewall(ctx, have.ID, want)
		case time.Since(begin) > p.cfg.Waits.Marks:
			return fleet.WithHint(errors.New("the account does not list every droplet by "+p.fence()+" yet, so it stays attached by "+tagFleet+p.spec.Name),
				"run the same command again")
		}
		if err := pause(ctx, p.cfg.Waits.Poll); err != nil {
			return err
		}
	}
}

// allFenced reports whether the account lists by the firewall's tag what it lists by the
// fleet's.
func (p *Provider) allFenced(ctx context.Context) (bool, error) {
	listed, err := p.listTagged(ctx)
	if err != nil {
		return false, err
	}
	fenced, err := p.listBy(ctx, p.fence())
	return !slices.ContainsFunc(listed, func(d godo.Droplet) bool {
		return !slices.ContainsFunc(fenced, func(f godo.Droplet) bool { return f.ID == d.ID })
	}), err
}
