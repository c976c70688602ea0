package digitalocean

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/digitalocean/godo"
)

// Mark sets and unsets marks of a droplet. A new value is there before the old one goes;
// of two phases the later one counts meanwhile.
func (p *Provider) Mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	if err := p.mark(ctx, id, set, unset); err != nil {
		return fmt.Errorf("mark machine %s: %w", clean(id), err)
	}
	return nil
}

func (p *Provider) mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	want := make(map[string][]string) // values by kind
	known := make(map[string]bool)
	for _, row := range markings() {
		known[row.mark] = true
		if slices.Contains(unset, row.mark) {
			want[row.kind] = nil
		}
		if v, ok := set[row.mark]; ok {
			values, err := row.values(v)
			if err != nil {
				return err
			}
			want[row.kind] = values
		}
	}
	for _, mark := range append(slices.Sorted(maps.Keys(set)), unset...) {
		if !known[mark] {
			return fmt.Errorf("there is no mark %q", mark)
		}
	}
	if _, only := want[tagHostKey]; only && len(want) == 1 {
		// A host key is changed by one run, which has read the droplet a moment ago: that
		// need not be done twice more for every new machine.
		if d, ok := p.recall(id); ok && ctx.Err() == nil {
			return p.remark(ctx, d, want)
		}
	}
	d, err := p.own(ctx, id)
	if err != nil {
		return err
	}
	return p.remark(ctx, d, want)
}

// remark makes the values of several kinds what they shall be.
func (p *Provider) remark(ctx context.Context, d godo.Droplet, want map[string][]string) error {
	tags := slices.Clone(d.Tags)
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		if err := p.retag(ctx, d.ID, kind, valuesOf(d.Tags, kind), want[kind]); err != nil {
			return err
		}
		tags = slices.DeleteFunc(tags, func(t string) bool { return hasKind(t, kind) })
		for _, v := range want[kind] {
			tags = append(tags, kind+v)
		}
	}
	p.retold(d.ID, tags)
	return nil
}

// retag makes the values of one kind what they shall be, adding first.
func (p *Provider) retag(ctx context.Context, id int, kind string, have, want []string) error {
	for _, v := range want {
		if !slices.Contains(have, v) {
			if err := p.attach(ctx, kind+v, id); err != nil {
				return err
			}
		}
	}
	for _, v := range have {
		if slices.Contains(want, v) {
			continue
		}
		remove := func() error { return p.detach(ctx, id, kind+v) }
		if kind == tagHostKey && !p.onAnother(id, kind+v) { // nothing else has it: it need not stay on the account
			remove = func() error { return p.removeTag(ctx, kind+v) }
		}
		err := remove()
		if err == nil && kind == tagCached { // a time that passed is on nothing soon, and on other fleets perhaps
			err = p.removeUnused(ctx, kind+v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Adjust puts a droplet behind the firewall, and its slot and the spec's tags on it. Tags
// that the spec does not name stay.
func (p *Provider) Adjust(ctx context.Context, id string) error {
	d, err := p.own(ctx, id)
	if err == nil && len(valuesOf(d.Tags, tagAdopted)) > 0 {
		return nil // nothing is changed on it
	}
	missing := p.missingTags(d, p.machine(d))
	if !hasTag(d.Tags, p.fence()) {
		missing = append([]string{p.fence()}, missing...)
	}
	for _, tag := range missing {
		if err == nil {
			err = p.attach(ctx, tag, d.ID)
		}
	}
	if err != nil {
		return fmt.Errorf("adjust machine %s: %w", clean(id), err)
	}
	return nil
}
