package cloudflare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// Apply implements [dnsaddr.Zone]. Before the first write it checks what it is going to
// remove and change ([dnsaddr.ErrEdited]) and that the names and the zone take what is added
// ([dnsaddr.ErrFull]). A value that is at its name under another comment is
// [dnsaddr.ErrBadRecord]: Cloudflare holds it once.
func (z *Zone) Apply(ctx context.Context, entry string, c dnsaddr.Changes) error {
	select {
	case z.applying <- struct{}{}:
		defer func() { <-z.applying }()
	case <-ctx.Done():
		return fmt.Errorf("%s: apply: %w", entry, ctx.Err())
	}
	if err := z.apply(ctx, entry, c); err != nil {
		return fmt.Errorf("%s: apply: %w", entry, err)
	}
	return nil
}

func (z *Zone) apply(ctx context.Context, entry string, c dnsaddr.Changes) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkEntry(entry); err != nil {
		return err
	}
	if err := dnsaddr.CheckChanges(entry, c, z.Limits()); err != nil {
		return err
	}
	if c.Empty() {
		return nil
	}
	a, err := z.aim(ctx, entry)
	if err != nil {
		return err
	}
	l, known := z.lately(a.entry, c)
	if !known {
		if l, err = z.list(ctx, a.id, a.entry); err != nil {
			return err
		}
	}
	err = a.pass(ctx, l, c)
	var write *failedWrite
	if ctx.Err() != nil || !errors.As(err, &write) || !doubtful(err) && !overtaken(err) {
		return err
	}
	z.log.WarnContext(ctx, "a write has no certain result: looking at the zone again", slog.Any("error", err))
	if err := pause(ctx, z.settle); err != nil {
		return err
	}
	if l, err = z.list(ctx, a.id, a.entry); err != nil {
		return err
	}
	return a.pass(ctx, l, c)
}

// failedWrite is the error of a batch.
type failedWrite struct{ error }

func (f *failedWrite) Unwrap() error { return f.error }

// aim is where one Apply writes.
type aim struct {
	*Zone
	id      string
	entry   string
	sure    bool     // that the zone holds the entry name
	servers []string // the zone's own, host:port
}

// aim finds the zone and makes sure that it holds the name: the API would put a name from
// elsewhere below the zone's.
func (z *Zone) aim(ctx context.Context, entry string) (*aim, error) {
	h, sure, err := z.holding(ctx, entry)
	if err != nil {
		return nil, err
	}
	return &aim{Zone: z, id: h.ID, entry: strings.ToLower(entry), sure: sure, servers: h.servers()}, nil
}

// pass does what is still to do of the changes, given what is there.
func (a *aim) pass(ctx context.Context, l *listing, c dnsaddr.Changes) error {
	defer a.remember(nil)
	have := l.have
	p, err := planOf(a.entry, have, c)
	if err != nil {
		return err
	}
	a.sure = a.sure || len(have) > 0 // a zone does not hold names of another
	if err := l.takes(p.posts); err != nil {
		return err
	}
	if err := a.room(ctx, have, p); err != nil {
		return err
	}
	if err := a.lay(ctx, slices.Concat(p.posts, p.patches)); err != nil {
		return err
	}
	if len(p.posts)+len(p.patches) > 0 {
		if have, p, err = a.readBack(ctx, c); err != nil {
			return err
		}
	}
	listed := time.Now()
	want := wanted(a.entry, have, c, p.deletes)
	everywhere, err := a.see(ctx, want)
	if err != nil {
		return err
	}
	if len(p.deletes) > 0 && !everywhere {
		a.log.WarnContext(ctx, "not every name server of the zone says what it has: waiting before anything is removed", slog.Duration("for", a.spread))
		if err := pause(ctx, a.spread); err != nil {
			return err
		}
	}
	if len(p.deletes) > 0 && time.Since(listed) > fresh { // somebody may have made one of them his own
		if _, p, err = a.readBack(ctx, c); err != nil {
			return err
		}
	}
	for _, ops := range batches(p.deletes, mostOps) {
		if _, err := a.api.batch(ctx, a.id, ops); err != nil {
			return &failedWrite{fmt.Errorf("remove %s: %w", summary(ops), err)}
		}
	}
	return nil
}

// room checks that everything that is added has room, before the first write.
func (a *aim) room(ctx context.Context, have []stored, p plan) error {
	if len(p.posts) == 0 {
		return nil
	}
	if err := p.rooms(have); err != nil {
		return err
	}
	used, most, err := a.api.quota(ctx, a.id)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, dnsaddr.ErrFull):
		return err // the rate is used up
	case err != nil:
		// The API refuses a batch that has no room as a whole, and adds come first.
		a.log.WarnContext(ctx, "the zone's quota could not be read", slog.Any("error", err))
	case most >= 0 && used+len(p.posts) > most:
		return full(fmt.Errorf("the zone has %d of %d records, and %d are to be added", used, most, len(p.posts)))
	}
	return nil
}

// lay sends adds and updates. Where it is not sure that the zone is the right one, the
// first batch is one record, and where that went is looked at.
func (a *aim) lay(ctx context.Context, ops []op) error {
	first := mostOps
	if !a.sure && len(ops) > 0 && ops[0].do == doPost {
		first = 1
	}
	for _, ops := range batches(ops, first) {
		posted, err := a.api.batch(ctx, a.id, ops)
		if err != nil {
			return &failedWrite{fmt.Errorf("write %s: %w", summary(ops), err)}
		}
		for _, r := range posted {
			if r.Name != "" && !dnsaddr.OfFleet(a.entry, r.Name) {
				return fleet.WithHint(fmt.Errorf("the zone %s made of it %s (record %s)", a.id, clean(r.Name), clean(r.ID)),
					"the zone of dns.cloudflare.zone_id is not that of dns.domain: remove this record at Cloudflare and correct the ID")
			}
		}
	}
	return nil
}

// readBack lists the zone again and returns what is left to do, which is deletes alone.
func (a *aim) readBack(ctx context.Context, c dnsaddr.Changes) ([]stored, plan, error) {
	l, err := a.list(ctx, a.id, a.entry)
	if err != nil {
		return nil, plan{}, fmt.Errorf("read back: %w", err)
	}
	p, err := planOf(a.entry, l.have, c)
	if err != nil {
		return nil, plan{}, fmt.Errorf("read back: %w", err)
	}
	if missing := slices.Concat(p.posts, p.patches); len(missing) > 0 {
		return nil, plan{}, fleet.WithHint(fmt.Errorf("read back: %s not in the zone after it was written: nothing was removed", summary(missing)), againHint)
	}
	return l.have, p, nil
}

// summary names what operations are about.
func summary(ops []op) string {
	text := clean(ops[0].Value) + " at " + clean(cmp.Or(ops[0].Name, "the entry name"))
	if more := len(ops) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
