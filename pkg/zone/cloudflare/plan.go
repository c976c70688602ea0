package cloudflare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// verb is what an operation does.
type verb int

const (
	doPost verb = iota
	doPatch
	doDelete
)

// op is one operation of a batch.
type op struct {
	do verb
	dnsaddr.Record
	content string // as the API keeps it; of a patch "" where it stays
}

// plan is what is still to do of some changes.
type plan struct {
	posts, patches, deletes []op
}

// planOf compares changes with what is there. What is there already, or gone already, is
// not done again; what somebody else made of a record in the meantime is an error.
func planOf(entry string, have []stored, c dnsaddr.Changes) (plan, error) {
	byID := make(map[string]stored, len(have))
	comments := make(map[[2]string][]string, len(have)) // by name and value
	for _, s := range have {
		byID[s.ID] = s
		at := [2]string{s.Name, s.Value}
		comments[at] = append(comments[at], s.Comment)
	}
	var p plan
	for _, r := range c.Add {
		r.ID, r.Name = "", nameOf(entry, r)
		at := [2]string{r.Name, r.Value}
		there, taken := comments[at]
		switch {
		case slices.Contains(there, r.Comment):
			continue
		case taken:
			return plan{}, takenError(r, there[0])
		}
		comments[at] = append(there, r.Comment)
		p.posts = append(p.posts, op{do: doPost, Record: r, content: dnsaddr.EncodeTXT(r.Value)})
	}
	for _, r := range c.Update {
		s, ok := byID[r.ID]
		if !ok {
			return plan{}, fmt.Errorf("update %s: %w", clean(r.Value), dnsaddr.ErrNoRecord)
		}
		r.Name = nameOf(entry, r)
		if err := dnsaddr.CheckUpdate(s.Record, r); err != nil {
			return plan{}, fmt.Errorf("update %s: %w", clean(r.Value), fleet.WithHint(err, againHint))
		}
		switch {
		case s.Split:
			p.patches = append(p.patches, op{do: doPatch, Record: r, content: dnsaddr.EncodeTXT(r.Value)})
		case s.TTL != r.TTL || s.Comment != r.Comment:
			p.patches = append(p.patches, op{do: doPatch, Record: r})
		}
	}
	doomed := make(map[string]bool, len(c.Remove))
	for _, r := range c.Remove {
		s, ok := byID[r.ID]
		if !ok || doomed[r.ID] {
			continue
		}
		doomed[r.ID] = true
		r.Name = nameOf(entry, r)
		if err := dnsaddr.CheckRemoval(s.Record, r); err != nil {
			return plan{}, fmt.Errorf("remove %s: %w", clean(r.Value), fleet.WithHint(err, againHint))
		}
		p.deletes = append(p.deletes, op{do: doDelete, Record: s.Record})
	}
	return p, nil
}

// nameOf is where a record of a change stands.
func nameOf(entry string, r dnsaddr.Record) string { return strings.ToLower(cmp.Or(r.Name, entry)) }

// takenError is of a value that a zone cannot hold twice at one name.
func takenError(r dnsaddr.Record, comment string) error {
	whose := "without a comment"
	if comment != "" {
		whose = fmt.Sprintf("with the comment %q", clean(comment))
	}
	return fleet.WithHint(fmt.Errorf("%w: %s: it is at %s already, %s, and Cloudflare holds a value once at a name",
		dnsaddr.ErrBadRecord, clean(r.Value), r.Name, whose), againHint)
}

// rooms checks that each name has room for what is added to it while nothing is deleted.
func (p plan) rooms(have []stored) error {
	size := make(map[string]int)
	for _, s := range have {
		size[s.Name] += len(s.content)
	}
	for _, o := range p.posts {
		size[o.Name] += len(o.content)
	}
	for _, o := range p.posts { // in their order, so that the error is always the same
		if size[o.Name] > dnsaddr.MaxContent {
			return fleet.WithHint(fmt.Errorf("%w: %s would hold %d characters, Cloudflare takes %d at one name", dnsaddr.ErrFull, o.Name, size[o.Name], dnsaddr.MaxContent),
				"publish fewer addresses of each relay (dns.publish.addresses), or remove records of others from that name")
		}
	}
	return nil
}

// batches cuts operations into batches, the first of which may be a small one.
func batches(ops []op, first int) [][]op {
	if len(ops) == 0 {
		return nil
	}
	first = min(first, len(ops))
	return append([][]op{ops[:first]}, slices.Collect(slices.Chunk(ops[first:], mostOps))...)
}
