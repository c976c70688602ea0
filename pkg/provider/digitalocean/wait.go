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

// absences is how often in a row a droplet that is waited for must not be found before it
// is believed to be gone.
const absences = 2

// watch looks at one droplet again and again, in lists that all waits of a provider share.
// Each look is at a later list than the one before.
type watch struct {
	p    *Provider
	id   int
	seen time.Time // when the list of the last look began
}

// watching looks at a droplet from now on.
func (p *Provider) watching(id int) *watch { return &watch{p: p, id: id, seen: time.Now()} }

// listed looks for the droplet in a list and reports whether it is there: not if its tags
// are late, or if it is gone.
func (w *watch) listed(ctx context.Context) (d godo.Droplet, found bool, err error) {
	all, began, err := w.p.polling.next(ctx, w.p.cfg.Waits.Poll, w.seen, w.p.listTagged)
	if err != nil {
		return d, false, err
	}
	w.seen = began
	i := slices.IndexFunc(all, func(d godo.Droplet) bool { return d.ID == w.id })
	if i < 0 {
		return d, false, nil
	}
	return all[i], true, nil
}

// look looks for the droplet in a list, and reads it by itself if it is not there.
func (w *watch) look(ctx context.Context) (godo.Droplet, error) {
	d, found, err := w.listed(ctx)
	if err != nil || found {
		return d, err
	}
	return w.p.get(ctx, w.id)
}

// untilReady waits until a droplet is active, has an address and shows its tags.
func (p *Provider) untilReady(ctx context.Context, n fleet.NewMachine, id int, tags []string) (godo.Droplet, error) {
	begin := time.Now()
	deadline, cancel := context.WithTimeout(ctx, p.cfg.Waits.Ready)
	defer cancel()
	var last godo.Droplet
	absent := 0
	waiting := waitActive
	n.Waiting(waiting)
	w := p.watching(id)
	if err := pause(ctx, p.cfg.Waits.First); err != nil {
		return last, err
	}
	look := w.listed // at first its tags may be late
	for {
		n.Waiting(waiting)
		d, found, err := look(deadline)
		if err == nil && !found {
			look = func(ctx context.Context) (godo.Droplet, bool, error) {
				d, err := w.look(ctx)
				return d, true, err
			}
			continue
		}
		switch {
		case errors.Is(err, fleet.ErrNoMachine):
			if absent++; absent == absences {
				return last, p.vanished(ctx, id, tags)
			}
			continue
		case err != nil && ctx.Err() == nil && deadline.Err() != nil:
			return last, tooLong(waiting, last, id, begin)
		case err != nil:
			return last, err
		}
		last, absent = d, 0
		if statusOf(d) == fleet.StatusStopped {
			return last, fmt.Errorf("droplet %d is %s", id, clean(d.Status))
		}
		if statusOf(d) != fleet.StatusRunning {
			continue
		}
		missing := slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return hasTag(d.Tags, t) })
		if len(missing) == 0 {
			return d, nil
		}
		waiting = waitMarks
		if time.Since(begin) < p.cfg.Waits.Marks {
			continue
		}
		for _, tag := range missing {
			if err := p.attach(deadline, tag, id); err != nil {
				return last, err
			}
		}
	}
}

// tooLong is the error of a droplet that did not become what was waited for.
func tooLong(waiting string, last godo.Droplet, id int, begin time.Time) error {
	state := "not listed"
	if last.ID != 0 {
		state = fmt.Sprintf("%q", clean(last.Status))
	}
	return fleet.WithHint(fmt.Errorf("%s: droplet %d is %s after %s", waiting, id, state, took(begin)),
		"run the same command again to go on waiting, or delete the droplet at DigitalOcean and run it then")
}

// vanished is the error of a droplet that was ordered and could not be placed. What the
// account keeps for it goes.
func (p *Provider) vanished(ctx context.Context, id int, tags []string) error {
	err := fleet.WithHint(fmt.Errorf("droplet %d was accepted and then could not be placed: the API does not find it any more", id),
		"run the same command again, or ask for another region")
	return errors.Join(err, p.removeOwn(ctx, id, tags))
}

// Start switches a droplet on and returns when it runs.
func (p *Provider) Start(ctx context.Context, id string) error {
	if err := p.start(ctx, id); err != nil {
		return fmt.Errorf("start machine %s: %w", clean(id), err)
	}
	return nil
}

func (p *Provider) start(ctx context.Context, id string) error {
	d, err := p.own(ctx, id)
	if err != nil || statusOf(d) == fleet.StatusRunning {
		return err
	}
	begin := time.Now()
	deadline, cancel := context.WithTimeout(ctx, p.cfg.Waits.Ready)
	defer cancel()
	if d.Status == "off" {
		if err := p.powerOn(deadline, d.ID); err != nil {
			return err
		}
	}
	for w := p.watching(d.ID); ; {
		d, err = w.look(deadline)
		switch {
		case err != nil && ctx.Err() == nil && deadline.Err() != nil:
			return tooLong(waitActive, d, d.ID, begin)
		case err != nil:
			return err
		case d.Status == "archive":
			return fmt.Errorf("droplet %d is archived", d.ID)
		case statusOf(d) == fleet.StatusRunning:
			return nil
		}
	}
}

// powerOn asks for a droplet that is off to be switched on. To ask twice does no harm.
func (p *Provider) powerOn(ctx context.Context, id int) error {
	err := p.again(ctx, func(ctx context.Context) error {
		_, _, err := do(ctx, p, func(ctx context.Context) (*godo.Action, *godo.Response, error) {
			return p.api.DropletActions.PowerOn(ctx, id)
		})
		return err
	})
	if says(err, "already powered on") || says(err, "pending event") {
		return nil
	}
	return err
}
