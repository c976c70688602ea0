package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
)

// Delete removes a droplet, by its ID, and returns when the API does not find it any more:
// an answer that it is being removed proves nothing, and so it is asked for again each
// minute as long as the droplet is there. A droplet that is not tagged ours, or
// that was adopted and not taken over, is not deleted; that is an error.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if err := p.delete(ctx, id); err != nil {
		return fmt.Errorf("delete machine %s: %w", clean(id), err)
	}
	return nil
}

func (p *Provider) delete(ctx context.Context, id string) error {
	d, err := p.own(ctx, id)
	switch {
	case errors.Is(err, fleet.ErrNoMachine):
		return nil
	case err != nil:
		return err
	case len(valuesOf(d.Tags, tagAdopted)) > 0:
		return fleet.WithHint(fmt.Errorf("droplet %d was adopted and not taken over", d.ID), "give it back with `fleetctl release`, and delete it at DigitalOcean")
	}
	note := p.goneTag(d.Tags)
	if note != "" {
		if err := p.ensureTag(ctx, note); err != nil {
			return err
		}
	}
	if err := p.remove(ctx, d.ID); err != nil {
		return err
	}
	if err := p.untilGone(ctx, d.ID); err != nil {
		return err
	}
	if err := p.removeOwn(ctx, d.ID, d.Tags); err != nil {
		return err
	}
	if err := p.removeShared(ctx, p.sharedTags(d.Tags)); err != nil || note == "" {
		return err
	}
	return p.removeTag(ctx, note)
}

// untilGone waits until a deleted droplet is not found. One that stays is asked to go again
// now and then: a delete may be accepted and not done. It is the same droplet, as an ID is
// never given twice, unless it is no longer tagged ours.
func (p *Provider) untilGone(ctx context.Context, id int) error {
	begin := time.Now()
	deadline, cancel := context.WithTimeout(ctx, p.cfg.Waits.Gone)
	defer cancel()
	asked, refused := begin, error(nil)
	w := p.watching(id)
	look := func(ctx context.Context) (godo.Droplet, error) { return p.get(ctx, id) } // at once, and then with all who wait
	for ; ; look = w.look {
		d, err := look(deadline)
		switch {
		case errors.Is(err, fleet.ErrNoMachine):
			return nil
		case err != nil && ctx.Err() == nil && deadline.Err() != nil:
			return livesOn(begin, refused)
		case err != nil:
			return err
		}
		if whose, err := p.whose(d); err != nil || whose != ours || len(valuesOf(d.Tags, tagAdopted)) > 0 || time.Since(asked) < p.cfg.Waits.Again {
			continue
		}
		p.log.WarnContext(ctx, "a deleted droplet is still there: deleting it again", slog.Int("droplet", id), slog.Duration("after", took(begin)))
		asked = time.Now()
		if err := p.remove(deadline, id); deadline.Err() == nil {
			refused = err
		}
	}
}

// remove asks for a droplet to be deleted. One that is gone is no error.
func (p *Provider) remove(ctx context.Context, id int) error {
	err := p.must(ctx, func(ctx context.Context) (*godo.Response, error) { return p.api.Droplets.Delete(ctx, id) })
	if is(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// livesOn is the error of a droplet whose delete was accepted and not done. Refused is the
// answer when it was last asked for again.
func livesOn(begin time.Time, refused error) error {
	err := fmt.Errorf("the delete was accepted, and after %s the droplet is still there, and is paid for", took(begin))
	if refused != nil {
		err = fmt.Errorf("%w; asked for again: %w", err, refused)
	}
	return fleet.WithHint(err, "run the same command again; if that does not help, delete it at DigitalOcean")
}

// goneTag notes the tags that a droplet may leave, so that somebody can remove them when it
// is gone: fleet:NAME:gone:op:…:hostkey:…. It is "" if there are none.
func (p *Provider) goneTag(tags []string) string {
	leaves := append(ownTags(tags), p.sharedTags(tags)...)
	if len(leaves) == 0 {
		return ""
	}
	note := tagFleet + p.spec.Name + goneNote + leaves[0]
	for _, t := range leaves[1:] {
		if len(note)+1+len(t) <= mostTag { // there is room for an operation and two host keys
			note += ":" + t
		}
	}
	return note
}

// noted are the tags that a note names.
func (p *Provider) noted(note string) []string {
	prefix := tagFleet + p.spec.Name + goneNote
	if !hasKind(note, prefix) {
		return nil
	}
	var out []string
	words := strings.Split(strings.ToLower(note[len(prefix):]), ":")
	for pair := range slices.Chunk(words, 2) {
		if kind := pair[0] + ":"; len(pair) == 2 && slices.Contains([]string{tagOp, tagHostKey, tagSlot, tagState, tagCached}, kind) && pair[1] != "" {
			out = append(out, kind+pair[1])
		}
	}
	return out
}

// ownTags are those that are one droplet's: an operation made one droplet, and a host key
// is one box's. An order that was carried out twice is the exception.
func ownTags(tags []string) []string {
	var out []string
	for _, kind := range []string{tagOp, tagHostKey} {
		for _, v := range valuesOf(tags, kind) {
			out = append(out, kind+v)
		}
	}
	return out
}

// removeOwn removes the tags that were a droplet's alone. Those that another droplet has,
// too, stay: without them it could not be reached any more.
func (p *Provider) removeOwn(ctx context.Context, id int, tags []string) error {
	own := ownTags(tags)
	if len(own) == 0 {
		return nil
	}
	listed, err := p.tagged(ctx)
	if err != nil {
		return err
	}
	for _, t := range own {
		if slices.ContainsFunc(listed, func(d godo.Droplet) bool { return d.ID != id && hasTag(d.Tags, t) }) {
			continue
		}
		if err := p.removeTag(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// sharedTags are those that droplets of other fleets may carry, too, and that nobody looks
// for once the droplet is gone: of a node that the spec does not have any more, of a
// state directory and of a time. Those of the spec's nodes are left to Cleanup.
func (p *Provider) sharedTags(tags []string) []string {
	var out []string
	for _, node := range valuesOf(tags, tagSlot) {
		if !slices.ContainsFunc(p.spec.Slots(), func(s fleet.Slot) bool { return s.Node == node }) {
			out = append(out, tagSlot+node)
		}
	}
	for _, kind := range []string{tagState, tagCached} {
		for _, v := range valuesOf(tags, kind) {
			out = append(out, kind+v)
		}
	}
	return out
}

// removeShared removes tags unless something carries them.
func (p *Provider) removeShared(ctx context.Context, tags []string) error {
	for _, t := range tags {
		if err := p.removeUnused(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
