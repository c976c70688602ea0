package main

import (
	"context"
	"fmt"
	"os"
	"reflect"

	"github.com/relayfleet/fleetctl/pkg/history"
)

// follow goes on with fleet.yaml and with the history as they are now. A fleet.yaml that
// cannot be used is told of once, and the fleet is collected as it was described before.
// It is an error if there is no history to write to.
func (c *collector) follow(ctx context.Context) error {
	a := c.session.app
	news, err := c.takeUp(ctx)
	switch {
	case err == nil:
		c.told = ""
		if news != "" {
			a.say("%s", news)
		}
		return nil
	case c.gone():
		return err
	}
	if told := err.Error(); told != c.told {
		c.told = told
		a.warn(fmt.Errorf("%s as it is now is of no use, and the fleet is collected as before: %w", a.globals.config, err))
	}
	return nil
}

// takeUp makes the collector one of what is described now; news is what is another way.
func (c *collector) takeUp(ctx context.Context) (news string, err error) {
	a := c.session.app
	spec, err := a.loadSpec()
	if err != nil {
		return "", err
	}
	switch before := c.session.spec; {
	case c.gone():
		// Nobody will ever read it, and its lock may keep us from the next one.
		if err := c.store.Close(); err != nil {
			return "", err
		}
		return "the history is a new one", c.become(a.collector(ctx, c.wait))
	case spec.Name != before.Name:
		return "collecting fleet " + spec.Name + " from now on", c.become(a.collector(ctx, c.wait))
	case reflect.DeepEqual(spec, before):
		return "", nil
	}
	next, err := a.connect(spec, c.session.dir, "", c.session.command)
	if err != nil {
		return "", err
	}
	err = c.session.close()
	c.session = next
	return a.globals.config + " has changed: collecting as it says now", err
}

// become takes the place of another collector, which is closed.
func (c *collector) become(next *collector, err error) error {
	if err != nil {
		return err
	}
	err = c.close()
	*c = *next
	return err
}

// gone reports whether the history is not where it was opened, as after 'fleetctl down'.
func (c *collector) gone() bool {
	now, err := os.Stat(c.session.dir.Join(history.FileName))
	return err != nil || !os.SameFile(now, c.file)
}
