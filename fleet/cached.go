package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// witnesses is how many machines keep the note of a longer TTL: enough to outlive one that
// somebody deletes by hand. No run deletes one of them before the time in the note.
const witnesses = 3

// writeTakes is how long the write of a zone takes, at most, until its last name server
// follows. What took longer is noted again.
const writeTakes = time.Minute

// write applies changes to the zone. A TTL that leaves the zone with them, and is longer than
// the one of the spec, is noted on machines first: resolvers keep what they were given for
// as long as it said then, and afterwards nothing in the zone tells.
func (r *run) write(ctx context.Context, now []dnsaddr.Record, c dnsaddr.Changes) error {
	longest := longestOf(r.spec, now)
	if longest <= r.spec.DNS.TTL {
		return r.b.Zone.Apply(ctx, r.spec.DNS.RecordName(), c)
	}
	began := time.Now()
	if err := r.note(ctx, now, began.Add(longest+writeTakes)); err != nil {
		return err
	}
	err := r.b.Zone.Apply(ctx, r.spec.DNS.RecordName(), c)
	if took := time.Since(began); took > writeTakes && ctx.Err() == nil {
		err = errors.Join(err, r.note(ctx, now, began.Add(longest+took)))
	}
	return err
}

// note marks machines of ours whose relays are published with a time until which resolvers may
// keep answers. Where none may be marked, none could be deleted.
func (r *run) note(ctx context.Context, now []dnsaddr.Record, until time.Time) error {
	machines, err := r.machines(ctx)
	if err != nil {
		return err
	}
	for _, m := range witnessesOf(r.spec, machines, now) {
		if !m.CachedUntil.Before(until) {
			continue
		}
		if err := r.b.Provider.Mark(ctx, m.ID, map[string]string{MarkCached: FormatCached(until)}, nil); err != nil {
			return err
		}
	}
	return nil
}

// witnessesOf are the machines that keep a note: of nodes that are published, and those that
// hold their slot before those on their way out. One that drains is not waited for any more.
func witnessesOf(s Spec, machines []Machine, now []dnsaddr.Record) []Machine {
	published := make(map[string]bool)
	for _, rec := range now {
		if o, ok := rec.Owner(); ok && o.Fleet == s.Name {
			published[o.Relay] = true
		}
	}
	fit := slices.DeleteFunc(slices.Clone(machines), func(m Machine) bool {
		return m.untouchable() || !published[m.Node] || m.Phase != PhaseActive && m.Phase != PhaseOutgoing
	})
	slices.SortStableFunc(fit, func(a, b Machine) int { return strings.Compare(string(a.Phase), string(b.Phase)) })
	return fit[:min(len(fit), witnesses)]
}

// longestOf is the longest TTL that a record of ours has, and the spec's if that is longer.
func longestOf(s Spec, records []dnsaddr.Record) time.Duration {
	longest := s.DNS.TTL
	for _, rec := range records {
		if o, ours := rec.Owner(); ours && o.Fleet == s.Name {
			longest = max(longest, rec.TTL)
		}
	}
	return longest
}

// cached is how long a resolver may keep a record of ours that it has seen, and why. Any
// machine's note counts for all: one TTL was lowered for all of them.
func (p *planner) cached() (d time.Duration, why string) {
	d, why = longestOf(p.spec, p.owned), "resolvers keep its record for a TTL"
	for _, m := range p.state.Machines.Value {
		left := m.CachedUntil.Sub(p.state.At)
		if left = (left + time.Second - 1).Truncate(time.Second); left > d {
			d, why = left, "resolvers may keep its record since before dns.ttl was lowered, until "+m.CachedUntil.UTC().Format(time.RFC3339)
		}
	}
	return d, why
}

// FormatCached is the text of [MarkCached]: seconds since 1970, rounded up.
func FormatCached(until time.Time) string {
	return strconv.FormatInt(until.Add(time.Second-1).Unix(), 10)
}

// ParseCached undoes [FormatCached].
func ParseCached(text string) (time.Time, error) {
	const most = 11 // digits: some three thousand years
	secs, err := strconv.ParseInt(text, 10, 64)
	if err != nil || secs <= 0 || len(text) > most {
		return time.Time{}, fmt.Errorf("mark %s is %.20q: want seconds since 1970", MarkCached, text)
	}
	return time.Unix(secs, 0).UTC(), nil
}
