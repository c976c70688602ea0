package hosts

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

var _ fleet.Adopter = (*Provider)(nil)

// Candidates lists the hosts of the spec, with their addresses and without a word from
// their boxes, none of which need have a pinned host key yet. IDs and names narrow the
// list; hosts have no tags but their labels.
func (p *Provider) Candidates(ctx context.Context, c fleet.Candidates) ([]fleet.Machine, error) {
	if _, err := path.Match(c.Name, ""); err != nil {
		return nil, fmt.Errorf("candidates: name %q: %w", c.Name, err)
	}
	all := make([]fleet.Machine, len(p.cfg.Hosts))
	err := p.each(ctx, func(ctx context.Context, i int, h fleet.HostSpec) error {
		all[i] = p.machine(h)
		all[i].Fleet = ""
		var err error
		if all[i].Addrs, err = p.addrs(ctx, h); err != nil {
			all[i].Problem = err.Error()
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("candidates: %w", err)
	}
	slices.SortFunc(all, func(a, b fleet.Machine) int { return strings.Compare(a.ID, b.ID) })
	return slices.DeleteFunc(all, func(m fleet.Machine) bool {
		named, _ := path.Match(c.Name, m.Name) // the pattern is well formed
		return c.Name != "" && !named || c.Tag != "" && !slices.Contains(m.Labels, c.Tag) || len(c.IDs) > 0 && !slices.Contains(c.IDs, m.ID)
	}), nil
}

// Adopt claims a host for the fleet and marks its relay adopted. Marks of the fleet's name
// without its ID get that, and no more. Node and state directory are those of its entry,
// whatever a says.
func (p *Provider) Adopt(ctx context.Context, a fleet.Adoption) error {
	return wrap("adopt host "+a.ID, p.edit(ctx, a.ID, p.claimable, func(to *marks) {
		if to.Fleet == "" {
			to.Adopted = true
		}
	}))
}

// Release takes the fleet's marks off a host.
func (p *Provider) Release(ctx context.Context, machine string) error {
	m, err := p.reach(ctx, machine)
	if err != nil {
		return wrap("release host", err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	return wrap("release host "+machine, p.forget(ctx, m))
}
