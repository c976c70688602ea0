package fleet

import (
	"cmp"
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
// somebody deletes by hand or releases. No later run deletes one of them before the time in the
// note. Where fewer than witnessesLeast of those that should take it do, no TTL is lowered.
const (
	witnesses      = 3
	witnessesLeast = 2
)

// writeTakes is how long the write of a zone takes, at most, until its last name server
// follows. What took longer is noted again, by a run that lives to do it.
const writeTakes = 10 * time.Minute

// clockSlack is how far the clocks of two operators, and the end of a write, may be apart.
const clockSlack = time.Hour

// keptMost is how long resolvers keep a record at most, whatever its TTL: a week, the default
// of max-cache-ttl of BIND 9, which is the longest of those in use.
const keptMost = 7 * 24 * time.Hour

// ttlMost is how long a record of a fleet may be kept if nothing else is known: the longest
// TTL that a spec can ask for.
func ttlMost() time.Duration {
	var most time.Duration
	for _, k := range zoneKinds() {
		most = max(most, k.maxTTL)
	}
	return most + clockSlack
}

// write applies changes to the zone. A TTL that leaves the zone with them, and is longer than
// the one of the spec, is noted on machines first: resolvers keep what they were given for
// as long as it said then, and afterwards nothing in the zone tells. The same is so of the
// spec's own TTL where the last records go: somebody may lower it before the next run. That
// run is the only one which needs that note, so that the records go without it, too.
func (r *run) write(ctx context.Context, stage string, now []dnsaddr.Record, c dnsaddr.Changes) error {
	longest, takes := longestOf(r.spec, touchedBy(r.spec, now, c)), writeTakes
	lowered, last := longest > r.spec.DNS.TTL, empties(r.spec, now, c)
	switch {
	case lowered:
	case last:
		takes = min(takes, longest) // the next run waits for it, whether the TTL was lowered or not
	default:
		return r.b.Zone.Apply(ctx, r.spec.DNS.RecordName(), c)
	}
	least := witnessesLeast
	if last {
		least = 1 // only a down that is killed needs it: two dead machines do not hold up this one
	}
	began, published := time.Now(), nodesOf(r.spec, slices.Concat(now, c.Update))
	if err := r.note(ctx, stage, published, began.Add(longest+takes), least); err != nil && (lowered || ctx.Err() != nil) {
		return err
	}
	err := r.b.Zone.Apply(ctx, r.spec.DNS.RecordName(), c)
	if took := time.Since(began); took > takes && ctx.Err() == nil {
		if again := r.note(ctx, stage, published, began.Add(longest+took), least); lowered {
			err = errors.Join(err, again)
		}
	}
	return err
}

// empties reports whether a write takes away the last records that are ours.
func empties(s Spec, now []dnsaddr.Record, c dnsaddr.Changes) bool {
	gone := make(map[string]bool, len(c.Remove))
	for _, rec := range c.Remove {
		gone[rec.ID] = true
	}
	stays := func(rec dnsaddr.Record) bool {
		_, ours := rec.OwnedBy(s.Name)
		return ours && !gone[rec.ID]
	}
	return len(c.Remove) > 0 && len(c.Add)+len(c.Update) == 0 && !slices.ContainsFunc(now, stays)
}

// touchedBy lists the records whose TTL a write may end: ours, also those that it does not
// name, because a name server may have one TTL for all records of a name; and those of others
// that it names, which become ours.
func touchedBy(s Spec, now []dnsaddr.Record, c dnsaddr.Changes) []dnsaddr.Record {
	named := make(map[string]bool)
	for _, rec := range slices.Concat(c.Update, c.Remove) {
		named[rec.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(now), func(rec dnsaddr.Record) bool {
		_, ours := rec.OwnedBy(s.Name)
		return !ours && !named[rec.ID]
	})
}

// note marks machines of ours whose relays are published with a time until which resolvers may
// keep answers. One that cannot be marked is named, and another is. It is an error if fewer than
// least are marked of as many: the next command could delete one too early.
func (r *run) note(ctx context.Context, stage string, published map[string]bool, until time.Time, least int) error {
	machines, err := r.machines(ctx)
	if err != nil {
		return err
	}
	noted, failed := 0, []error(nil)
	for _, m := range witnessesOf(machines, published) {
		if noted == witnesses {
			break
		}
		err := errors.New(m.whyUntouchable())
		if m.takesNotes() {
			err = r.noteOn(ctx, m, until)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			noted++
			continue
		}
		failed = append(failed, err)
		r.reporter.note(stage, Change{Ref: machineRef(m)}, fmt.Sprintf("could not be marked with how long resolvers may keep records: %v", err))
	}
	if noted < min(least, noted+len(failed)) {
		return WithHint(fmt.Errorf("mark machines with how long resolvers may keep records: %d of %d take it: %w", noted, noted+len(failed), failed[0]),
			"put that right, or take what is gone for good out of fleet.yaml; until then leave dns.ttl as the records have it, and name in dns.keep a record with a longer one that is not to be adopted")
	}
	return nil
}

// takesNotes reports whether a machine may be marked: it is shown to be ours. That it was
// adopted does not matter, for the mark is our own and changes nothing on it.
func (m Machine) takesNotes() bool { return !m.Unmarked && m.Problem == "" }

// noteOn marks one machine. A later note stays, unless no TTL explains it.
func (r *run) noteOn(ctx context.Context, m Machine, until time.Time) error {
	if !m.CachedUntil.Before(until) && time.Until(m.CachedUntil) <= keptMost+clockSlack {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, listDeadline)
	defer cancel()
	return r.b.Provider.Mark(ctx, m.ID, map[string]string{MarkCached: FormatCached(until)}, nil)
}

// witnessesOf are the machines that should keep a note: of nodes that are published, those that
// take it first, and of them those that hold their slot. One that drains is not waited for any
// more.
func witnessesOf(machines []Machine, published map[string]bool) []Machine {
	fit := slices.DeleteFunc(slices.Clone(machines), func(m Machine) bool {
		return !published[m.Node] || m.Phase != PhaseActive && m.Phase != PhaseOutgoing
	})
	last := func(m Machine) int {
		if m.takesNotes() {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(fit, func(a, b Machine) int {
		return cmp.Or(last(a)-last(b), strings.Compare(string(a.Phase), string(b.Phase)))
	})
	return fit
}

// nodesOf are the nodes that records of ours name.
func nodesOf(s Spec, records []dnsaddr.Record) map[string]bool {
	nodes := make(map[string]bool)
	for _, rec := range records {
		if node, ours := rec.OwnedBy(s.Name); ours {
			nodes[node] = true
		}
	}
	return nodes
}

// longestOf is how long resolvers may keep one of the records, or one with the spec's TTL if
// that is longer.
func longestOf(s Spec, records []dnsaddr.Record) time.Duration {
	longest, automatic := s.DNS.TTL, zoneOf(s.DNS.Zone).automatic
	for _, rec := range records {
		ttl := min(rec.TTL, keptMost)
		if ttl <= time.Second {
			ttl = max(ttl, automatic)
		}
		longest = max(longest, ttl)
	}
	return longest
}

// cached is how long a resolver may keep a record of ours that it has seen, and why. Any
// machine's note counts for all: one TTL was lowered for all of them. One that is further ahead
// than anything is kept is not believed to its end, nor taken for none, and neither are those
// that machines may have which do not say: a TTL that a spec can ask for is waited for.
func (p *planner) cached() (d time.Duration, why string) {
	d, why = longestOf(p.spec, p.owned), "resolvers keep its record for a TTL"
	unread := 0
	for _, m := range p.state.Machines.Value {
		left := m.CachedUntil.Sub(p.state.At)
		until := m.CachedUntil.UTC().Format(time.RFC3339)
		said := "says until " + until + ", longer than any TTL"
		if m.CachedUntil.Equal(UnreadCached()) {
			said = "is no time that can be read"
		}
		switch {
		case m.CachedUntil.IsZero():
			if m.Given && m.Problem != "" { // its marks are on it
				unread++
			}
		case left > keptMost+clockSlack && ttlMost() > d:
			d, why = ttlMost(), fmt.Sprintf("the mark %s of %s %s: resolvers may keep its record for the longest", MarkCached, m.ID, said)
		case left <= keptMost+clockSlack && left > d:
			d = (left + time.Second - 1).Truncate(time.Second)
			why = "resolvers may keep its record since before dns.ttl was lowered, until " + until
			if len(p.owned) == 0 {
				why = "resolvers may keep its record, which was withdrawn before, until " + until
			}
		}
	}
	if unread > 0 && unread >= min(witnessesLeast, len(p.state.Machines.Value)) && ttlMost() > d {
		d, why = ttlMost(), fmt.Sprintf("%d machines do not say whether dns.ttl was longer lately: resolvers may keep its record for the longest; hosts that are gone can be taken out of fleet.yaml", unread)
	}
	return d, why
}

// FormatCached is the text of [MarkCached]: seconds since 1970, rounded up.
func FormatCached(until time.Time) string {
	return strconv.FormatInt(until.Add(time.Second-1).Unix(), 10)
}

// UnreadCached is the time of a [MarkCached] that is none: the last that there is, so that what was
// noted is not taken for nothing.
func UnreadCached() time.Time { return time.Unix(99_999_999_999, 0).UTC() }

// ParseCached undoes [FormatCached].
func ParseCached(text string) (time.Time, error) {
	const most = 11 // digits: some three thousand years
	secs, err := strconv.ParseInt(text, 10, 64)
	if err != nil || secs <= 0 || len(text) > most {
		return time.Time{}, fmt.Errorf("mark %s is %.20q: want seconds since 1970", MarkCached, text)
	}
	return time.Unix(secs, 0).UTC(), nil
}
