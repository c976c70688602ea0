package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// The kinds of our tags, each with what follows it.
const (
	tagFleet   = "fleet:"
	tagFleetID = "fleetid:"
	tagFence   = "fence:" // and the fleet's name: the firewall is before what carries it
	tagSlot    = "slot:"
	tagOp      = "op:"
	tagPhase   = "phase:"
	tagHostKey = "hostkey:"
	tagAdopted = "adopted:"
	tagState   = "state:"
	tagCached  = "cached:"

	goneNote = ":gone:" // after the fleet's tag: what to remove when a droplet is gone
)

// stateRoot is where the state directories are that a tag can name.
const stateRoot = "/var/lib/"

// kinds lists them all.
func kinds() []string {
	return []string{tagFleet, tagFleetID, tagFence, tagSlot, tagOp, tagPhase, tagHostKey, tagAdopted, tagState, tagCached}
}

// isOurs reports whether a tag is of our kinds, whichever fleet's.
func isOurs(tag string) bool {
	return slices.ContainsFunc(kinds(), func(kind string) bool { return hasKind(tag, kind) })
}

// hasKind compares without case: the account keeps the case in which a tag was first used.
func hasKind(tag, kind string) bool {
	return len(tag) > len(kind) && strings.EqualFold(tag[:len(kind)], kind)
}

// valuesOf lists what follows a kind in a droplet's tags: lower case, sorted, each once.
func valuesOf(tags []string, kind string) []string {
	var out []string
	for _, t := range tags {
		if hasKind(t, kind) {
			out = append(out, strings.ToLower(t[len(kind):]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hasTag compares without case.
func hasTag(tags []string, tag string) bool {
	return slices.ContainsFunc(tags, func(t string) bool { return strings.EqualFold(t, tag) })
}

// phases lists the phases that a tag can say, from the first to the last.
func phases() []fleet.Phase {
	return []fleet.Phase{fleet.PhaseOutgoing, fleet.PhaseDraining, fleet.PhaseDoomed}
}

// marking is how a mark stands in tags.
type marking struct {
	mark, kind string
	values     func(mark string) ([]string, error) // of the tags, in lower case
}

// markings is the table of the marks that [Provider.Mark] accepts.
func markings() []marking {
	return []marking{
		{fleet.MarkPhase, tagPhase, phaseValues},
		{fleet.MarkHostKey, tagHostKey, hostKeyValues},
		{fleet.MarkAdopted, tagAdopted, func(v string) ([]string, error) {
			if v != "yes" {
				return nil, fmt.Errorf("mark %s is %q: want yes", fleet.MarkAdopted, v)
			}
			return []string{v}, nil
		}},
		{fleet.MarkCached, tagCached, func(v string) ([]string, error) {
			_, err := fleet.ParseCached(v)
			return []string{v}, err
		}},
	}
}

// cachedUntil is the latest time of a droplet's tags, zero if there is none, and
// [fleet.UnreadCached] if one of them is no time.
func cachedUntil(tags []string) (latest time.Time) {
	for _, v := range valuesOf(tags, tagCached) {
		at, err := fleet.ParseCached(v)
		if err != nil {
			at = fleet.UnreadCached()
		}
		if at.After(latest) {
			latest = at
		}
	}
	return latest
}

func phaseValues(v string) ([]string, error) {
	if !slices.Contains(phases(), fleet.Phase(v)) {
		return nil, fmt.Errorf("mark %s is %q: no such phase", fleet.MarkPhase, v)
	}
	return []string{v}, nil
}

func hostKeyValues(keys string) ([]string, error) {
	var out []string
	for line := range strings.Lines(keys) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		hex, err := sshx.EncodeHostKeyMark(line)
		if err != nil {
			return nil, err
		}
		out = append(out, hex)
	}
	if len(out) == 0 {
		return nil, errors.New("host key mark: empty")
	}
	return out, nil
}

// hostKeys are the keys of a droplet's tags, in authorized_keys form with newlines between
// them. What is no key is left out.
func hostKeys(tags []string) string {
	var lines []string
	for _, hex := range valuesOf(tags, tagHostKey) {
		if line, err := sshx.DecodeHostKeyMark(hex); err == nil {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// mostTag is how long a tag may be, and tagName what it may hold.
const mostTag = 255

var tagName = regexp.MustCompile(`^[a-zA-Z0-9_:-]+$`)

var stateName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// stateTag is the tag of a state directory, which is directly below /var/lib.
func stateTag(dir string) (string, error) {
	name := path.Base(dir)
	if dir != stateRoot+name || !stateName.MatchString(name) {
		return "", fmt.Errorf("state directory %q: want %s and a name of a-z, 0-9, _ and -", dir, stateRoot)
	}
	return tagState + name, nil
}

// known is a tag as the account writes it.
func (p *Provider) known(tag string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if as, ok := p.canon[strings.ToLower(tag)]; ok {
		return as
	}
	return tag
}

// learn notes how the account writes tags.
func (p *Provider) learn(tags ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range tags {
		p.canon[strings.ToLower(t)] = t
	}
}

// ensureTag makes a tag, and learns how the account writes it.
func (p *Provider) ensureTag(ctx context.Context, tag string) error {
	err := p.again(ctx, func(ctx context.Context) error {
		made, _, err := do(ctx, p, func(ctx context.Context) (*godo.Tag, *godo.Response, error) {
			return p.api.Tags.Create(ctx, &godo.TagCreateRequest{Name: tag})
		})
		if err == nil && made != nil && made.Name != "" {
			p.learn(made.Name)
		}
		if is(err, http.StatusUnprocessableEntity, http.StatusConflict) {
			if _, there, lookErr := p.tag(ctx, tag); lookErr == nil && there {
				return nil
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("make tag %s: %w", tag, err)
	}
	return nil
}

// tag reads a tag: on how many resources it is, and whether it exists.
func (p *Provider) tag(ctx context.Context, tag string) (count int, there bool, err error) {
	t, _, err := do(ctx, p, func(ctx context.Context) (*godo.Tag, *godo.Response, error) {
		return p.api.Tags.Get(ctx, p.known(tag))
	})
	switch {
	case is(err, http.StatusNotFound):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("read tag %s: %w", tag, err)
	case t == nil || t.Resources == nil:
		return 0, false, fmt.Errorf("read tag %s: the answer does not say what it is on", tag)
	}
	p.learn(t.Name)
	return t.Resources.Count, true, nil
}

// attach puts a tag on droplets.
func (p *Provider) attach(ctx context.Context, tag string, ids ...int) error {
	on := make([]godo.Resource, len(ids))
	for i, id := range ids {
		on[i] = godo.Resource{ID: strconv.Itoa(id), Type: godo.DropletResourceType}
	}
	var err error
	for range 2 { // somebody who cleans up may remove the tag while it is on nothing yet
		if err = p.ensureTag(ctx, tag); err != nil {
			return err
		}
		err = p.again(ctx, func(ctx context.Context) error {
			return p.must(ctx, func(ctx context.Context) (*godo.Response, error) {
				return p.api.Tags.TagResources(ctx, p.known(tag), &godo.TagResourcesRequest{Resources: on})
			})
		})
		if !is(err, http.StatusNotFound) {
			break
		}
	}
	if is(err, http.StatusNotFound) { // the tag is there: it is the droplet that is not
		err = fmt.Errorf("%w: %w", fleet.ErrNoMachine, err)
	}
	if err != nil {
		return fmt.Errorf("put tag %s on droplet %s: %w", tag, strings.Trim(fmt.Sprint(ids), "[]"), err)
	}
	return nil
}

// detach takes a tag off a droplet. One that is not on it succeeds.
func (p *Provider) detach(ctx context.Context, id int, tag string) error {
	off := []godo.Resource{{ID: strconv.Itoa(id), Type: godo.DropletResourceType}}
	err := p.must(ctx, func(ctx context.Context) (*godo.Response, error) {
		return p.api.Tags.UntagResources(ctx, p.known(tag), &godo.UntagResourcesRequest{Resources: off})
	})
	if err != nil && !is(err, http.StatusNotFound) {
		return fmt.Errorf("take tag %s off droplet %d: %w", tag, id, err)
	}
	return nil
}

// removeTag removes a tag from the account, and so from all that carries it.
func (p *Provider) removeTag(ctx context.Context, tag string) error {
	err := p.must(ctx, func(ctx context.Context) (*godo.Response, error) { return p.api.Tags.Delete(ctx, p.known(tag)) })
	if err != nil && !is(err, http.StatusNotFound) {
		return fmt.Errorf("remove tag %s: %w", tag, err)
	}
	return nil
}

// removeUnused removes a tag that is on nothing.
func (p *Provider) removeUnused(ctx context.Context, tag string) error {
	count, there, err := p.tag(ctx, tag)
	if err != nil || !there || count > 0 {
		return err
	}
	return p.removeTag(ctx, tag)
}
