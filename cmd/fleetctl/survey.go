package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// servers are the flags that say which DNS servers are asked.
type servers struct {
	resolvers   []string
	authorities []string
}

func (f *servers) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.resolvers, "resolver", nil, "ask this `server` in place of dns.resolvers: host, host:port, tls://host or https://host/path; again for more")
	cmd.Flags().StringArrayVar(&f.authorities, "authority", nil, "take this `server`, host or host:port, for the zone's name server; again for more")
}

// publicResolvers are asked of a public zone if nobody names others. Each answers by UDP,
// TCP, TLS and HTTPS, and has a certificate for its address.
func publicResolvers() []string { return []string{"1.1.1.1", "8.8.8.8", "9.9.9.9"} }

// sources lists whom a survey asks: the zone's name servers, then resolvers in every way
// in which they can be asked, or with brief in one. Unfound says which name servers it could
// not find.
func (s *session) sources(ctx context.Context, f servers, brief bool) (_ []resolve.Source, unfound []error, err error) {
	named := f.resolvers
	if len(named) == 0 {
		named = s.spec.DNS.Resolvers
	}
	everyWay := len(named) == 0 && !brief
	if len(named) == 0 && s.public() {
		named = publicResolvers()
	}
	resolvers, err := parseServers(named)
	if err != nil {
		return nil, nil, err
	}
	out, unfound, err := s.authorities(ctx, f.authorities, resolvers)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range resolvers {
		for _, by := range ways(r, everyWay, brief) {
			out = append(out, resolve.Source{Name: hostOf(r), Role: resolve.Resolver, Server: r.By(by)})
		}
	}
	return out, unfound, nil
}

// ways are the transports by which a resolver is asked. One that was named with a
// transport is asked by that alone.
func ways(r resolve.Server, every, brief bool) []resolve.Transport {
	switch {
	case r.Transport != resolve.Plain || brief:
		return []resolve.Transport{r.Transport}
	case every:
		return []resolve.Transport{resolve.Plain, resolve.TCP, resolve.TLS, resolve.HTTPS}
	}
	return []resolve.Transport{resolve.Plain, resolve.TCP}
}

// authorities are the zone's name servers: those that are named, else what the zone's
// adapter knows, and for a zone of the internet those that resolvers know.
func (s *session) authorities(ctx context.Context, named []string, resolvers []resolve.Server) (out []resolve.Source, unfound []error, err error) {
	add := func(name string, server resolve.Server) {
		if i := slices.IndexFunc(out, func(o resolve.Source) bool { return o.Server == server }); i >= 0 {
			out[i].Primary = false // clients are sent to it as well
			return
		}
		out = append(out, resolve.Source{Name: name, Role: resolve.Authoritative, Server: server})
	}
	given, err := parseServers(named)
	if err != nil {
		return nil, nil, err
	}
	for _, server := range given {
		add(server.String(), server)
	}
	if len(given) > 0 {
		return out, nil, nil
	}
	own, err := parseServers(s.ownServers(ctx))
	if err != nil {
		return nil, nil, err
	}
	hosted := s.spec.DNS.Zone == fleet.ZoneCloudflare // its name servers are found like anybody's
	if !hosted || !s.public() {
		for _, server := range own {
			out = append(out, resolve.Source{Name: server.String(), Role: resolve.Authoritative, Server: server, Primary: s.spec.DNS.Zone == fleet.ZoneRFC2136})
		}
	}
	if s.spec.DNS.Zone != fleet.ZoneLocal && (!hosted || len(out) == 0) {
		found, err := nameServers(ctx, resolvers, s.spec.DNS.RecordName())
		if err != nil {
			unfound = append(unfound, err)
		}
		for _, a := range found {
			if a.Err != nil {
				unfound = append(unfound, a.Err)
			}
			for _, server := range a.Servers {
				add(a.Name, server)
			}
		}
	}
	if len(out) == 0 {
		for _, server := range own {
			add(server.String(), server)
		}
	}
	return out, unfound, ctx.Err()
}

// ownServers are the name servers that the zone's adapter knows, host:port.
func (s *session) ownServers(ctx context.Context) []string {
	if z, ok := s.zone.(interface {
		NameServers(ctx context.Context) []string
	}); ok {
		return z.NameServers(ctx)
	}
	if server := s.zone.Status(ctx).Server; server != "" {
		return []string{server}
	}
	return nil
}

// nameServers asks one resolver after the other until one knows.
func nameServers(ctx context.Context, resolvers []resolve.Server, name string) (found []resolve.Authority, err error) {
	for _, r := range resolvers {
		if _, found, err = new(resolve.Client).Authorities(ctx, r, name); err == nil {
			return found, nil
		}
	}
	return nil, err
}

// public reports whether the zone is one of the internet: its records are not on this
// computer, its API is not simulated, and its domain is not reserved for private use.
func (s *session) public() bool {
	if s.spec.DNS.Zone == fleet.ZoneLocal || s.app.getenv("CLOUDFLARE_BASE_URL") != "" {
		return false
	}
	return !slices.ContainsFunc([]string{"test", "example", "invalid", "localhost", "local", "internal", "home.arpa"}, func(end string) bool {
		return s.spec.DNS.Domain == end || strings.HasSuffix(s.spec.DNS.Domain, "."+end)
	})
}

func parseServers(named []string) ([]resolve.Server, error) {
	out := make([]resolve.Server, 0, len(named))
	for _, text := range named {
		server, err := resolve.ParseServer(text)
		if err != nil {
			return nil, fleet.WithHint(err, "write it as 192.0.2.1, 192.0.2.1:5353, tls://dns.example or https://dns.example/dns-query")
		}
		out = append(out, server)
	}
	return out, nil
}

// hostOf names a server without its transport, so that several ways to it are one.
func hostOf(s resolve.Server) string {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil || port != "53" && s.Transport != resolve.HTTPS && s.Transport != resolve.TLS {
		return s.Addr
	}
	return host
}

// survey is what DNS servers serve, against what the zone holds.
type survey struct {
	records  []dnsaddr.Record
	readings []resolve.Reading
	unfound  []error // why a name server could not be asked
}

// survey reads the zone and asks every source. Unfound is what [session.sources] said.
func (s *session) survey(ctx context.Context, sources []resolve.Source, unfound []error) (survey, error) {
	name := s.spec.DNS.RecordName()
	records, err := s.b.Zone.Records(ctx, name)
	if err != nil {
		return survey{}, err
	}
	v := survey{records: records, unfound: unfound}
	v.readings = new(resolve.Client).Survey(ctx, sources, resolve.WantedOf(name, records))
	for _, r := range v.readings {
		cut := errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, context.DeadlineExceeded)
		if cut && !errors.Is(r.Err, resolve.ErrNoAnswer) {
			return survey{}, r.Err // ctx ended, and nobody can say what the server would have said
		}
	}
	return v, ctx.Err()
}

// problems are what clients run into, with exit code 4, and what is not known, with 3: of
// servers, and of name servers that nobody could ask.
func (v survey) problems() []error {
	errs := v.ofServers()
	for _, err := range v.unfound {
		err = fleet.WithHint(fmt.Errorf("resolve: a name server is unknown: %w", err), "name one with --authority")
		errs = append(errs, withCode(exitPartial, err))
	}
	return errs
}

// ofServers are the problems of servers that were asked. Of several ways to one server the first that has a problem speaks for it, and one that
// does not answer is none as long as another does; nor is a primary that does not, as long as
// a name server does that clients are sent to.
func (v survey) ofServers() []error {
	var errs []error
	told := make(map[string]bool)
	for _, r := range v.readings {
		if told[r.Source.Name] {
			continue
		}
		switch {
		case r.State == resolve.InSync:
			continue
		case r.State == resolve.Unknown:
			if !v.answered(r.Source.Name) && !v.hidden(r.Source) {
				told[r.Source.Name] = true
				err := fmt.Errorf("resolve: %s is unknown: %w", r.Source.Server, r.Err)
				errs = append(errs, withCode(exitPartial, fleet.WithHint(err, silentHint(r.Source.Role))))
			}
			continue
		case r.Err != nil:
			errs = append(errs, withCode(exitUnverified, fmt.Errorf("resolve: %s is %s: %w", r.Source.Server, r.State, r.Err)))
		default:
			errs = append(errs, withCode(exitUnverified, fmt.Errorf("resolve: %s %s", r.Source.Server, difference(r))))
		}
		told[r.Source.Name] = true
	}
	return errs
}

// silentHint is what to do about a server that does not answer.
func silentHint(role resolve.Role) string {
	if role == resolve.Authoritative {
		return "see whether this computer reaches it at port 53, or name another with --authority"
	}
	return "see whether this computer reaches it, or name others in dns.resolvers, by https:// where port 53 is closed"
}

// answered reports whether any way to a server brought an answer.
func (v survey) answered(name string) bool {
	return slices.ContainsFunc(v.readings, func(r resolve.Reading) bool {
		return r.Source.Name == name && r.State != resolve.Unknown
	})
}

// hidden reports whether a source is a primary that clients need not know: one that they do
// know answered.
func (v survey) hidden(source resolve.Source) bool {
	return source.Primary && slices.ContainsFunc(v.readings, func(r resolve.Reading) bool {
		return r.Source.Role == resolve.Authoritative && !r.Source.Primary && r.State != resolve.Unknown
	})
}

// notes are what is worth knowing and no problem.
func (v survey) notes() []string {
	notes := []string{}
	serials := make(map[uint32]string)
	for _, r := range v.readings {
		if r.Serial != nil {
			serials[*r.Serial] = r.Source.Server.String()
		}
		if r.State == resolve.Unknown && (v.answered(r.Source.Name) || v.hidden(r.Source)) {
			notes = append(notes, fmt.Sprintf("%s: not available: %v", r.Source.Server, r.Err))
		}
		if r.DNSSEC == resolve.Claimed {
			notes = append(notes, fmt.Sprintf("%s says that it checked signatures, and there are none", r.Source.Server))
		}
		for _, err := range r.Failed {
			notes = append(notes, err.Error())
		}
		for _, a := range r.Answers {
			if len(a.Aliases) > 0 {
				notes = append(notes, fmt.Sprintf("%s: a name of ours is an alias of %s", r.Source.Server, a.Aliases[len(a.Aliases)-1]))
			}
		}
	}
	if len(serials) > 1 {
		notes = append(notes, fmt.Sprintf("the name servers have %d serials of the zone: not all of them have its newest state", len(serials)))
	}
	slices.Sort(notes)
	return slices.Compact(notes)
}
