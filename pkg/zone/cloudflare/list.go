package cloudflare

import (
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

// stored is a record and the form in which the API keeps its text.
type stored struct {
	dnsaddr.Record
	content string
}

// mostRecords bounds a list.
const mostRecords = 100_000

// errMoving: the records changed while their pages were read.
var errMoving = errors.New("the list changes while it is read")

// list reads what stands at all names of the fleet at entry. A list that does not hold as
// many records as the API counts is read once more, and is then an error: nothing may be
// concluded from what is not in it.
func (z *Zone) list(ctx context.Context, id, entry string) (*listing, error) {
	began := time.Now()
	l, err := z.pages(ctx, id, entry)
	if errors.Is(err, errMoving) {
		z.log.WarnContext(ctx, "listing the records again", slog.Any("error", err))
		if err := pause(ctx, z.settle); err != nil {
			return nil, err
		}
		l, err = z.pages(ctx, id, entry)
	}
	if err != nil {
		return nil, err
	}
	l.at = began
	z.remember(l)
	return l, nil
}

// listing is a list that was read, and when.
type listing struct {
	entry  string
	have   []stored         // the TXT records, sorted
	closed map[string]error // why none can stand at a name
	at     time.Time
}

// takes is an error if one of the records to be added is for a name that takes none.
func (l *listing) takes(posts []op) error {
	for _, o := range posts {
		if err := l.closed[o.Name]; err != nil {
			return err
		}
	}
	return nil
}

// fresh is how old a list may be from which something is only added.
const fresh = 5 * time.Second

// remember keeps the last list; nil forgets it, before anything is written.
func (z *Zone) remember(l *listing) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.last = l
}

// lately is the last list, if it is fresh and only adds are planned from it: if somebody
// wrote since, the API refuses the batch, and the zone is listed again. What is changed or
// removed is looked at right before.
func (z *Zone) lately(entry string, c dnsaddr.Changes) (*listing, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.last == nil || z.last.entry != entry || time.Since(z.last.at) > fresh || len(c.Update)+len(c.Remove) > 0 {
		return nil, false
	}
	return z.last, true
}

func (z *Zone) pages(ctx context.Context, id, entry string) (*listing, error) {
	label, suffix := dnsaddr.Name(""), strings.TrimPrefix(strings.ToLower(entry), strings.TrimSuffix(dnsaddr.Name(""), "."))
	seen := make(map[string]bool)
	l := &listing{entry: strings.ToLower(entry), have: []stored{}, closed: make(map[string]error)}
	for page := 1; ; page++ {
		got, total, err := z.api.records(ctx, id, label, suffix, page, z.perPage)
		if err != nil {
			return nil, err
		}
		switch {
		case total < 0:
			return nil, errors.New("the API does not say how many records there are")
		case total > mostRecords:
			return nil, fmt.Errorf("%d records at the names of the fleet, at most %d are read", total, mostRecords)
		}
		for _, r := range got {
			if r.ID == "" || seen[r.ID] {
				return nil, fmt.Errorf("%w: record %q twice", errMoving, clean(r.ID))
			}
			seen[r.ID] = true
			if dnsaddr.OfFleet(entry, r.Name) {
				l.take(r)
			}
		}
		if len(seen) > total || len(seen) < total && len(got) == 0 {
			return nil, fmt.Errorf("%w: it holds %d records and counts %d", errMoving, len(seen), total)
		}
		if len(seen) == total {
			slices.SortFunc(l.have, func(a, b stored) int { return a.Compare(b.Record) })
			return l, nil
		}
	}
}

// take adds a record to the list. Those of most other types stand beside texts, and are
// nobody's business here.
func (l *listing) take(r record) {
	switch r.Type {
	case typeTXT:
		l.have = append(l.have, r.stored())
	case typeCNAME:
		l.close(r, "is an alias (CNAME) of")
	case typeNS:
		l.close(r, "is delegated (NS) to")
	}
}

func (l *listing) close(r record, how string) {
	name := strings.ToLower(r.Name)
	l.closed[name] = fleet.WithHint(fmt.Errorf("%s %s %s: no text can stand beside that", name, how, clean(r.Content)), takenHint)
}

// stored reads a record of the API. A text that cannot be read stays as it is.
func (r record) stored() stored {
	value, err := dnsaddr.DecodeTXT(r.Content)
	if err != nil {
		value = r.Content
	}
	ttl := min(max(r.TTL, 1), 1<<31)
	return stored{content: r.Content, Record: dnsaddr.Record{
		ID: r.ID, Name: strings.ToLower(r.Name), Value: value, Split: dnsaddr.SplitTXT(r.Content), TTL: time.Duration(ttl) * time.Second, Comment: r.Comment,
	}}
}
