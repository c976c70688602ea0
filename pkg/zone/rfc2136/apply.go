package rfc2136

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// awaitEvery is how often a server that does not show an update yet is asked again.
const awaitEvery = 100 * time.Millisecond

// Apply implements [dnsaddr.Zone]. The names of a message change at once, and a thousand
// relays are a handful of messages. After [ErrConflict] or an update without an answer the
// changes are planned anew from what is there then, once.
func (z *Zone) Apply(ctx context.Context, entry string, c dnsaddr.Changes) error {
	entry = strings.ToLower(entry)
	if err := dnsaddr.CheckChanges(entry, c, z.Limits()); err != nil {
		return fmt.Errorf("%s: apply: %w", entry, err)
	}
	if c.Empty() {
		return nil
	}
	select {
	case z.writing <- struct{}{}:
		defer func() { <-z.writing }()
	case <-ctx.Done():
		return fmt.Errorf("%s: apply: %w", entry, ctx.Err())
	}
	err := z.try(ctx, entry, c)
	if overtaken(err) || doubtful(err) && ctx.Err() == nil {
		z.log.WarnContext(ctx, "changes are planned anew", slog.String("at", entry), slog.Any("because", err))
		err = z.try(ctx, entry, c)
	}
	if err != nil {
		return fmt.Errorf("%s: apply: %w", entry, meaning(err, z.zoneName(), plain(z.keyName)))
	}
	return nil
}

// zoneName is the zone's name, as far as it is known.
func (z *Zone) zoneName() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.top
}

// try reads, plans and carries out.
func (z *Zone) try(ctx context.Context, entry string, c dnsaddr.Changes) error {
	v, err := z.read(ctx, entry, namesOf(entry, c))
	if err != nil {
		return err
	}
	p, err := newPlan(v, c, func() string { return ulid.Make().String() })
	if err != nil {
		return err
	}
	for _, s := range []stage{p.adding, p.removing} {
		if v, err = z.carryOut(ctx, v, s); err != nil {
			return err
		}
	}
	return nil
}

// namesOf are the names that changes are for, the entry name aside.
func namesOf(entry string, c dnsaddr.Changes) []string {
	var names []string
	for _, r := range slices.Concat(c.Add, c.Update, c.Remove) {
		if name := nameOf(entry, r); name != entry {
			names = append(names, name)
		}
	}
	return names
}

// carryOut sends the messages of a stage, and returns what stands there when the server
// answers with it.
func (z *Zone) carryOut(ctx context.Context, v view, s stage) (view, error) {
	if len(s) == 0 {
		return v, nil
	}
	before, zone := v, z.zoneName()
	var names []string
	for _, u := range updates(v, s) {
		if err := z.update(ctx, zone, u); err != nil {
			return v, err
		}
		z.log.DebugContext(ctx, "zone updated", slog.String("zone", zone), slog.Any("names", u.names))
		v, names = u.after, append(names, u.names...)
	}
	slices.Sort(names)
	return v, z.await(ctx, slices.Compact(names), before, v)
}

// await returns when the server answers for names with what stands in after, or with
// what somebody wrote after that.
func (z *Zone) await(ctx context.Context, names []string, before, after view) error {
	limit, cancel := context.WithTimeout(ctx, z.cfg.Waits.Visible)
	defer cancel()
	for {
		found, err := z.places(limit, names)
		missing := ""
		for _, name := range names {
			if !shown(before.places[name], after.places[name], found[name]) {
				missing = name
			}
		}
		if err == nil && missing == "" {
			return nil
		}
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("read what was written: %w", err)
			}
			return again(fmt.Errorf("%w: it took the update of %s, and does not answer with it", dnsaddr.ErrNotSeen, missing))
		case <-time.After(awaitEvery):
		}
	}
}

// shown reports whether a server that has got answers after the change from before to
// after. What is neither of the two was written later.
func shown(before, after, got place) bool {
	is := func(before, after, got set) bool { return got.same(after) || !got.sameData(before) }
	after.marks.ttl = got.marks.ttl
	return is(before.values, after.values, got.values) && is(before.marks, after.marks, got.marks)
}
