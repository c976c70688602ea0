package digitalocean

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
)

// Bounds of a list.
const (
	perPage   = 200 // the most that the API gives
	rereads   = 5   // of a list that changed while it was read
	mostPages = 500
)

// Machines lists the droplets with the fleet's tag, and those that only their name says
// are ours ([fleet.Machine].Unmarked). All droplets of the account are read, and a list
// whose pages do not add up is read again: an incomplete one is an error. Droplets of
// another fleet of this name are [fleet.ErrOtherFleet], and then none is listed. One that
// has our name and no ID, where the fleet has one, is listed with that as its Problem.
func (p *Provider) Machines(ctx context.Context) ([]fleet.Machine, error) {
	all, err := p.droplets(ctx)
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	machines, err := p.pick(all)
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	p.letIn(ctx, machines)
	return machines, nil
}

// pick finds the fleet's machines, sorted by ID.
func (p *Provider) pick(all []godo.Droplet) ([]fleet.Machine, error) {
	machines := []fleet.Machine{}
	for _, d := range all {
		whose, err := p.whose(d)
		switch {
		case err != nil:
			return nil, err
		case whose == ours:
			machines = append(machines, p.machine(d))
		case whose == unproven:
			machines = append(machines, p.unproven(d))
		case whose == nobodys:
			if node := p.nodeOf(d); node != "" {
				machines = append(machines, p.unmarked(d, node))
			}
		}
	}
	slices.SortFunc(machines, func(a, b fleet.Machine) int { return cmp.Compare(a.ID, b.ID) })
	return machines, nil
}

// owner is who a droplet belongs to, by its tags.
type owner int

const (
	nobodys owner = iota // no fleet's
	ours
	unproven // has our fleet's name, and no ID although the fleet has one
	others   // another fleet's, by its name or its ID
)

// whose says who a droplet belongs to. A name is had by several fleets, an ID by one: where
// either side has an ID, only the same one on the other makes a droplet ours. One that
// carries our name and another fleet's name, or an ID that is not ours, is an error: whoever
// touches it must know which fleet that is.
func (p *Provider) whose(d godo.Droplet) (owner, error) {
	names, ids := valuesOf(d.Tags, tagFleet), valuesOf(d.Tags, tagFleetID)
	switch {
	case len(names) == 0:
		return nobodys, nil
	case !slices.Contains(names, p.spec.Name):
		return others, nil
	case len(names) > 1:
		return others, fleet.WithHint(fmt.Errorf("%w: droplet %d (%s) is tagged for the fleets %s", fleet.ErrOtherFleet, d.ID, clean(d.Name), clean(strings.Join(names, ", "))),
			"take the tag of the wrong fleet off it at DigitalOcean")
	case len(ids) == 0 && p.spec.ID != "":
		return unproven, nil
	case len(ids) > 0 && p.spec.ID == "":
		return others, fleet.WithHint(fmt.Errorf("%w: droplet %d (%s) is of the fleet %s with the id %s, fleet.yaml names none",
			fleet.ErrOtherFleet, d.ID, clean(d.Name), p.spec.Name, clean(strings.Join(ids, ", "))),
			"add id: "+clean(ids[0])+" to fleet.yaml if it is the one of those droplets, and give this fleet another name otherwise")
	case len(ids) > 1 || len(ids) == 1 && !strings.EqualFold(ids[0], p.spec.ID):
		return others, fleet.WithHint(fmt.Errorf("%w: droplet %d (%s) is of the fleet %s with the id %s, this one has the id %s",
			fleet.ErrOtherFleet, d.ID, clean(d.Name), p.spec.Name, clean(strings.Join(ids, ", ")), p.spec.ID),
			"give this fleet another name, or use the fleet.yaml that made those droplets")
	}
	return ours, nil
}

// droplets lists all of the account.
func (p *Provider) droplets(ctx context.Context) ([]godo.Droplet, error) {
	return p.all.get(ctx, p.trans.writes, func(ctx context.Context) ([]godo.Droplet, error) {
		return p.note(pages(ctx, p, p.api.Droplets.List, dropletID))
	})
}

// tagged lists those with the fleet's tag, whichever fleet of this name that is.
func (p *Provider) tagged(ctx context.Context) ([]godo.Droplet, error) {
	return p.ours.get(ctx, p.trans.writes, p.listTagged)
}

func (p *Provider) listTagged(ctx context.Context) ([]godo.Droplet, error) {
	return p.listBy(ctx, tagFleet+p.spec.Name)
}

// listBy lists the droplets with a tag.
func (p *Provider) listBy(ctx context.Context, tag string) ([]godo.Droplet, error) {
	tag = p.known(tag)
	all, err := pages(ctx, p, func(ctx context.Context, o *godo.ListOptions) ([]godo.Droplet, *godo.Response, error) {
		return p.api.Droplets.ListByTag(ctx, tag, o)
	}, dropletID)
	if is(err, http.StatusNotFound) {
		return []godo.Droplet{}, nil // there is no such tag, so it is on nothing
	}
	return p.note(all, err)
}

func dropletID(d godo.Droplet) int { return d.ID }

// note learns how the account writes the tags of droplets, and which ones ours have.
func (p *Provider) note(all []godo.Droplet, err error) ([]godo.Droplet, error) {
	for _, d := range all {
		p.learn(d.Tags...)
		p.sight(d)
	}
	return all, err
}

// sighting is a droplet of ours as it was read, with what we did to its tags since.
type sighting struct {
	droplet godo.Droplet
	at      time.Time
}

// remembered is how long a sighting counts.
const remembered = time.Minute

// sight remembers a droplet of ours.
func (p *Provider) sight(d godo.Droplet) {
	whose, err := p.whose(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || whose != ours {
		delete(p.seen, d.ID)
		return
	}
	p.seen[d.ID] = sighting{d, time.Now()}
}

// recall is a droplet of ours that was read a moment ago.
func (p *Provider) recall(id string) (godo.Droplet, bool) {
	n, err := strconv.Atoi(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.seen[n]
	return s.droplet, ok && err == nil && time.Since(s.at) < remembered
}

// onAnother reports whether a tag was seen on another droplet of ours than id.
func (p *Provider) onAnother(id int, tag string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, s := range p.seen {
		if other != id && hasTag(s.droplet.Tags, tag) {
			return true
		}
	}
	return false
}

// retold notes what was done to the tags of a droplet.
func (p *Provider) retold(id int, tags []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.seen[id]; ok {
		s.droplet.Tags = tags
		p.seen[id] = s
	}
}

// errChanged is of a list that was never the same on all its pages.
var errChanged = errors.New("the list changed each time it was read")

// pages reads a list to its end, each entry once. The count that the API gives has to be
// reached, and to stay the same, or it is read again.
func pages[T any, K comparable](ctx context.Context, p *Provider,
	page func(context.Context, *godo.ListOptions) ([]T, *godo.Response, error), key func(T) K,
) ([]T, error) {
	for range rereads {
		all, whole, err := walk(ctx, p, page, key)
		if err != nil || whole {
			return all, err
		}
	}
	return nil, errChanged
}

// walk reads a list once and reports whether that was all of it.
func walk[T any, K comparable](ctx context.Context, p *Provider,
	page func(context.Context, *godo.ListOptions) ([]T, *godo.Response, error), key func(T) K,
) (all []T, whole bool, err error) {
	all = []T{}
	seen := make(map[K]bool)
	total := -1
	for number := 1; number <= mostPages; number++ {
		part, resp, err := do(ctx, p, func(ctx context.Context) ([]T, *godo.Response, error) {
			return page(ctx, &godo.ListOptions{Page: number, PerPage: perPage})
		})
		switch {
		case err != nil:
			return nil, false, err
		case resp.Meta == nil:
			return nil, false, errors.New("the API's list does not say how long it is")
		case total >= 0 && resp.Meta.Total != total:
			return nil, false, nil
		}
		total = resp.Meta.Total
		for _, v := range part {
			if seen[key(v)] {
				return nil, false, nil // it moved to a later page
			}
			seen[key(v)] = true
			all = append(all, v)
		}
		if len(part) < perPage || len(all) >= total {
			break
		}
	}
	return all, len(all) == total, nil
}

// get reads a droplet; one that is not there is [fleet.ErrNoMachine].
func (p *Provider) get(ctx context.Context, id int) (godo.Droplet, error) {
	d, _, err := do(ctx, p, func(ctx context.Context) (*godo.Droplet, *godo.Response, error) { return p.api.Droplets.Get(ctx, id) })
	switch {
	case is(err, http.StatusNotFound):
		return godo.Droplet{}, fleet.ErrNoMachine
	case err != nil:
		return godo.Droplet{}, err
	case d == nil || d.ID != id:
		return godo.Droplet{}, errors.New("the API's answer is of another droplet")
	}
	p.learn(d.Tags...)
	p.sight(*d)
	return *d, nil
}

// own reads a droplet of ours. Any other is an error: nothing is done to it.
func (p *Provider) own(ctx context.Context, id string) (godo.Droplet, error) {
	if err := ctx.Err(); err != nil {
		return godo.Droplet{}, err
	}
	n, err := strconv.Atoi(id)
	if err != nil || n <= 0 {
		return godo.Droplet{}, fleet.ErrNoMachine // no droplet has such an ID
	}
	listed, err := p.tagged(ctx)
	if err != nil {
		return godo.Droplet{}, err
	}
	var d godo.Droplet
	if i := slices.IndexFunc(listed, func(d godo.Droplet) bool { return d.ID == n }); i >= 0 {
		d = listed[i]
	} else if d, err = p.get(ctx, n); err != nil {
		return d, err
	}
	whose, err := p.whose(d)
	switch {
	case err != nil || whose == ours:
	case whose == unproven:
		err = fmt.Errorf("droplet %d (%s): nothing is done to it: %s", n, clean(d.Name), p.whyUnproven(d))
	default:
		err = fmt.Errorf("droplet %d (%s) is not tagged %s%s: nothing is done to it", n, clean(d.Name), tagFleet, p.spec.Name)
	}
	return d, err
}
