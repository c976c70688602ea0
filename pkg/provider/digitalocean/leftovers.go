package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/digitalocean/godo"
	"github.com/oklog/ulid/v2"

	"github.com/relayfleet/fleetctl/fleet"
)

// longUnused is how old an operation is before its tag, if on nothing, is taken for a deleted
// droplet's: the tags of a new one are on the account a while before they are on it.
const longUnused = 24 * time.Hour

// Leftovers names the firewall, the fleet's tag and the account keys that were registered
// for it. Where there is a firewall the rest is not looked for: Cleanup removes the
// firewall and the fleet's tag last, so as long as one of them is there, so may the rest be.
func (p *Provider) Leftovers(ctx context.Context) ([]string, error) {
	out, err := p.leftovers(ctx)
	if err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	return out, nil
}

func (p *Provider) leftovers(ctx context.Context) ([]string, error) {
	out := []string{}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wall, err := p.firewall(ctx)
	if err != nil {
		return nil, err
	}
	if wall != nil {
		out = append(out, "firewall "+p.firewallName())
		for _, t := range wall.Tags {
			if p.isWallTag(t) {
				out = append(out, "tag "+clean(t))
			}
		}
		return out, nil
	}
	_, tagged, err := p.tag(ctx, tagFleet+p.spec.Name)
	if err != nil {
		return nil, err
	}
	if tagged {
		out = append(out, "tag "+tagFleet+p.spec.Name)
	}
	keys, err := p.ourKeys(ctx)
	for _, k := range keys {
		out = append(out, fmt.Sprintf("SSH key %s, %s", clean(k.Name), clean(k.Fingerprint)))
	}
	return out, err
}

// Cleanup removes what the account keeps for an empty fleet: tags of ours that are on
// nothing, the account keys that EnsureKey registered, the firewall, and at last the
// fleet's own tags. The operator's tags stay. It is an error while a machine is listed, and
// while the firewall protects what is not the fleet's.
//
// Of the tags that several fleets share (slots, phases, adopted), of times that passed and of
// operations that are older than a day, it removes those that are on nothing: of a droplet
// that somebody else deleted no note says more. Of host keys and state directories it removes
// those that a note of this fleet names: nothing else tells whose they were, or since when. A
// tag that another fleet is just about to use is made again by it; a slot that its new droplet
// loses is drift, which its next up puts right.
func (p *Provider) Cleanup(ctx context.Context) error {
	if err := p.cleanup(ctx); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}

func (p *Provider) cleanup(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	machines, err := p.Machines(ctx)
	if err != nil {
		return err
	}
	if len(machines) > 0 {
		return fmt.Errorf("%d machines are listed, the first is %s", len(machines), machines[0].Name)
	}
	wall, err := p.firewall(ctx)
	if err == nil && wall != nil {
		err = p.attachedElsewhere(*wall)
	}
	if err != nil {
		return err
	}
	if err := p.cleanTags(ctx); err != nil {
		return err
	}
	keys, err := p.ourKeys(ctx)
	if err != nil {
		return err
	}
	p.forgetKeys()
	for _, k := range keys {
		err := p.must(ctx, func(ctx context.Context) (*godo.Response, error) { return p.api.Keys.DeleteByID(ctx, k.ID) })
		if err != nil && !is(err, http.StatusNotFound) {
			return fmt.Errorf("remove SSH key %s: %w", clean(k.Name), err)
		}
	}
	if wall != nil {
		err := p.must(ctx, func(ctx context.Context) (*godo.Response, error) { return p.api.Firewalls.Delete(ctx, wall.ID) })
		if err != nil && !is(err, http.StatusNotFound) {
			return fmt.Errorf("remove firewall %s: %w", p.firewallName(), err)
		}
	}
	if err := p.removeTag(ctx, p.fence()); err != nil {
		return err
	}
	return p.removeTag(ctx, tagFleet+p.spec.Name)
}

// attachedElsewhere is an error if the firewall protects what is not the fleet's: without
// it, that would be open.
func (p *Provider) attachedElsewhere(wall godo.Firewall) error {
	others := slices.DeleteFunc(slices.Clone(wall.Tags), p.isWallTag)
	if len(others) == 0 && len(wall.DropletIDs) == 0 {
		return nil
	}
	return fleet.WithHint(fmt.Errorf("firewall %s also protects %d droplets by their ID and the tags %q", wall.Name, len(wall.DropletIDs), others),
		"give those a firewall of their own at DigitalOcean, take them off this one, and run the same command again")
}

// cleanTags removes every tag of an empty fleet but the fleet's own.
func (p *Provider) cleanTags(ctx context.Context) error {
	all, err := pages(ctx, p, p.api.Tags.List, func(t godo.Tag) string { return t.Name })
	if err != nil {
		return fmt.Errorf("list tags: %w", err)
	}
	shared := []string{tagAdopted + "yes"}
	for _, phase := range phases() {
		shared = append(shared, tagPhase+string(phase))
	}
	if p.spec.ID != "" {
		shared = append(shared, tagFleetID+p.spec.ID)
	}
	for _, s := range p.spec.Slots() {
		shared = append(shared, tagSlot+s.Node)
	}
	var errs []error
	for _, t := range all {
		p.learn(t.Name)
		if own := p.noted(t.Name); len(own) > 0 {
			errs = append(errs, p.removeOwn(ctx, 0, own), p.removeShared(ctx, p.sharedTags(own)), p.removeTag(ctx, t.Name))
		} else if t.Resources != nil && t.Resources.Count == 0 && (hasTag(shared, t.Name) || isPast(t.Name, time.Now())) {
			errs = append(errs, p.removeUnused(ctx, t.Name)) // if it still is: it may be another fleet's meanwhile
		}
	}
	return errors.Join(errs...)
}

// isPast reports whether a tag tells of itself that nobody is about to use it: an operation
// that began long ago, or a time that passed.
func isPast(tag string, now time.Time) bool {
	kind, value, _ := strings.Cut(strings.ToLower(tag), ":")
	switch kind + ":" {
	case tagOp:
		op, err := ulid.ParseStrict(value)
		return err == nil && op.Timestamp().Before(now.Add(-longUnused))
	case tagCached:
		until, err := fleet.ParseCached(value)
		return err == nil && until.Before(now)
	}
	return false
}
