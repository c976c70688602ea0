package dotest

import (
	"context"
	"log/slog"
	"net/netip"
)

// Machine is what a droplet was ordered as.
type Machine struct {
	ID         int
	Name       string
	Region     string
	Size       string
	Image      string
	UserData   string
	Tags       []string
	PublicKeys []string // of the account keys that the create named, as authorized_keys lines
}

// Boxes are the machines behind the droplets. Methods may be called at once for different
// droplets; for one droplet they are called one after the other. An ID is booted once.
type Boxes interface {
	// Boot makes the machine, switches it on and returns its addresses. The droplet is
	// active when it returns, or gone if it fails: then nothing of the machine may be
	// left. The context ends when the droplet is deleted meanwhile.
	Boot(ctx context.Context, m Machine) ([]netip.Addr, error)
	// PowerOff pulls the plug. The disk stays. A machine that is off stays off.
	PowerOff(ctx context.Context, id int) error
	// PowerOn switches the machine on with the disk that it has.
	PowerOn(ctx context.Context, id int) error
	// Destroy removes machine and disk. One that is unknown or gone is no error.
	Destroy(ctx context.Context, id int) error
}

// booting orders the machine of a new droplet; without boxes it is there at once.
func (c *Cloud) booting(ctx context.Context, t *team, d *droplet) {
	if c.cfg.Boxes == nil || d.how == Misplaced {
		d.booted = d.how != Misplaced
		if d.booted {
			d.addrs = c.addresses(t, d)
		}
		return
	}
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	m := d.machine()
	c.later(d, func() {
		addrs, err := c.cfg.Boxes.Boot(ctx, m)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.cfg.Log.WarnContext(ctx, "box did not boot", slog.Int("droplet", d.ID), slog.Any("error", err))
			d.lost = true
			return
		}
		d.booted, d.addrs = true, addrs
	})
}

// switching turns the machine of a droplet off, on, or off and on again.
func (c *Cloud) switching(ctx context.Context, d *droplet, a *action) {
	off, on := a.switches()
	if c.cfg.Boxes == nil || d.bare {
		a.done = true
		return
	}
	ctx = context.WithoutCancel(ctx)
	c.later(d, func() {
		var err error
		if off {
			err = c.cfg.Boxes.PowerOff(ctx, d.ID)
		}
		if on && err == nil {
			err = c.cfg.Boxes.PowerOn(ctx, d.ID)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.cfg.Log.WarnContext(ctx, "box was not switched", slog.Int("droplet", d.ID), slog.Any("error", err))
		}
		a.done, a.failed = true, err != nil
	})
}

// destroy removes the machine of a droplet and reports how that ended. If it could not be
// removed, the droplet lives on.
func (c *Cloud) destroy(ctx context.Context, d *droplet) <-chan error {
	ended := make(chan error, 1)
	if c.cfg.Boxes == nil || d.bare || d.lost {
		d.destroyed = true
		ended <- nil
		return ended
	}
	if d.cancel != nil {
		d.cancel()
	}
	ctx = context.WithoutCancel(ctx)
	c.later(d, func() {
		err := c.cfg.Boxes.Destroy(ctx, d.ID)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.cfg.Log.WarnContext(ctx, "box was not destroyed", slog.Int("droplet", d.ID), slog.Any("error", err))
			d.doomed = false
		}
		d.destroyed = err == nil
		ended <- err
	})
	return ended
}

// later runs a call of Boxes after those of the same droplet that were asked for before.
func (c *Cloud) later(d *droplet, f func()) {
	before, mine := d.last, make(chan struct{})
	d.last = mine
	c.wg.Go(func() {
		defer close(mine)
		if before != nil {
			<-before
		}
		f()
	})
}
