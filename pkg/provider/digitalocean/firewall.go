package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
)

// mostFirewallTags is what the API accepts.
const mostFirewallTags = 5

// EnsureFirewall makes the firewall fleetctl-<fleet> what the spec says: SSH, the ports
// that relays serve and ICMP in, everything out, for all droplets with the tag fence:<fleet>.
// Those that fleetctl orders have it; those that were adopted get it when they are taken
// over. Droplets are never named by ID: a firewall takes ten of those. Rules that somebody
// else added go; tags and droplets that somebody else attached stay. A firewall that is right
// is not written. One that is still attached by the fleet's own tag is moved: see fence.go.
func (p *Provider) EnsureFirewall(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ensure firewall: %w", err)
	}
	if err := p.ensureFirewall(ctx); err != nil {
		return fmt.Errorf("ensure firewall %s: %w", p.firewallName(), err)
	}
	return nil
}

func (p *Provider) ensureFirewall(ctx context.Context) error {
	unlock, err := p.moving.lock(ctx, p.firewallName())
	if err != nil {
		return err
	}
	defer unlock()
	have, err := p.firewall(ctx)
	if err != nil {
		return err
	}
	if have != nil && len(p.differences(have)) == 0 {
		return nil
	}
	listed, err := p.tagged(ctx)
	if err == nil {
		err = p.onlyOurs(have, listed)
	}
	if err != nil {
		return err
	}
	if have == nil {
		// A firewall names tags that exist. By the fleet's own one Leftovers finds the other.
		for _, tag := range []string{tagFleet + p.spec.Name, p.fence()} {
			if err := p.ensureTag(ctx, tag); err != nil {
				return err
			}
		}
		have, err = p.makeFirewall(ctx)
		if err != nil || have == nil || len(p.differences(have)) == 0 {
			return err
		}
		if err := p.onlyOurs(have, listed); err != nil {
			return err
		}
	}
	if hasTag(have.Tags, tagFleet+p.spec.Name) {
		return p.move(ctx, have, p.wanted)
	}
	if err := p.ensureTag(ctx, p.fence()); err != nil {
		return err
	}
	return p.putFirewall(ctx, have.ID, p.wanted(have))
}

// putFirewall writes a firewall.
func (p *Provider) putFirewall(ctx context.Context, id string, want *godo.FirewallRequest) error {
	if err := p.fits(want.Tags); err != nil {
		return err
	}
	_, _, err := do(ctx, p, func(ctx context.Context) (*godo.Firewall, *godo.Response, error) {
		return p.api.Firewalls.Update(ctx, id, want)
	})
	return err
}

// mayFence is an error if EnsureFirewall could not make the firewall what it shall be, with
// these droplets on the account. It changes nothing.
func (p *Provider) mayFence(have *godo.Firewall, all []godo.Droplet) error {
	if have != nil && len(p.differences(have)) == 0 {
		return nil
	}
	if have != nil {
		if err := p.fits(have.Tags); err != nil {
			return err
		}
	}
	return p.onlyOurs(have, all)
}

// fits is an error for tags of a firewall among which there is no room for ours.
func (p *Provider) fits(tags []string) error {
	others := len(slices.DeleteFunc(slices.Clone(tags), p.isWallTag))
	if others < mostFirewallTags {
		return nil
	}
	return fleet.WithHint(fmt.Errorf("it has %d tags beside ours, and may have %d in all", others, mostFirewallTags),
		"take the tags of others off it at DigitalOcean")
}

// onlyOurs is an error if the firewall is, or would be, before a droplet that may be another
// fleet's of this name. It would be before what has its tag; one of an earlier version, before
// what has the fleet's.
func (p *Provider) onlyOurs(have *godo.Firewall, listed []godo.Droplet) error {
	tag := p.fence()
	if old := tagFleet + p.spec.Name; have != nil && hasTag(have.Tags, old) {
		tag = old
	}
	for _, d := range listed {
		switch whose, err := p.whose(d); {
		case err != nil:
			return err
		case whose == unproven && hasTag(d.Tags, tag):
			return fleet.WithHint(fmt.Errorf("it would close ports of droplet %d (%s): %s", d.ID, clean(d.Name), p.whyUnproven(d)),
				fmt.Sprintf("run `fleetctl adopt --id %d`, or take %s off it at DigitalOcean if it is not this fleet's", d.ID, tag))
		}
	}
	return nil
}

// makeFirewall makes the firewall. It returns one that was there all the same: names are
// used once, and somebody else may have been faster.
func (p *Provider) makeFirewall(ctx context.Context) (*godo.Firewall, error) {
	var there *godo.Firewall
	err := p.again(ctx, func(ctx context.Context) error {
		_, _, err := do(ctx, p, func(ctx context.Context) (*godo.Firewall, *godo.Response, error) {
			return p.api.Firewalls.Create(ctx, p.wanted(&godo.Firewall{}))
		})
		if err == nil || !doubtful(err) && !is(err, http.StatusConflict) {
			return err
		}
		found, lookErr := p.firewall(ctx)
		if lookErr != nil || found == nil {
			return errors.Join(err, lookErr)
		}
		there = found
		return nil
	})
	return there, err
}

// firewall finds the fleet's firewall by its name; nil is none.
func (p *Provider) firewall(ctx context.Context) (*godo.Firewall, error) {
	all, err := p.walls.get(ctx, p.trans.writes, func(ctx context.Context) ([]godo.Firewall, error) {
		return pages(ctx, p, p.api.Firewalls.List, func(f godo.Firewall) string { return f.ID })
	})
	if err != nil {
		return nil, fmt.Errorf("list firewalls: %w", err)
	}
	i := slices.IndexFunc(all, func(f godo.Firewall) bool { return f.Name == p.firewallName() })
	if i < 0 {
		return nil, nil //nolint:nilnil // none is an answer
	}
	return &all[i], nil
}

// wanted is the firewall as it shall be, with what others attached to the one that is
// there: a PUT takes away what it does not name.
func (p *Provider) wanted(have *godo.Firewall) *godo.FirewallRequest {
	everywhere := []string{"0.0.0.0/0", "::/0"}
	f := p.withFence(have)
	f.InboundRules, f.OutboundRules = nil, nil
	for _, o := range fleet.Openings(p.spec, p.spec.Ocean.SSHPort) {
		f.InboundRules = append(f.InboundRules, godo.InboundRule{
			Protocol: o.Protocol, PortRange: strconv.Itoa(o.Port), Sources: &godo.Sources{Addresses: everywhere},
		})
	}
	for _, protocol := range []string{"tcp", "udp", "icmp"} {
		f.OutboundRules = append(f.OutboundRules, godo.OutboundRule{
			Protocol: protocol, PortRange: "0", Destinations: &godo.Destinations{Addresses: everywhere},
		})
	}
	return f
}

// withFence is the firewall as it is, with its own tag.
func (p *Provider) withFence(have *godo.Firewall) *godo.FirewallRequest {
	f := &godo.FirewallRequest{
		Name: p.firewallName(), InboundRules: append([]godo.InboundRule{}, have.InboundRules...), OutboundRules: append([]godo.OutboundRule{}, have.OutboundRules...),
		DropletIDs: append([]int{}, have.DropletIDs...), Tags: slices.Clone(have.Tags),
	}
	if !hasTag(f.Tags, p.fence()) {
		f.Tags = append(f.Tags, p.known(p.fence()))
	}
	return f
}

// Drift says how the firewall differs from the spec; one that is missing lacks every rule. It
// is an error if EnsureFirewall would not put it right.
func (p *Provider) Drift(ctx context.Context) ([]fleet.Drift, error) {
	have, listed, err := p.readFirewall(ctx)
	if err != nil {
		return nil, fmt.Errorf("read firewall %s: %w", p.firewallName(), err)
	}
	if have == nil {
		have = &godo.Firewall{Tags: []string{p.fence()}} // so that its rules are what it lacks
	}
	found := p.differences(have)
	if len(found) > 0 {
		if err := p.onlyOurs(have, listed); err != nil {
			return nil, fmt.Errorf("put firewall %s right: %w", p.firewallName(), err)
		}
	}
	return found, nil
}

// readFirewall reads the firewall, and if it is not as the spec says, the droplets with the
// fleet's tag.
func (p *Provider) readFirewall(ctx context.Context) (have *godo.Firewall, listed []godo.Droplet, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	have, err = p.firewall(ctx)
	if err == nil && (have == nil || len(p.differences(have)) > 0) {
		listed, err = p.tagged(ctx)
	}
	return have, listed, err
}

// differences says what a firewall has and lacks.
func (p *Provider) differences(have *godo.Firewall) []fleet.Drift {
	out := []fleet.Drift{}
	want := p.wanted(have)
	before, after := ruleSet(have.InboundRules, have.OutboundRules), ruleSet(want.InboundRules, want.OutboundRules)
	if !slices.Equal(before, after) {
		out = append(out, fleet.Drift{Name: "firewall rules", From: clean(ruleText(before)), To: ruleText(after), Fix: fleet.FixInPlace})
	}
	switch old := tagFleet + p.spec.Name; {
	case hasTag(have.Tags, old):
		out = append(out, fleet.Drift{Name: "firewall tags", From: old, To: p.fence() + ", which the same droplets get before", Fix: fleet.FixInPlace})
	case !hasTag(have.Tags, p.fence()):
		out = append(out, fleet.Drift{Name: "firewall tags", From: "without " + p.fence(), To: "with it", Fix: fleet.FixInPlace})
	}
	return out
}

func ruleText(rules []string) string {
	if len(rules) == 0 {
		return "none"
	}
	return strings.Join(rules, ", ")
}

// ruleSet writes rules so that equal ones have equal words: sorted, each once, and
// everywhere left out.
func ruleSet(in []godo.InboundRule, out []godo.OutboundRule) []string {
	var rules []string
	for _, r := range in {
		s := godo.Sources{}
		if r.Sources != nil {
			s = *r.Sources
		}
		rules = append(rules, ruleWords("in", r.Protocol, r.PortRange, r.Action, godo.Destinations(s)))
	}
	for _, r := range out {
		d := godo.Destinations{}
		if r.Destinations != nil {
			d = *r.Destinations
		}
		rules = append(rules, ruleWords("out", r.Protocol, r.PortRange, r.Action, d))
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

func ruleWords(direction, protocol, ports string, action godo.FirewallRuleAction, ends godo.Destinations) string {
	words := []string{direction, protocol}
	switch {
	case protocol == "icmp":
	case ports == "" || ports == "0" || ports == "all" || ports == "1-65535":
		words = append(words, "all")
	default:
		words = append(words, ports)
	}
	if action != "" && action != godo.FirewallRuleActionAllow {
		words = append(words, string(action))
	}
	ids := make([]string, len(ends.DropletIDs))
	for i, id := range ends.DropletIDs {
		ids[i] = strconv.Itoa(id)
	}
	var where []string
	for _, some := range [][]string{ends.Addresses, ends.Tags, ids, ends.LoadBalancerUIDs, ends.KubernetesIDs} {
		where = append(where, some...)
	}
	slices.Sort(where)
	if !slices.Equal(where, []string{"0.0.0.0/0", "::/0"}) {
		words = append(words, "for", strings.Join(where, " "))
	}
	return strings.Join(words, " ")
}
