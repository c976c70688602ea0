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

// Select says which droplets of the account are meant. All of what is set has to hold;
// nothing set selects nothing.
type Select struct {
	Tag  string   // that they have
	Name string   // a pattern of [path.Match] for their name
	IDs  []string // theirs
}

// Candidates lists droplets that no fleet has, sorted by ID, as the machines that they
// would be: adopted ones without a node. It changes nothing. An ID that is not on the
// account, or belongs to a fleet, is an error.
func (p *Provider) Candidates(ctx context.Context, s Select) ([]fleet.Machine, error) {
	found, err := p.candidates(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("look for droplets to adopt: %w", err)
	}
	return found, nil
}

func (p *Provider) candidates(ctx context.Context, s Select) ([]fleet.Machine, error) {
	if s.Tag == "" && s.Name == "" && len(s.IDs) == 0 {
		return nil, errors.New("a tag, a name or IDs are needed")
	}
	if _, err := path.Match(s.Name, ""); err != nil {
		return nil, fmt.Errorf("name %q: %w", s.Name, err)
	}
	all, err := p.droplets(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range s.IDs {
		i := slices.IndexFunc(all, func(d godo.Droplet) bool { return strconv.Itoa(d.ID) == id })
		if i < 0 {
			return nil, fmt.Errorf("droplet %s: %w", clean(id), fleet.ErrNoMachine)
		}
		if names := valuesOf(all[i].Tags, tagFleet); len(names) > 0 {
			return nil, fmt.Errorf("droplet %s belongs to the fleet %s", id, clean(strings.Join(names, ", ")))
		}
	}
	out := []fleet.Machine{}
	for _, d := range all {
		named, _ := path.Match(s.Name, d.Name) // the pattern was checked
		switch {
		case len(valuesOf(d.Tags, tagFleet)) > 0,
			s.Tag != "" && !hasTag(d.Tags, s.Tag),
			s.Name != "" && !named,
			len(s.IDs) > 0 && !slices.Contains(s.IDs, strconv.Itoa(d.ID)):
			continue
		}
		m := p.machine(d)
		m.Fleet, m.Node, m.Unmarked, m.Adopted, m.Drift = "", "", false, true, nil
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b fleet.Machine) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Adopt makes a droplet that others made a machine of the fleet, one that is watched and
// published and never changed. hostKey is its SSH host key in authorized_keys form; one
// that is not Ed25519 does not fit into a tag and is left to the pins of whoever adopts.
// State is the relay's state directory, directly below /var/lib; "" is the usual one of
// older tooling. Nothing is done on the box. Doing it again is no error; a droplet of
// another fleet is one.
func (p *Provider) Adopt(ctx context.Context, id, node, hostKey, state string) error {
	if err := p.adopt(ctx, id, node, hostKey, state); err != nil {
		return fmt.Errorf("adopt droplet %s as %s: %w", clean(id), clean(node), err)
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
		return fmt.Errorf("it belongs to the fleet %s", clean(strings.Join(valuesOf(d.Tags, tagFleet), ", ")))
	case whose == ours && len(valuesOf(d.Tags, tagAdopted)) == 0:
		return errors.New("it is a machine of this fleet already")
	}
	for _, other := range valuesOf(d.Tags, tagSlot) {
		if other != node {
			return fleet.WithHint(fmt.Errorf("it is tagged %s%s", tagSlot, clean(other)), "give it back with `fleetctl release` first")
		}
	}
	// The fleet's tag comes last: until then the droplet is nobody's.
	tags = append(tags, tagSlot+node)
	if p.spec.ID != "" {
		tags = append(tags, tagFleetID+p.spec.ID)
	}
	for _, t := range append(tags, tagFleet+p.spec.Name) {
		if hasTag(d.Tags, t) {
			continue
		}
		if err := p.attach(ctx, d.ID, t); err != nil {
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
		return fmt.Errorf("it belongs to the fleet %s", clean(strings.Join(valuesOf(d.Tags, tagFleet), ", ")))
	case whose == nobodys:
		return nil
	case p.nodeOf(d) != "":
		return fleet.WithHint(fmt.Errorf("its name %s is that of a machine of this fleet", clean(d.Name)),
			"rename the droplet at DigitalOcean, then release it; or delete it with fleetctl")
	}
	// The fleet's tag goes last, and adopted before it: without a slot nothing is done to it.
	for _, kind := range []string{tagSlot, tagPhase, tagState, tagFleetID, tagAdopted, tagFleet} {
		for _, v := range valuesOf(d.Tags, kind) {
			if err := p.detach(ctx, d.ID, kind+v); err != nil {
				return err
			}
			if kind == tagFleet || kind == tagFleetID {
				continue // the account's, until Cleanup
			}
			if err := p.removeUnused(ctx, kind+v); err != nil {
				return err
			}
		}
		if kind == tagSlot {
			if err := p.removeOwn(ctx, d.Tags); err != nil {
				return err
			}
		}
	}
	return nil
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
