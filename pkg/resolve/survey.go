package resolve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Role is what a server is for a name.
type Role string

// The roles.
const (
	Authoritative Role = "authoritative" // it speaks for the name
	Resolver      Role = "resolver"      // it asks others, and keeps what they said
)

// Source is a server that a survey asks.
type Source struct {
	Name   string // whose it is: sources of one name are several ways to one server
	Role   Role
	Server Server

	// Primary: it takes the zone's changes, and clients may have nothing to do with it. If it
	// does not speak to us it is unknown, not lame.
	Primary bool
}

// State is what a survey found at a source.
type State string

// The states.
const (
	InSync  State = "in sync" // it serves what the zone holds
	Behind  State = "behind"  // it serves something else
	Lame    State = "lame"    // it is a name server of the zone and does not speak for it
	Bogus   State = "bogus"   // a resolver that gives nothing, because signatures are wrong
	Unknown State = "unknown" // it did not say
)

// DNSSEC is what is known of signatures.
type DNSSEC string

// What can be known of them. A resolver's word is worth as much as the way to it.
const (
	Secure      DNSSEC = "secure"   // there are signatures, and the resolver says that it checked them
	Signed      DNSSEC = "signed"   // there are signatures, and nobody says so
	Unsigned    DNSSEC = "unsigned" // there are none
	Claimed     DNSSEC = "claimed"  // the resolver says that it checked what is not there
	DNSSECUnset DNSSEC = "unknown"
)

// Wanted is what a zone holds: values by name, the name in lower case. A name without
// values is to have none.
type Wanted map[string][]string

// WantedOf is what records of the fleet at entry say, each value of a name once.
func WantedOf(entry string, records []dnsaddr.Record) Wanted {
	want := Wanted{strings.ToLower(entry): {}}
	for _, r := range records {
		name := strings.ToLower(r.Name)
		want[name] = append(want[name], r.Value)
	}
	for name, values := range want {
		slices.Sort(values)
		want[name] = slices.Compact(values)
	}
	return want
}

// Names lists the names, shorter ones first so that the entry name leads.
func (w Wanted) Names() []string {
	return slices.SortedFunc(maps.Keys(w), func(a, b string) int {
		if d := len(a) - len(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// Reading is what one source said of a fleet's names.
type Reading struct {
	Source  Source
	State   State
	Err     error // why the state is unknown, lame or bogus
	DNSSEC  DNSSEC
	Serial  *uint32  // of an authoritative server's zone, nil if it did not say
	Answers []Answer // one for each name that answered, in the order of [Wanted.Names]
	Found   []Found  // the addresses, of other names that records point to as well
	Missing []Difference
	Old     []Difference
	Failed  []error // names that records point to and that did not answer
}

// surveyParallel is how many sources are asked at once.
const surveyParallel = 16

// Survey asks every source for the names of want, pointers followed where it is a
// resolver, and compares. The readings are in the order of the sources.
func (c *Client) Survey(ctx context.Context, sources []Source, want Wanted) []Reading {
	out := make([]Reading, len(sources))
	var group errgroup.Group
	group.SetLimit(surveyParallel)
	for i, source := range sources {
		group.Go(func() error {
			out[i] = c.read(ctx, source, want)
			return nil
		})
	}
	_ = group.Wait() // a reading carries its own error
	return out
}

// read asks one source. It goes on to the next name only after an answer.
func (c *Client) read(ctx context.Context, source Source, want Wanted) Reading {
	r := Reading{Source: source, State: InSync, DNSSEC: DNSSECUnset, Answers: []Answer{}, Found: []Found{}}
	names := want.Names()
	for _, name := range names {
		a, err := c.readName(ctx, &r, name)
		if err != nil {
			r.State, r.Err = c.failure(ctx, source, name, err)
			return r
		}
		r.Answers = append(r.Answers, a)
		missing, old := compare(name, a, want[name])
		r.Missing, r.Old = append(r.Missing, missing...), append(r.Old, old...)
	}
	if len(r.Missing)+len(r.Old) > 0 {
		r.State = Behind
	}
	r.DNSSEC = c.dnssec(ctx, source, names[0])
	if source.Role == Authoritative {
		r.Serial = c.serial(ctx, source.Server, names[0])
	}
	return r
}

// errLame is why a name server that answers is none of the zone.
var errLame = errors.New("it does not speak for the zone")

func (c *Client) readName(ctx context.Context, r *Reading, name string) (Answer, error) {
	if r.Source.Role == Resolver {
		w, err := c.Walk(ctx, r.Source.Server, name)
		r.Found, r.Failed = append(r.Found, w.Found...), append(r.Failed, w.Failed...)
		if len(w.Answers) == 0 {
			return Answer{}, err
		}
		return w.Answers[0], err
	}
	a, err := c.Ask(ctx, r.Source.Server, Question{Name: name, Iterative: true})
	if err != nil {
		return a, fmt.Errorf("%s: %w", name, err)
	}
	refuses := a.Rcode == rcodeText(dns.RcodeRefused) || a.Rcode == rcodeText(dns.RcodeNotAuth)
	if refuses || a.Err() == nil && !a.Authoritative {
		return a, fmt.Errorf("%s: %s answers %s: %w", name, r.Source.Server, a.Rcode, errLame)
	}
	if err := a.Err(); err != nil {
		return a, fmt.Errorf("%s: %w", name, err)
	}
	for _, rec := range a.Records {
		if addr, err := dnsaddr.ParseValue(rec.Value); err == nil {
			r.Found = append(r.Found, Found{Addr: addr, Record: rec})
		}
	}
	return a, nil
}

// failure says what a name that was not answered means.
func (c *Client) failure(ctx context.Context, source Source, name string, err error) (State, error) {
	if errors.Is(err, errLame) {
		if source.Primary {
			return Unknown, fmt.Errorf("a primary may keep to its secondaries: %w", err)
		}
		return Lame, err
	}
	if source.Role == Resolver && !errors.Is(err, ErrNoAnswer) && over(ctx) == nil {
		a, askErr := c.Ask(ctx, source.Server, Question{Name: name, Unchecked: true})
		if askErr == nil && a.Err() == nil && len(a.Records) > 0 {
			return Bogus, fmt.Errorf("%w; it does answer who wants no signatures checked", err)
		}
	}
	return Unknown, err
}

// dnssec asks for signatures.
func (c *Client) dnssec(ctx context.Context, source Source, name string) DNSSEC {
	a, err := c.Ask(ctx, source.Server, Question{Name: name, DNSSEC: true, Iterative: source.Role == Authoritative})
	switch {
	case err != nil || a.Err() != nil || len(a.Records) == 0:
		return DNSSECUnset
	case a.Signed && a.Authenticated:
		return Secure
	case a.Signed:
		return Signed
	case a.Authenticated && source.Role == Resolver:
		return Claimed
	}
	return Unsigned
}

// serial finds the SOA record of the zone that holds name.
func (c *Client) serial(ctx context.Context, s Server, name string) *uint32 {
	for ; strings.Contains(name, "."); _, name, _ = strings.Cut(name, ".") {
		a, err := c.Ask(ctx, s, Question{Name: name, Type: SOA, Iterative: true})
		if err != nil {
			return nil
		}
		if len(a.Records) > 0 && len(a.Aliases) == 0 {
			return &a.Records[0].Serial
		}
	}
	return nil
}
