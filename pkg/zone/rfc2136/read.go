package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// asking is how many queries are made at once.
const asking = 8

// read returns what stands at the names of the fleet at entry, and certainly at those in
// names. Without a transfer it can only find lists that are in the companion. That no record
// can stand at the entry name is an error.
func (z *Zone) read(ctx context.Context, entry string, names []string) (view, error) {
	v, err := z.look(ctx, entry, names)
	if err != nil {
		return view{}, err
	}
	return v, v.places[entry].closed()
}

func (z *Zone) look(ctx context.Context, entry string, names []string) (view, error) {
	if err := ctx.Err(); err != nil {
		return view{}, err
	}
	if err := z.checkEntry(entry); err != nil {
		return view{}, err
	}
	zone, err := z.apex(ctx, entry)
	if err != nil {
		return view{}, err
	}
	if !z.untransferable.Load() {
		v, err := z.transfer(ctx, zone, entry)
		var no *untransferred
		if !errors.As(err, &no) {
			return v, err
		}
		z.untransferable.Store(true)
		z.log.DebugContext(ctx, "zone is read by queries", slog.String("zone", zone), slog.String("why", no.Error()))
	}
	return z.query(ctx, entry, names)
}

// query reads by queries that the server answers with authority.
func (z *Zone) query(ctx context.Context, entry string, names []string) (view, error) {
	v := view{entry: entry, places: make(map[string]place)}
	first, err := z.places(ctx, []string{entry})
	if err != nil {
		return view{}, err
	}
	v.places[entry] = first[entry]
	rest := slices.Concat(v.lists(), names)
	slices.Sort(rest)
	rest = slices.DeleteFunc(slices.Compact(rest), func(name string) bool { return name == entry })
	found, err := z.places(ctx, rest)
	if err != nil {
		return view{}, err
	}
	maps.Copy(v.places, found)
	for _, name := range v.lists() {
		if err := v.places[name].closed(); errors.Is(err, errDelegated) {
			return view{}, err // what is ours there is in the zone, and cannot be seen
		}
	}
	return v, nil
}

// places asks for the records at names and at their companions.
func (z *Zone) places(ctx context.Context, names []string) (map[string]place, error) {
	found := make([]place, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(asking)
	for i, name := range names {
		g.Go(func() (err error) {
			found[i].values, err = z.txt(ctx, name)
			return err
		})
		g.Go(func() (err error) {
			found[i].marks, err = z.txt(ctx, companion(name))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[string]place, len(names))
	for i, name := range names {
		out[name] = found[i]
	}
	return out, nil
}

// txt asks for the TXT records of one name.
func (z *Zone) txt(ctx context.Context, name string) (set, error) {
	a, err := z.ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return set{}, err
	}
	if a.Rcode != dns.RcodeSuccess && a.Rcode != dns.RcodeNameError {
		return set{}, z.unanswered(name, a.Rcode)
	}
	if cut, ok := cutBelow(a, z.zoneName(), name); ok {
		return set{closed: delegationError(dnsaddr.Name(z.cfg.Domain), cut)}, nil
	}
	if !a.Authoritative {
		return set{}, z.noAuthority(name)
	}
	s := set{}
	for _, rr := range a.Answer {
		if !strings.EqualFold(rr.Header().Name, dns.Fqdn(name)) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.CNAME:
			return set{closed: aliasError(name, rr.Target)}, nil
		case *dns.TXT:
			s.keep(rr)
		}
	}
	return s, nil
}

// cutBelow finds in an answer the name, below the zone's, from which on another zone holds
// name: in a referral to other servers, or as the zone of an answer by the same server. What a
// resolver says of a zone that it does not hold is none.
func cutBelow(a *dns.Msg, zone, name string) (cut string, ok bool) {
	known := a.Rcode == dns.RcodeSuccess || a.Rcode == dns.RcodeNameError && a.Authoritative
	if zone == "" || !known || !a.Authoritative && len(a.Answer) > 0 {
		return "", false
	}
	for _, rr := range a.Ns {
		switch rr.(type) {
		case *dns.NS, *dns.SOA:
		default:
			continue
		}
		cut := dns.CanonicalName(rr.Header().Name)
		if top := dns.CanonicalName(zone); cut != top && dns.IsSubDomain(top, cut) && dns.IsSubDomain(cut, dns.Fqdn(name)) {
			return strings.TrimSuffix(cut, "."), true
		}
	}
	return "", false
}

// keep takes a record into a set. Of different TTLs, which a set cannot have, it keeps
// the smallest.
func (s *set) keep(t *dns.TXT) {
	if len(s.data) == 0 || t.Hdr.Ttl < s.ttl {
		s.ttl = t.Hdr.Ttl
	}
	s.add(rdataOf(t))
}

// apex is the name of the zone that holds entry.
func (z *Zone) apex(ctx context.Context, entry string) (string, error) {
	z.mu.Lock()
	top := z.top
	z.mu.Unlock()
	if top != "" {
		return top, nil
	}
	soa, err := z.soa(ctx, entry)
	if err != nil {
		return "", err
	}
	top = strings.TrimSuffix(strings.ToLower(soa.Hdr.Name), ".")
	if top == "" {
		return "", fmt.Errorf("%s answers for the root zone", z.cfg.Server)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.top = top
	return top, nil
}

// soa asks for the SOA record of the zone that holds a name.
func (z *Zone) soa(ctx context.Context, name string) (*dns.SOA, error) {
	a, err := z.ask(ctx, name, dns.TypeSOA)
	if err != nil {
		return nil, err
	}
	if a.Rcode != dns.RcodeSuccess && a.Rcode != dns.RcodeNameError {
		return nil, z.unanswered(name, a.Rcode)
	}
	soa, ok := soaOf(a, name)
	if !ok || !a.Authoritative {
		return nil, z.noAuthority(name)
	}
	return soa, nil
}

// checkServed says why the server does not serve the zone.
func (z *Zone) checkServed(ctx context.Context) error {
	soa, err := z.soa(ctx, z.cfg.Domain)
	if err != nil {
		return err
	}
	if want := z.cfg.Zone; want != "" && !strings.EqualFold(soa.Hdr.Name, dns.Fqdn(want)) {
		return fleet.WithHint(fmt.Errorf("%s holds %s in the zone %s, not %s", z.cfg.Server, z.cfg.Domain, strings.TrimSuffix(soa.Hdr.Name, "."), want),
			"write the name of the zone that holds the domain as dns.rfc2136.zone")
	}
	return nil
}

func (z *Zone) noAuthority(name string) error {
	return fleet.WithHint(fmt.Errorf("%s answers for %s without authority", z.cfg.Server, name),
		"name the primary of the zone that holds the domain (dns.rfc2136.server), not a resolver; a delegated domain has a primary of its own")
}

func (z *Zone) unanswered(name string, code int) error {
	err := &codeError{what: "query for " + name, code: code}
	switch code {
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return fleet.WithHint(err, fmt.Sprintf("see whether %s is the primary of the zone, and lets key %q ask", z.cfg.Server, plain(z.keyName)))
	case dns.RcodeServerFailure:
		return fleet.WithHint(err, "see in the server's log why it does not serve the zone")
	}
	return err
}

func aliasError(name, target string) error {
	return fleet.WithHint(fmt.Errorf("%s is an alias (CNAME) of %s: no record can stand beside it", name, strings.TrimSuffix(target, ".")),
		"delete the CNAME record, or choose another dns.domain")
}

// errDelegated is wrapped by the errors of delegationError.
var errDelegated = errors.New("delegated (NS) to other servers")

// delegationError says that other servers answer for cut and for what is below it. It does not
// name one of them: that would be another one each time.
func delegationError(entry, cut string) error {
	hint := "delete the NS records of " + cut + ", or choose another dns.domain"
	if dns.IsSubDomain(dns.Fqdn(cut), dns.Fqdn(entry)) {
		hint = "name the primary of the zone " + cut + " (dns.rfc2136.server and zone)"
	}
	return fleet.WithHint(fmt.Errorf("%s is %w: no record of this zone is seen there", cut, errDelegated), hint)
}
