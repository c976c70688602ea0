package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/digitalocean/godo"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Candidates lists droplets of the account, as the machines that they are or would be.
// An ID that is not on the account is an error.
func (p *Provider) Candidates(ctx context.Context, c fleet.Candidates) ([]fleet.Machine, error) {
	found, err := p.candidates(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("candidates: %w", err)
	}
	return found, nil
}

func (p *Provider) candidates(ctx context.Context, c fleet.Candidates) ([]fleet.Machine, error) {
	if _, err := path.Match(c.Name, ""); err != nil {
		return nil, fmt.Errorf("name %q: %w", c.Name, err)
	}
	all, err := p.droplets(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range c.IDs {
		if !slices.ContainsFunc(all, func(d godo.Droplet) bool { return strconv.Itoa(d.ID) == id }) {
			return nil, fmt.Errorf("droplet %s: %w", clean(id), fleet.ErrNoMachine)
		}
	}
	out := []fleet.Machine{}
	for _, d := range all {
		named, _ := path.Match(c.Name, d.Name) // the pattern is well formed
		if c.Tag != "" && !hasTag(d.Tags, c.Tag) || c.Name != "" && !named ||
			len(c.IDs) > 0 && !slices.Contains(c.IDs, strconv.Itoa(d.ID)) {
			continue
		}
		out = append(out, p.candidate(d))
	}
	slices.SortFunc(out, func(a, b fleet.Machine) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// candidate is a droplet as somebody who looks for one to adopt sees it.
func (p *Provider) candidate(d godo.Droplet) fleet.Machine {
	m := p.machine(d)
	whose, err := p.whose(d)
	switch {
	case err != nil:
		m.Problem = err.Error()
	case whose == others:
		m.Problem = "it belongs to the fleet " + clean(strings.Join(valuesOf(d.Tags, tagFleet), ", "))
	case whose == ours, whose == unproven: // to adopt the latter gives it the fleet's ID
		return m
	case p.lostName(d): // and this one the fleet's name
		m.Node, m.Unmarked, m.Drift = p.nodeOf(d), false, nil
		return m
	}
	m.Fleet, m.Node, m.Unmarked, m.Drift = "", "", false, nil
	if whose != nobodys {
		m.Fleet = clean(strings.Join(valuesOf(d.Tags, tagFleet), ", "))
	}
	return m
}

// lostName reports whether a droplet is one that we ordered and that lost the tag with the
// fleet's name: everything else that only our orders have is on it.
func (p *Provider) lostName(d godo.Droplet) bool {
	return p.spec.ID != "" && hasTag(d.Tags, tagFleetID+p.spec.ID) && len(valuesOf(d.Tags, tagFleet)) == 0 &&
		len(valuesOf(d.Tags, tagOp)) > 0 && len(valuesOf(d.Tags, tagAdopted)) == 0 && p.nodeOf(d) != ""
}

// Adopt makes a droplet that others made a machine of the fleet, one that is watched and
// published and never changed; one of the fleet's name that has no ID gets it, and no more,
// and so does one of ours that lost the fleet's name.
// A host key that is not Ed25519 does not fit into a tag and
// is left to the pins of whoever adopts. The state directory is directly below /var/lib;
// "" is the usual one of older tooling. Nothing is done on the box.
func (p *Provider) Adopt(ctx context.Context, a fleet.Adoption) error {
	if err := p.adopt(ctx, a.ID, a.Node, a.HostKey, a.State); err != nil {
		return fmt.Errorf("adopt droplet %s as %s: %w", clean(a.ID), clean(a.Node), err)
	}
	return nil
}

func (p *Provider) adopt(ctx context.Context, id, node, hostKey, state string) error {
	tags := []string{tagAdopted + "yes"}
	if !validTag(tagSlot+node) || node == "" || strings.ToLower(node) != node {
		return errors.New("this node does not fit into a tag")
	}
	if state != "" {
		t, err := stateTag(state)
		if err != nil {
			return err
		}
		tags = append(tags, t)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(hostKey))
	if err != nil {
		return errors.New("the host key is not in the form of authorized_keys")
	}
	if public.Type() == ssh.KeyAlgoED25519 {
		hex, err := sshx.EncodeHostKeyMark(hostKey)
		if err != nil {
			return err
		}
		tags = append(tags, tagHostKey+hex)
	}
	d, whose, err := p.droplet(ctx, id)
	switch {
	case err != nil:
		return err
	case whose == others:
		return notOurs(d)
	case whose == ours && len(valuesOf(d.Tags, tagAdopted)) == 0:
		return nil // it keeps its marks
	case whose == unproven && len(valuesOf(d.Tags, tagAdopted)) == 0:
		return p.attach(ctx, tagFleetID+p.spec.ID, d.ID) // and so does this one, of a fleet that had no ID
	case p.lostName(d):
		return p.attach(ctx, tagFleet+p.spec.Name, d.ID)
	}
	for _, other := range valuesOf(d.Tags, tagSlot) {
		if other != node {
			return fleet.WithHint(fmt.Errorf("it is tagged %s%s", tagSlot, clean(other)), "give it back with `fleetctl release` first")
		}
	}
	if !hasTag(d.Tags, tagFleet+p.spec.Name) { // one that has it is behind the firewall, or not, as it was
		if err := p.moveFirst(ctx); err != nil {
			return err
		}
	}
	// The fleet's tag comes last: until then the droplet is nobody's. The one of the firewall
	// is not among them: it would close ports of a machine that must not be changed.
	tags = append(tags, tagSlot+node)
	if p.spec.ID != "" {
		tags = append(tags, tagFleetID+p.spec.ID)
	}
	for _, t := range append(tags, tagFleet+p.spec.Name) {
		if hasTag(d.Tags, t) {
			continue
		}
		if err := p.attach(ctx, t, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// Release takes the fleet's tags off a droplet; it stays, and nothing is done on the box.
// A droplet whose name is of the form of ours is refused: it would be taken for a machine
// whose marks are late. One that has no tags of a fleet is left alone.
func (p *Provider) Release(ctx context.Context, id string) error {
	if err := p.release(ctx, id); err != nil {
		return fmt.Errorf("release droplet %s: %w", clean(id), err)
	}
	return nil
}

func (p *Provider) release(ctx context.Context, id string) error {
	d, whose, err := p.droplet(ctx, id)
	switch {
	case err != nil:
		return err
	case whose == others:
		return notOurs(d)
	case whose == unproven:
		return errors.New(p.whyUnproven(d))
	case p.nodeOf(d) != "":
		return fleet.WithHint(fmt.Errorf("its name %s is that of a machine of this fleet", clean(d.Name)),
			"rename the droplet at DigitalOcean, then release it; or delete it with fleetctl")
	case whose == nobodys:
		return p.releaseID(ctx, d)
	}
	// Adopted goes after the slot: without one nothing is done to it. The fleet's name goes
	// before its ID, without which it would prove nothing.
	for _, kind := range []string{tagSlot, tagPhase, tagState, tagCached, tagAdopted, tagFence, tagFleet} {
		for _, v := range valuesOf(d.Tags, kind) {
			if err := p.detach(ctx, d.ID, kind+v); err != nil {
				return err
			}
			if kind == tagFleet || kind == tagFence {
				continue // the account's, until Cleanup
			}
			if err := p.removeUnused(ctx, kind+v); err != nil {
				return err
			}
		}
		if kind == tagSlot {
			if err := p.removeOwn(ctx, d.ID, d.Tags); err != nil {
				return err
			}
		}
	}
	return p.releaseID(ctx, d)
}

// releaseID takes the fleet's ID off a droplet that is not the fleet's any more.
func (p *Provider) releaseID(ctx context.Context, d godo.Droplet) error {
	if p.spec.ID == "" || !hasTag(d.Tags, tagFleetID+p.spec.ID) {
		return nil
	}
	return p.detach(ctx, d.ID, tagFleetID+p.spec.ID)
}

func notOurs(d godo.Droplet) error {
	return fmt.Errorf("%w: droplet %d belongs to the fleet %s", fleet.ErrOtherFleet, d.ID, clean(strings.Join(valuesOf(d.Tags, tagFleet), ", ")))
}

// droplet reads a droplet and says whose it is.
func (p *Provider) droplet(ctx context.Context, id string) (godo.Droplet, owner, error) {
	n, err := strconv.Atoi(id)
	if err != nil || n <= 0 {
		return godo.Droplet{}, others, fleet.ErrNoMachine
	}
	d, err := p.get(ctx, n)
	if err != nil {
		return d, others, err
	}
	whose, err := p.whose(d)
	return d, whose, err
}

// validTag reports whether the API takes a tag.
func validTag(tag string) bool { return len(tag) <= mostTag && tagName.MatchString(tag) }
